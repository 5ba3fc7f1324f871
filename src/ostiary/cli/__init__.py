"""The command line: `ostiary [--data DIR] [--url URL] NOUN VERB …`, one file a noun."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ostiary import __version__
from ostiary.cli.client import DEFAULT_DATA, place
from ostiary.cli.ending import USAGE, ended
from ostiary.cli.output import say

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

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


NOT_YET = {
    "policy simulate": "write what should come out as a table: ostiary policy test; or let a policy decide beside the others: @shadow",
    "policy suggest": "ostiary map --findings shows what is used and not permitted, and permitted and not used",
}
"""Commands that are promised and not built, and what there is instead."""


def build() -> "App":
    """Return the application with all its commands."""
    from cyclopts import App, Parameter

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
    """Run a command; return its exit code."""
    return ended(lambda: _command(arguments), arguments)


def _command(arguments: list[str]) -> object:
    from cyclopts import CycloptsError

    try:
        return build()(_place(arguments) or ["--help"], exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _usage(error)


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


def _usage(error: "CycloptsError") -> int:
    chain = " ".join(error.command_chain or ())
    typed = " ".join((*(error.command_chain or ()), *(error.unused_tokens or ())[:1]))
    if typed in NOT_YET:
        say(f"error: `ostiary {typed}` is not in this version\nto do: {NOT_YET[typed]}")
        return USAGE
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    say(f"error: {' '.join(lines) or type(error).__name__}")
    say(f"to do: ostiary {chain + ' ' if chain else ''}--help")
    return USAGE
