"""The command line: `ostiary [--data DIR] [--url URL] NOUN VERB …`, one file a noun."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from ostiary import __version__
from ostiary.cli.client import DEFAULT_DATA, place
from ostiary.cli.output import say
from ostiary.core.errors import Corrupt, Invalid, OstiaryError

DONE, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes: done · the answer is no · usage or configuration · could not reach or write."""

HELP = """Ostiary: the doorkeeper for enterprise AI.

`--data DIR` names the gateway's data directory (default `ostiary-data`, or `$OSTIARY_DATA`), `--url URL` another gateway
(or `$OSTIARY_URL`, with its key in `$OSTIARY_TOKEN`); both stand before the command. `--json` prints objects.
"""

COMMANDS = {
    "up": ("gateway:up", "Run the gateway."),
    "demo": ("gateway:demo", "Play the story of a hijacked agent."),
    "apply": ("apply:apply", "Make the registry equal to a declaration."),
    "user": ("users:app", "People."),
    "agent": ("agents:app", "Agents: registry, checklist, keys, isolate, restore."),
    "model": ("registry:models", "Model endpoints."),
    "server": ("registry:servers", "MCP servers."),
    "api": ("registry:apis", "External HTTP APIs."),
    "source": ("registry:sources", "Data sources."),
    "directory": ("registry:directories", "Trusted lists: payees, contacts, repositories."),
    "zone": ("registry:zones", "Zones: parts of the company kept apart."),
    "group": ("registry:groups", "Groups of tools, people and agents."),
    "tool": ("tools:app", "Tools, pinned by digest: what changed, accept it."),
    "session": ("sessions:app", "Lend rights to an agent, and end it."),
    "policy": ("policies:app", "Policies: check, test, apply, explain, history."),
    "approval": ("approvals:app", "The inbox: held actions, approve, deny."),
    "audit": ("audit:app", "The ledger: list, search, follow, verify, prove, export."),
    "map": ("map:show", "Every crossing observed against every crossing permitted."),
    "notice": ("notices:app", "What policies asked people to be told about."),
    "secret": ("secrets:app", "Credentials for upstreams, sealed."),
    "operator": ("operators:app", "Keys for this control plane."),
    "backup": ("backup:backup", "Copy the data directory of a gateway, also while it runs."),
    "doctor": ("doctor:doctor", "What is wrong, and how to mend it."),
    "bench": ("bench:bench", "Our figures on your machine."),
    "version": ("version:version", "Version, engine, formats."),
    "completion": ("version:completion", "Completion for bash, zsh, fish."),
}
"""Each command with where it is and what it is for; a module is imported when its command is used."""


def build() -> App:
    """Return the application with all its commands."""
    app = App(
        name="ostiary",
        help=HELP,
        version=__version__,
        help_format="markdown",
        result_action="return_value",
        default_parameter=Parameter(negative=()),
    )
    for name, (where, about) in COMMANDS.items():
        app.command(f"ostiary.cli.{where}", name=name, help=about)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run a command; return its exit code. No traceback ever reaches a person."""
    try:
        code: Any = build()(_place(arguments) or ["--help"], exit_on_error=False, print_error=False)
        return code if isinstance(code, int) and not isinstance(code, bool) else DONE
    except CycloptsError as error:
        return _usage(error)
    except OstiaryError as error:
        say(f"error: {_with_flags(error.detail, arguments)}" + (f"\nto do: {error.remedy}" if error.remedy else ""))
        return exit_code(error)
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return DONE
    except OSError as error:
        say(f"error: {error.strerror or error}" + (f": `{error.filename}`" if error.filename else ""))
        return UNREACHABLE


def _with_flags(detail: str, arguments: Sequence[str]) -> str:
    """Name what was typed, where the gateway names the field it was sent in: `body.ttl_s` is `--ttl`, in seconds."""
    import re

    def flag(found: re.Match[str]) -> str:
        name = found["name"]
        flags = [f"--{each.replace('_', '-')}" for each in (name, name.removesuffix("_s"), name.removesuffix("s"))]
        typed = next((flag for flag in flags if any(word.partition("=")[0] == flag for word in arguments)), name)
        return f"`{typed}` (in seconds)" if name.endswith("_s") else f"`{typed}`"

    return re.sub(r"`body\.(?P<name>[a-z_]+)(?:\.[^`]*)?`", flag, detail)


def exit_code(error: OstiaryError) -> int:
    """Return the exit code an error stands for."""
    status = error.status
    if isinstance(error, Corrupt) or status in {401, 403, 409} or error.code == "held":
        return NO
    return USAGE if isinstance(error, Invalid) or (400 <= status < 500 and status != 429) else UNREACHABLE


def _place(arguments: list[str]) -> list[str]:
    """Take the global options out: `--data` wherever it stands, `--url` before the command, as commands have one of their own."""
    import os

    place.data, place.url = Path(os.environ.get("OSTIARY_DATA") or DEFAULT_DATA), ""
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            return [*rest, word, *words]
        if name != "--data" and (name != "--url" or rest):
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value:
            from ostiary.core.errors import InvalidConfig

            raise InvalidConfig(f"`{name}` needs a value", remedy="ostiary --help")
        if name == "--data":
            place.data = Path(value)
        else:
            place.url = value
    return rest


def _usage(error: CycloptsError) -> int:
    chain = " ".join(error.command_chain or ())
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    say(f"error: {' '.join(lines) or type(error).__name__}")
    say(f"to do: ostiary {chain + ' ' if chain else ''}--help")
    return USAGE
