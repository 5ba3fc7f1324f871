"""Where each value of a session came from, as people are shown it."""

from collections import Counter
from dataclasses import dataclass

from ostiary.provenance.flow import Flow

MAX_SHOWN = 1_000
"""Values of one session that are shown; the others are counted."""

_KINDS = {
    "r": "link to read",
    "e": "e-mail",
    "u": "link",
    "i": "account",
    "d": "date",
    "D": "date",
    "h": "time",
    "t": "phone",
    "n": "number",
    "w": "text",
    "x": "text",
}


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One trusted value in canonical form."""

    kind: str
    value: str
    origin: str
    source: str


@dataclass(frozen=True, slots=True)
class ShownSource:
    """One place values came from: how many it vouches for, and how many words of somebody's text it brought."""

    name: str
    origin: str
    values: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A session's information flow. `is_forgetful`: from then on what is not known is `untrusted`."""

    sources: tuple[ShownSource, ...]
    values: tuple[ShownValue, ...]
    left_out: int
    is_forgetful: bool


def shown(flow: Flow) -> Shown:
    """Return each source and each trusted value, best origins first."""
    index, seen, count = flow.index, dict[ShownValue, None](), Counter[str]()
    for key, source in index.values():
        kind, _, value = key.partition(":")
        found = ShownValue(_KINDS.get(kind, "identifier" if kind[:1] == "#" else "value"), value, source.origin, source.name)
        if found not in seen:
            seen[found] = None
            count[f"{source.origin}|{source.name}"] += 1
    texts = index.texts()
    sources = tuple(
        ShownSource(source.name, source.origin, count[f"{source.origin}|{source.name}"], texts[source])
        for source in index.sources
        if count[f"{source.origin}|{source.name}"] or texts[source]
    )
    values = tuple(seen)
    return Shown(sources, values[:MAX_SHOWN], max(0, len(values) - MAX_SHOWN), index.has_forgotten)
