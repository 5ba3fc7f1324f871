"""Writes the reference pages that only the code can get right: settings, errors, commands, the control API."""

# ruff: noqa: INP001 -- a script, not a package

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import App
from docstring_parser import parse

from ostiary.api import create_api
from ostiary.cli import COMMANDS, build
from ostiary.core.decision import STATUS
from ostiary.core.errors import CODES
from ostiary.identity.roles import GRANTS
from ostiary.settings import describe

HERE = Path(__file__).parent
NOTE = "<!-- Written by scripts/docs from the code; change the code, then run it. -->"


def settings() -> Iterator[str]:
    """Every setting with its default and meaning."""
    yield "# Settings"
    yield (
        "Read from, the later winning: defaults, `ostiary.toml`, the directory in `$OSTIARY_SECRETS_DIR` (files named `section__key`), the "
        "environment (`OSTIARY_SECTION__KEY`, lists with commas), the command line. An unknown key is an error that names the nearest one. "
        "`ostiary doctor --settings` prints what holds, and where it came from."
    )
    section = ""
    for each in describe(environ={}):
        head, _, name = each.name.partition(".")
        if head != section:
            section = head
            yield f"\n## `[{section}]`\n\n| key | default | meaning |\n|---|---|---|"
        yield f"| `{name}` | {_value(each.default)} | {each.meaning} |"


def errors() -> Iterator[str]:
    """Every code a refusal can carry."""
    yield "# Errors"
    yield (
        "Every refusal carries one of these codes: in problem details (RFC 9457) on our own wires, in JSON-RPC errors on MCP, as "
        "`error.code` on the model wires. `held` is 202 on our own wires, 403 on the model wires and −32004 over MCP. `decision` is the id under which the ledger has it."
    )
    yield "\n| code | usual status | means |\n|---|---|---|"
    for code, meaning in CODES.items():
        yield f'| <a id="{code}"></a>`{code}` | {STATUS.get(code, 403)} | {meaning} |'


def cli() -> Iterator[str]:
    """Every command with its options."""
    yield "# Command line"
    yield "`ostiary [--data DIR] [--url URL] COMMAND …`. Every command takes `--json` (one object, or one a line for lists), `--field NAME` (only that field, for scripts) and `--help`."
    yield (
        "\n`--data DIR` names the gateway's data directory (default `ostiary-data`, or `$OSTIARY_DATA`). On that machine commands use the "
        "operator key in it. Elsewhere: `--url URL` before the command or `$OSTIARY_URL`, with an operator key in `$OSTIARY_TOKEN` and, for "
        "a development certificate, its authority's file in `$OSTIARY_CA`. Data goes to standard output, talk to standard error."
    )
    yield "\n| exit code | means |\n|---|---|\n| 0 | done |\n| 1 | the answer is no: denied, tampered, check failed |"
    yield "| 2 | usage or configuration; `audit verify`: cannot tell |\n| 3 | could not reach or write |"
    yield "\nCompletion: `ostiary completion bash` (or `zsh`, `fish`) prints the script."
    app = build()
    for name, (_, about) in COMMANDS.items():
        yield f"\n## `ostiary {name}`\n\n{about}"
        for path, function in _leaves(app[name], (name,)):
            yield from _command(path, function)
    yield "\n## Roles\n\nWhat the role of an operator key includes. An owner reaches only their own agents and what belongs to them."
    yield "\n| role | may |\n|---|---|"
    for role, grants in GRANTS.items():
        said = [f"{noun}: {', '.join(sorted(verbs))}" for noun, verbs in sorted(grants.items())]
        yield f"| {role} | {'; '.join(said)} |"


