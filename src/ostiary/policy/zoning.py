"""Who enters which zone: what keeps one part of the company from reaching into another by a rule that did not mean it (R-P5).

A link enters the zones of the resource that it does not stand in itself; the actor always, the links before it when they
stand in some zone at all. So another link in a chain never opens a zone. What a link is permitted counts only if one of
the permits that decided names the zones it enters.
"""

from collections.abc import Sequence

from ostiary.policy.entities import EntityGraph, Uid

LENDING = "open_session"
"""Lends rights and enters nothing: each action of the session is asked for every link."""
_NONE: frozenset[str] = frozenset()


def entered(graph: EntityGraph, chain: Sequence[Uid], action: str, resource: Uid) -> tuple[frozenset[str], ...]:
    """Return for each link of a chain, the actor last, the zones it enters by acting on a resource."""
    target = graph.zones(resource)
    if not target or action == LENDING:
        return (_NONE,) * len(chain)
    *before, actor = [graph.zones(uid) for uid in chain]
    return (*(target - zones if zones else _NONE for zones in before), target - actor)
