"""The blast radius of an agent or a person, as a table by zone, as JSON, or as a picture."""

import sys
from typing import Any

from ostiary.cli import diagram
from ostiary.cli.client import Client, segment
from ostiary.cli.output import Output, progress, say

COLUMNS = ("zone", "action", "resource", "may", "does", "labels", "needs", "through", "policies")


def show(plural: str, name: str, out: Output, *, mermaid: bool) -> None:
    """Fetch and print what a principal could touch now."""
    with progress("looking at all there is"):
        found = Client.of_place().get(f"/v1/{plural}/{segment(name)}/reach")
    if mermaid:
        sys.stdout.write(diagram.reach(found) + "\n")
        return
    if out.json:
        out.one(found)
        return
    out.many(map(_row, found["items"]), COLUMNS, empty=f"nothing: of {found['looked_at']} things, no policy could let it touch one")
    say(_summary(found))


def _row(touch: dict[str, Any]) -> dict[str, Any]:
    ways = touch["ways"]
    through = ["itself" if not way["total"] else _names(way) for way in ways]
    return {
        "zone": touch["zone"] + (" (enters)" if touch["enters"] else ""),
        "action": touch["action"],
        "resource": f"{touch['kind']}::{touch['resource']}",
        "may": {"allow": "yes", "hold": "once approved", "depends": "depends"}[touch["effect"]],
        "does": [*filter(None, [touch["does"]]), *(["leaves the company"] if touch["external"] else [])],
        "labels": touch["labels"],
        "needs": touch["scopes"],
        "through": through,
        "policies": sorted({policy for way in ways for policy in way["policies"]}),
    }


def _names(way: dict[str, Any]) -> str:
    shown = way["through"][:5]
    more = way["total"] - len(shown)
    return " ".join(shown) + (f" and {more} more" if shown and more else f"{more} people" if more else "")


def _summary(found: dict[str, Any]) -> str:
    items = found["items"]
    counts = ", ".join(
        f"{sum(touch['effect'] == effect for touch in items)} {said}"
        for effect, said in (("allow", "freely"), ("depends", "depending on what is asked"), ("hold", "once a person approves"))
    )
    where = f"stands in {' '.join(found['zones'])}" if found["zones"] else "stands in no zone"
    zones = sorted({touch["zone"] for touch in items if touch["enters"]})
    entered = f"enters {', '.join(zones)}" if zones else "enters no other zone"
    halted = "" if found["status"] == "active" else f"; it is {found['status']}, so none of it now"
    return f"{found['kind']} `{found['name']}` {where} and reaches {len(items)} of {found['looked_at']}: {counts}; {entered}{halted}"
