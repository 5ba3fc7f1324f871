"""Finds entries: the index where it reaches, the leaves themselves where it does not, and every hit checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from ostiary.core.errors import InvalidAction
from ostiary.ledger.index import FIELDS, LedgerIndex, Want, words
from ostiary.ledger.leaf import Leaf, decode
from ostiary.ledger.store import LedgerSource
from ostiary.ledger.vault import PERSON, Vault

_PEOPLE = ("actor", "owner", "person", "on_behalf_of")
_STEP = 512
Value = str | Sequence[str] | None
Found = Iterator[tuple[int, Leaf]]


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: words, ids and a time; each condition must be met."""

    wants: tuple[Want, ...]
    ids: tuple[str, ...] | None = None
    intents: tuple[str, ...] | None = None
    since_us: int | None = None
    until_us: int | None = None

    def run(self, source: LedgerSource, index: LedgerIndex | None, high: int, limit: int) -> Found:
        """Iterate at most `limit` entries below index `high`, newest first."""
        done = min(index.projected(), high) if index is not None else 0
        indexed = self._indexed(source, index, done, max(limit, _STEP)) if index is not None and done else iter(())
        candidates = chain(backwards(source, done, high), indexed)
        return islice((item for item in candidates if self._is_met(item[1])), limit)

    def _is_met(self, leaf: Leaf) -> bool:
        if self.since_us is not None and leaf.at < self.since_us:
            return False
        if self.until_us is not None and leaf.at > self.until_us:
            return False
        if self.ids is not None and leaf.id not in self.ids:
            return False
        if self.intents is not None and leaf.intent not in self.intents:
            return False
        found = words(leaf) if self.wants else set()
        return all(want.is_met(found) for want in self.wants)

    def _indexed(self, source: LedgerSource, index: LedgerIndex, done: int, step: int) -> Found:
        low, high = index.span(self.since_us, self.until_us)
        high = min(high, done)
        if self.ids is not None or self.intents is not None:
            yield from _at(source, [place for place in self._named(index) if low <= place < high])
        elif not self.wants:
            yield from backwards(source, low, high)
        else:
            while low < high:
                places = index.find(self.wants, low, high, step)
                yield from _at(source, places)
                high = places[-1] if len(places) >= step else low

    def _named(self, index: LedgerIndex) -> list[int]:
        if self.ids is not None:
            places = {index.place(entry_id) for entry_id in self.ids}
            return sorted((place for place in places if place is not None), reverse=True)
        return sorted({place for intent in self.intents or () for place in index.outcomes(intent)}, reverse=True)


def ask(fields: Mapping[str, Value], text: str | None, since: float | None, until: float | None, vault: Vault | None) -> Query:
    """Return the query for filters as people write them. Raises InvalidAction for a filter that does not exist."""
    asked: dict[str, tuple[str, ...]] = {}
    for field, value in fields.items():
        if field not in FIELDS:
            raise InvalidAction(f"no filter `{field}`: there are {', '.join(sorted(FIELDS))}")
        if value:
            asked[field] = (value,) if isinstance(value, str) else tuple(value)
    ids, intents = asked.pop("id", None), asked.pop("intent", None)
    wants = [_want(field, values, vault) for field, values in asked.items()]
    if text:
        wants.append(Want(text=text.lower()))
    return Query(tuple(wants), ids, intents, _micro(since), _micro(until))


def backwards(source: LedgerSource, low: int, high: int) -> Found:
    """Iterate entries from the newest below `high` down to `low`."""
    while high > low:
        first = max(low, high - _STEP)
        for index, leaf in reversed([*source.leaves(first, high)]):
            yield index, decode(leaf)
        high = first


def _at(source: LedgerSource, places: Sequence[int]) -> Found:
    for place in places:
        for index, leaf in source.leaves(place, place + 1):
            yield index, decode(leaf)


def _want(field: str, values: Sequence[str], vault: Vault | None) -> Want:
    exact: set[str] = set()
    endings: set[str] = set()
    for value in values:
        exact.add(f"{field}={value}")
        if field in _PEOPLE and vault is not None and (handle := vault.known_person(value)):
            exact.add(f"{field}={handle}")
        if field in ("resource", "action") and vault is not None:
            kind, mark, name = value.partition("::")
            exact.add(f"{field}={kind}::{vault.word(name)}" if mark else f"{field}={vault.word(value)}")
        if field in ("actor", "on_behalf_of") and "/" not in value and not value.startswith(PERSON):
            endings.add(f"/agent/{value}")
        if field == "resource" and "::" not in value:
            endings.add(f"::{value}")
    return Want(frozenset(exact), field, frozenset(endings))


def _micro(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1_000_000)


__all__ = ["FIELDS", "Query", "ask", "backwards"]
