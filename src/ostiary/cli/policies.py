"""Policies: check, test, apply, list, show, schema, explain, history, rollback."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from ostiary.cli.client import Client, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment, say
from ostiary.core.errors import InvalidConfig

app = App(name="policy", help="Policies, as files.", result_action="return_value")

NO_REASON = "no reason was given"
REVISION = re.compile(r"[0-9a-f]{4,64}")
MAX_BYTES = 6 * 1024 * 1024
Words = Annotated[list[str] | None, Parameter(negative=())]


@app.command
def check(path: Path, *, out: Out = PLAIN) -> int:
    """Check policy files (a file or a folder) against the schema of now. Exits 1 when something is wrong."""
    found = Client.of_place().post("/v1/policies/check", {"files": policy_files(path)})
    if out.json:
        out.one(found)
    else:
        for problem in found["problems"]:
            out.one(_place(problem))
        say(f"{found['policies']} policies, " + ("sound" if found["ok"] else "not sound: nothing was changed"))
    return 0 if found["ok"] else 1


@app.command(name="test")
def run_tables(*tables: Path, policies: Path | None = None, out: Out = PLAIN) -> int:
    """Run decision tables (YAML). Exits 1 when a row comes out otherwise.

    Parameters
    ----------
    tables:
        Table files, or folders of them.
    policies:
        Ask these files instead of the policies of now.
    """
    texts = {name: text for path in tables for name, text in _texts(path, (".yaml", ".yml")).items()}
    body = {"tables": texts, "files": policy_files(policies) if policies else None}
    found = Client.of_place().post("/v1/policies/test", body)
    if out.json:
        out.one(found)
    else:
        failed = [row for row in found["rows"] if not row["ok"]]
        for row in failed:
            out.one(f"{row['where']} `{row['name']}`: {'; '.join(row['differences'])}")
        say(f"{len(found['rows']) - len(failed)} of {len(found['rows'])} rows as expected")
    return 0 if found["ok"] else 1


@app.command
def apply(path: Path, *, why: str = NO_REASON, out: Out = PLAIN) -> None:
    """Make these files the policy, if all of them are sound; otherwise nothing changes."""
    client, files = Client.of_place(), policy_files(path)
    found = client.post("/v1/policies/apply", {"files": files, "why": why})
    for problem in client.post("/v1/policies/check", {"files": files})["problems"]:
        say(_place(problem))
    out.done(f"policy revision {found['revision'][:12]} decides now", found)


@app.command(name="list")
def list_(*, out: Out = PLAIN) -> None:
    """List the policies that decide now."""
    out.many(
        Client.of_place().pages("/v1/policies"), ("id", "effect", "shadow", "because", "file", "line"), empty="none: nothing is permitted"
    )


@app.command
def show(id: str = "", *, revision: str = "", out: Out = PLAIN) -> None:  # noqa: A002
    """Show one policy; or without an id all files that decide now, or those of a kept `--revision`."""
    client = Client.of_place()
    if id:
        found = client.get(f"/v1/policies/{segment(id)}")
        out.one(found if out.json else found["text"])
        return
    found = client.get(f"/v1/policies/versions/{segment(revision)}" if revision else "/v1/policies/current")
    out.one(found if out.json else "\n".join(f"// {name}\n{text}" for name, text in sorted(found["files"].items())))


@app.command
def schema(*, out: Out = PLAIN) -> None:
    """Print the schema that policies are checked against, in Cedar's syntax."""
    text = Client.of_place().get("/v1/policies/schema")
    out.one({"schema": text} if out.json else text)


@app.command
def explain(
    *chain: str,
    action: str,
    resource: str = "",
    arguments: Annotated[str, Parameter(help="The arguments as JSON. Without them the answer says whether it depends on them.")] = "",
    purpose: str = "",
    origin: Words = None,
    label: Words = None,
    out: Out = PLAIN,
) -> int:
    """Say whether somebody may do something, with the lines of policy that say so. Exits 1 when not.

    Parameters
    ----------
    chain:
        Who asks, the lending user first: `user:alice agent:invoice-bot`.
    action:
        As `payments/pay`, `generate`, `open_session`.
    resource:
        As `Model::gpt-4o`; a tool needs none.
    origin:
        Where an argument comes from, as `recipient=untrusted`; repeat for several.
    label:
        A label the session has picked up; repeat for several.
    """
    from ostiary.cli.users import pairs

    body = {
        "chain": list(chain), "action": action, "resource": resource, "arguments": _arguments(arguments), "purpose": purpose,
        "origins": pairs(origin) or {}, "labels": label or [],
    }  # fmt: skip
    found = Client.of_place().post("/v1/policies/explain", body)
    if out.json:
        out.one(found)
    else:
        out.one(found["sentence"])
        for line in found["lines"]:
            out.one(f"{line['file']}:{line['line']}: {line['effect']} `{line['policy']}` for {', '.join(line['links'])}")
        if found["shadow"]:
            out.one(f"with the policies that only watch: {found['shadow']} ({', '.join(found['shadow_policies']) or 'nothing permits it'})")
    return 1 if found["effect"] == "deny" else 0


@app.command
def history(*, limit: int = 50, out: Out = PLAIN) -> None:
    """List which revisions decided when, by whom and why, the newest first."""
    found = Client.of_place().pages("/v1/policies/history", limit=limit)
    rows = (each if out.json else {**each, "at": moment(each["at"]), "revision": each["revision"][:12]} for each in found)
    out.many(rows, ("number", "at", "verb", "revision", "by", "why"), empty="none yet: ostiary policy apply")


@app.command
def rollback(revision: str, *, why: str = NO_REASON, out: Out = PLAIN) -> None:
    """Go back to a kept revision, checked against the schema of now."""
    if not REVISION.fullmatch(revision):
        raise InvalidConfig(f"`{revision[:64]}` is no revision: that is 4 to 64 hex digits", remedy="ostiary policy history")
    found = Client.of_place().post("/v1/policies/rollback", {"revision": revision, "why": why})
    out.done(f"policy revision {found['revision'][:12]} decides now", found)


def policy_files(path: Path) -> dict[str, str]:
    """Read a policy file, or every one in a folder, by path. Raises InvalidConfig."""
    return _texts(path, (".cedar",))


def _texts(path: Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    if not path.exists():
        raise InvalidConfig(f"there is no file or folder `{path}`")
    files = sorted(each for each in path.rglob("*") if each.suffix in suffixes and each.is_file()) if path.is_dir() else [path]
    if not files:
        raise InvalidConfig(f"folder `{path}` holds no {' or '.join(suffixes)} file")
    if sum(each.stat().st_size for each in files) > MAX_BYTES:
        raise InvalidConfig(f"the files of `{path}` are over {MAX_BYTES} bytes")
    root = path if path.is_dir() else path.parent
    try:
        return {each.relative_to(root).as_posix(): each.read_text("utf-8") for each in files}
    except UnicodeDecodeError:
        raise InvalidConfig(f"a file of `{path}` is not UTF-8 text") from None


def _arguments(text: str) -> Any:
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidConfig(f"`--arguments` is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidConfig("`--arguments` must be a JSON object")
    return found


def _place(problem: dict[str, Any]) -> str:
    kind = "warning: " if problem["is_warning"] else ""
    return f"{problem['file']}:{problem['line']}:{problem['column']}: {kind}{problem['message']}"
