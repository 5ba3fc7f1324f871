"""Pictures for people: Mermaid text of who reaches what, grouped by zone. Names are data and never become syntax."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAX_NODES = 200
OUTSIDE = "in no zone"
_ESCAPES = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;", "`": "#96;", "\\": "#92;", "&": "#amp;", "%": "#37;", "\n": " "}
ARROWS = {"allow": "-->", "hold": "-.->", "depends": "-->", "refused": "--x"}


class Diagram:
    """A flow chart from left to right: nodes in zones, and arrows between them."""

    def __init__(self) -> None:
        self._zones: dict[str, dict[str, str]] = {}
        self._arrows: dict[tuple[str, str, str], list[str]] = {}
        self._ids: dict[str, str] = {}
        self.left_out = 0
        """Nodes there was no room for."""

    def node(self, key: str, label: str, zone: str, shape: str = "[]") -> str | None:
        """Add a node, unless it is there; return its id, or None when there is no room."""
        if key in self._ids:
            return self._ids[key]
        if len(self._ids) >= MAX_NODES:
            self.left_out += 1
            return None
        found = self._ids[key] = f"n{len(self._ids)}"
        half = len(shape) // 2
        self._zones.setdefault(zone, {})[found] = f'{found}{shape[:half]}"{quoted(label)}"{shape[half:]}'
        return found

    def arrow(self, source: str | None, target: str | None, kind: str, label: str = "") -> None:
        """Add an arrow between nodes; labels of the same arrow are put together."""
        if source is not None and target is not None:
            self._arrows.setdefault((source, target, kind), []).append(label)

    def text(self) -> str:
        """Return the chart."""
        lines = ["flowchart LR"]
        for number, (zone, nodes) in enumerate(sorted(self._zones.items(), key=lambda item: (item[0] == "", item[0]))):
            lines.append(f'  subgraph z{number}["{quoted(zone or OUTSIDE)}"]')
            lines += [f"    {node}" for node in nodes.values()]
            lines.append("  end")
        for (source, target, kind), labels in self._arrows.items():
            said = ", ".join(dict.fromkeys(filter(None, labels)))
            text = f'|"{quoted(said)}"|' if said else ""
            lines.append(f"  {source} {ARROWS[kind]}{text} {target}")
        if self.left_out:
            lines.append(f"  %% {self.left_out} more are not drawn: see the table")
        return "\n".join(lines)


def quoted(text: str) -> str:
    """Return text as it may stand between quotes in Mermaid."""
    return "".join(_ESCAPES.get(character, character if character.isprintable() else "?") for character in text)[:120]


def reach(found: Mapping[str, Any]) -> str:
    """Return the picture of a reach: one arrow for each server, model or the like, with what may be done there."""
    chart = Diagram()
    me = chart.node(f"me:{found['name']}", found["name"], " ".join(found["zones"]), "([])")
    for place, kind, zone, touches in places(found["items"]):
        for effect in ("allow", "depends", "hold"):
            names = [_short(touch) for touch in touches if touch["effect"] == effect]
            if names:
                shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
                chart.arrow(me, chart.node(f"{kind}:{place}", place, zone, SHAPES.get(kind, "[]")), effect, f"{effect}: {shown}")
    return chart.text()


def crossings(found: Mapping[str, Any]) -> str:
    """Return the picture of a map: what agents crossed to, by server, model or the like, drawn by how it stands."""
    chart = Diagram()
    homes = found.get("homes", {})
    grouped: dict[tuple[str, str, str, str, str], list[Mapping[str, Any]]] = {}
    for row in found["crossings"]:
        kind, _, name = row["resource"].partition("::")
        place, kind = (name.partition("/")[0], "Server") if kind == "Tool" else (name or kind, kind)
        grouped.setdefault((row["agent"], kind, place, row["zone"], row["state"]), []).append(row)
    for (agent, kind, place, zone, state), rows in sorted(grouped.items()):
        me = chart.node(f"me:{agent}", agent, homes.get(agent, ""), "([])")
        there = chart.node(f"{kind}:{place}", place, zone, SHAPES.get(kind, "[]"))
        chart.arrow(me, there, _ARROW_OF[state], _said(state, rows))
    return chart.text()


def _said(state: str, rows: Sequence[Mapping[str, Any]]) -> str:
    if state == "unused":
        return f"{len(rows)} never used"
    counts = ((sum(row[name] for row in rows), said) for name, said in (("allowed", "allowed"), ("held", "held"), ("refused", "refused")))
    told = " · ".join(f"{count} {said}" for count, said in counts if count)
    return told if state == "used" else f"{_STATES[state]}: {told}"


_STATES = {"undeclared": "not declared", "gone": "not permitted any more", "refused": "never permitted"}
_ARROW_OF = {"used": "allow", "undeclared": "allow", "gone": "hold", "refused": "refused", "unused": "hold"}
SHAPES = {"Model": "{{}}", "Source": "[()]", "Agent": "([])", "Api": "[[]]"}


def places(touches: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, list[Mapping[str, Any]]]]:
    """Return touches by the server, model, api … they are on, with its kind and zone."""
    found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for touch in touches:
        kind, resource = touch["kind"], touch["resource"]
        if kind == "Tool":
            kind, resource = "Server", resource.partition("/")[0]
        found.setdefault((resource, kind, touch["zone"]), []).append(touch)
    return [(*key, each) for key, each in sorted(found.items(), key=lambda item: (item[0][2], item[0]))]


def _short(touch: Mapping[str, Any]) -> str:
    return touch["action"].partition("/")[2] or touch["action"] if touch["kind"] == "Tool" else str(touch["action"])