def api() -> Iterator[str]:
    """Every operation of the control API."""
    nothing: Any = None
    description = create_api(nothing).openapi()
    yield "# Control API"
    yield (
        "JSON over HTTP under `/v1`, described at `/v1/openapi.json`, with a page for people at `/docs`. Send an operator key as "
        "`Authorization: Bearer`. Bodies are `application/json`, read strictly: no unknown field, no duplicate key, no conversion. Lists "
        "come in pages: `{items, next}`; give `next` back as `after`. Anything but yes is a problem (RFC 9457, [errors](errors.md)). Each "
        "answer carries `X-Ostiary-Decision` and `X-Ostiary-Overhead-Ms`."
    )
    tag = ""
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                yield f"\n## {tag}\n\n| operation | does | query | body |\n|---|---|---|---|"
            query = [f"`{each['name']}`" for each in operation.get("parameters", ()) if each["in"] == "query"]
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            body = f"[{_last(schema['$ref'])}](#{_last(schema['$ref']).lower()})" if "$ref" in schema else ""
            said = operation.get("description") or operation.get("summary", "")
            yield f"| `{method.upper()} {path}` | {said.capitalize() if said.islower() else said} | {' '.join(query)} | {body} |"
    yield "\n# Bodies"
    for name, schema in sorted(description["components"]["schemas"].items()):
        if name.endswith("Body"):
            yield f"\n## {name}\n\n{schema.get('description', '')}\n\n| field | is | required |\n|---|---|---|"
            for field, about in schema.get("properties", {}).items():
                yield f"| `{field}` | {_kind(about)} | {'yes' if field in schema.get('required', ()) else ''} |"


def _leaves(app: App, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Callable[..., Any]]]:
    names = [name for name in app if not name.startswith("-")]
    for name in names:
        yield from _leaves(app[name], (*path, name))
    if not names:
        function = app.default_command
        assert function is not None
        yield path, function


def _command(path: tuple[str, ...], function: Callable[..., Any]) -> Iterator[str]:
    said = parse(inspect.getdoc(function) or "")
    meanings = {each.arg_name: " ".join((each.description or "").split()) for each in said.params}
    hints = get_type_hints(function, include_extras=True)
    positional, options = [], []
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "out":
            continue
        flag = "--" + name.strip("_").replace("_", "-")
        is_required = parameter.default is inspect.Parameter.empty
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            positional.append(f"{name.upper()}…")
        elif parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            positional.append(name.strip("_").upper() if is_required else f"[{name.strip('_').upper()}]")
        else:
            default = "" if parameter.default in (None, "", False, inspect.Parameter.empty) else f" (default `{parameter.default}`)"
            options.append((f"`{flag}{_metavar(hints[name])}`" + (" *" if is_required else ""), meanings.get(name, "") + default))
            continue
        if name in meanings:
            options.append((f"`{name.strip('_').upper()}`", meanings[name]))
    yield f"\n### `ostiary {' '.join([*path, *positional])}`\n\n{said.short_description or ''}"
    if options:
        yield "\n| option | is |\n|---|---|"
        for option, meaning in options:
            yield f"| {option} | {meaning} |"


def _metavar(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return _metavar(get_args(hint)[0])
    arguments = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is Literal:
        return " " + "/".join(map(str, get_args(hint)))
    if get_origin(hint) is list:
        return _metavar(arguments[0]) + "…"
    if arguments:
        return _metavar(arguments[0])
    return {bool: "", str: " TEXT", int: " N", float: " N", Path: " PATH"}.get(hint, " VALUE")


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"[{_last(schema['$ref'])}](#{_last(schema['$ref']).lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        kind = f"list of {_kind(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = f"mapping to {_kind(schema['additionalProperties'])}"
    said = schema.get("description")
    return f"{kind}: {said}" if said else kind


def _value(value: Any) -> str:
    return "" if value in ("", []) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


PAGES = {"settings.md": settings, "errors.md": errors, "cli.md": cli, "api.md": api}


def main() -> int:
    """Write the pages, or with `--check` say which are no longer true."""
    stale = []
    for name, page in PAGES.items():
        text = re.sub(r"\n{3,}", "\n\n", f"{NOTE}\n\n" + "\n".join(page())) + "\n"
        path = HERE / name
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"docs: {', '.join(stale)} no longer say what the code does: run scripts/docs\n")
        return 1
    sys.stderr.write(f"docs: {len(PAGES)} reference pages {'hold' if '--check' in sys.argv else 'written'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
