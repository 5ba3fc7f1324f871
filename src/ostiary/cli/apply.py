"""Make the registry equal to a declaration."""

import os
from pathlib import Path
from typing import Any

from ostiary.cli.client import Client
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import progress, say
from ostiary.core.errors import InvalidConfig
from ostiary.governance.declaration import MAX_BYTES, MAX_FILES, Bundle, is_inside, read, variables
from ostiary.governance.registrar import singular

SIGNS = {"create": "+", "change": "~", "retire": "-"}


def apply(path: Path, *, dry_run: bool = False, prune: bool = False, why: str = "", out: Out = PLAIN) -> None:
    """Make the registry and the policies equal to a declaration; print the difference.

    Parameters
    ----------
    path:
        A YAML file, or a folder whose YAML files are merged.
    dry_run:
        Only print the difference.
    prune:
        Retire what is registered and not declared.
    why:
        Why, for the record.
    """
    bundle = collect(path)
    read(bundle)
    client = Client.of_place()
    with progress("applying"):
        body = {
            "declarations": dict(bundle.declarations), "files": dict(bundle.files), "environment": dict(bundle.environment),
            "dry_run": dry_run, "prune": prune, "why": why,
        }  # fmt: skip
        found = client.post("/v1/declaration", body)
    if out.json:
        out.one(found)
        return
    for each in found["differences"]:
        out.one(_line(each))
    for note in found["notes"]:
        say(f"note: {note}")
    count = len(found["differences"])
    say(
        f"{count or 'no'} difference{'' if count == 1 else 's'}"
        + (", nothing was changed" if dry_run and count else "" if dry_run or not count else " applied")
    )


def collect(path: Path) -> Bundle:
    """Read a declaration with the files it names from disk. Raises InvalidConfig."""
    root, names = (
        (path, sorted(each.name for each in path.iterdir() if each.suffix in {".yaml", ".yml"} and each.is_file()))
        if path.is_dir()
        else (path.parent, [path.name])
    )
    if not path.exists():
        raise InvalidConfig(f"there is no file or folder `{path}`")
    if not names:
        raise InvalidConfig(f"folder `{path}` holds no .yaml file")
    declarations = {name: _text(root / name) for name in names}
    used = sorted({name for text in declarations.values() for name in variables(text)})
    environment = {name: os.environ[name] for name in used if name in os.environ}
    bundle = Bundle(declarations, {}, environment)
    return Bundle(declarations, _named(bundle, root), environment)


def _named(bundle: Bundle, root: Path) -> dict[str, str]:
    """Read the policy and prompt files a declaration names."""
    from ostiary.governance.strict_yaml import parse

    found: dict[str, str] = {}
    for file, text in bundle.declarations.items():
        document = parse(text, file).plain() or {}
        if not isinstance(document, dict):
            continue
        for name in (*_prompts(document), *_policies(document)):
            if not is_inside(name):
                raise InvalidConfig(f"{file}: path `{name}` leads out of the declaration's folder")
            for each in sorted((root / name).rglob("*.cedar")) if (root / name).is_dir() else [root / name]:
                if each.is_file():
                    found[each.relative_to(root).as_posix()] = _text(each)
                if len(found) > MAX_FILES:
                    raise InvalidConfig(f"a declaration has at most {MAX_FILES} files")
    return found


def _prompts(document: dict[str, Any]) -> list[str]:
    agents = document.get("agents")
    manifests = [agent.get("manifest") for agent in agents.values() if isinstance(agent, dict)] if isinstance(agents, dict) else []
    prompts = [manifest.get("prompt") for manifest in manifests if isinstance(manifest, dict)]
    return [prompt for prompt in prompts if isinstance(prompt, str)]


def _policies(document: dict[str, Any]) -> list[str]:
    policies = document.get("policies")
    return [path for path in policies if isinstance(path, str)] if isinstance(policies, list) else []


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise InvalidConfig(f"`{path}` is over {MAX_BYTES} bytes")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise InvalidConfig(f"`{path}` is not UTF-8 text") from None


def _line(difference: dict[str, Any]) -> str:
    what = f"{SIGNS[difference['verb']]} {singular(difference['noun'])} {difference['name']}"
    return what + (f"  ({', '.join(difference['fields'])})" if difference["verb"] == "change" else "")
