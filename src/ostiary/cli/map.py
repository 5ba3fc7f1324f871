"""The map of who crosses to what: a table, findings, JSON, or a picture."""

import sys
from typing import Annotated, Any

from cyclopts import Parameter

from ostiary.cli import diagram
from ostiary.cli.client import Client
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import moment, progress, say

Flag = Annotated[bool, Parameter(negative=())]
COLUMNS = ("agent", "door", "action", "resource", "zone", "state", "allowed", "held", "refused", "per_day", "labels", "first", "last")
FINDING = ("severity", "kind", "agent", "about", "detail", "remedy", "crossings")


def show(*, agent: str = "", findings: Flag = False, unused: Flag = False, mermaid: Flag = False, out: Out = PLAIN) -> None:
    """Show every crossing observed (who, by which door, to what) against every crossing permitted, and where they differ.

    Parameters
    ----------
    agent:
        Only this agent.
    findings:
        Only what somebody should look at: the worst first, with what to do.
    unused:
        List what is permitted and was never used, too.
    mermaid:
        Print a picture, as Mermaid text.
    """
    query: dict[str, Any] = {"unused": "true" if unused or out.json else "false"} | ({"agent": agent} if agent else {})
    with progress("drawing the map"):
        found = Client.of_place().get("/v1/map", **query)
    if mermaid:
        sys.stdout.write(diagram.crossings(found) + "\n")
    elif out.json:
        out.one(found)
    else:
        if findings:
            out.many(found["findings"], FINDING, empty="nothing: all that was observed is declared and permitted, and all of that was used")
        else:
            out.many(map(_row, found["crossings"]), COLUMNS, empty="nothing crossed yet; what is permitted: ostiary map --unused")
        say(_summary(found))


def _row(crossing: dict[str, Any]) -> dict[str, Any]:
    return {**crossing, "first": moment(crossing["first_at"]), "last": moment(crossing["last_at"])}


def _summary(found: dict[str, Any]) -> str:
    told = ", ".join(f"{count} {severity}" for severity, count in found["counts"].items() if count) or "no"
    seen = sum(1 for each in found["crossings"] if each["first_at"] is not None)
    behind = found["size"] - found["entries"]
    late = f"; {behind} entries of the ledger are not in it yet" if behind > 0 else ""
    return f"{seen} crossings seen, {found['unused']} permitted and never used; {told} findings: ostiary map --findings{late}"
