"""Where each argument of an action came from: every leaf gets its best origin, every argument the worst of its leaves."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date as date_of
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from ostiary.core.quick import quick
from ostiary.provenance import forms
from ostiary.provenance.asked import is_asked
from ostiary.provenance.labels import SAFE, worst
from ostiary.provenance.profile import decides, is_count, is_field, is_identifier, is_money, is_payload
from ostiary.provenance.store import Source, ValueIndex
from ostiary.provenance.told import BACK, NONE, TOLD, Bounds, is_place, is_place_name
from ostiary.provenance.words import STOP, fold, loose_tokens, parts

MAX_LEAVES = 2_000
"""Scalars of one action that are looked at; what comes after is untrusted."""
MAX_LINKS = 512
"""Links of one action that are looked at; past it, the prose that holds them is untrusted."""
MAX_DEPTH = 64
MAX_TEXT = 16_384
"""Characters of one action that are compared; what comes after is untrusted."""
MAX_PART = 64
"""Longest text, in characters, that is compared as one part of a value in two arguments."""
MIN_SUM = 100
"""Smallest whole number that is believed to be a sum of any two known amounts."""
MAX_ECHO = 256
"""Longest question, in characters, that may be put to the open world in the user's own words."""
MAX_COMPARED = 4_096
"""Characters of one text that are compared; what is longer counts as nobody's known value."""

MODEL = Source("model", "the model's own choice")
UNTRUSTED = Source("untrusted", "text of unknown source")
DEFINITION = Source("directory", "the tool's accepted definition")
COMPOSED = Source("derived", "put together from known values")

READABLE = "r:"
"""Before the key of a link that may be read, and nothing else done with it."""

_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,30}:)?//[^\s<>\"'`)\]]+|www\.[^\s<>\"'`)\]]+|(?:data|javascript|mailto|file):[^\s<>\"')\]]+", re.IGNORECASE
)
_LINK_MARKS = ("//", "www.", "data:", "javascript:", "mailto:", "file:")
_LIST = re.compile(r"\s*[,;]\s*|\s+")


@quick
@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar of an argument, with the name it has there and what the schema says of it."""

    value: Any
    name: str
    schema: Mapping[str, Any]


@dataclass(slots=True)
class Tracer:
    """Finds origins in one session's values. `directories` are the registry's own lists, shared by all sessions."""

    index: ValueIndex
    directories: Mapping[str, Source]
    years: frozenset[int] = frozenset()
    """Years a date without one may mean."""
    server: str = ""
    is_reading: bool = False
    """True when the tool only reads, so that links lent for reading count."""
    is_confirmed: bool = False
    """True when an operator confirmed what the tool's arguments mean."""
    bounds: Bounds = NONE
    """What may be used of what the user told the agent to follow."""
    is_outward: bool = False
    """True when it reads in the open world, which may be asked in the user's own words, in whatever order."""
    room: int = MAX_TEXT
    """Characters of this action that may still be compared."""
    leaves_left: int = MAX_LEAVES
    links_left: int = MAX_LINKS

    def argument(self, name: str, value: Any, schema: Mapping[str, Any]) -> Source:
        """Return the worst of the best origins of an argument's leaves.

        Inside an object, each field counts as what its own name and schema say it is.
        """
        found: Source | None = None
        for leaf in leaves(name, value, schema):
            self.leaves_left -= 1
            if self.leaves_left < 0:
                return UNTRUSTED
            source = self.leaf(leaf) if leaf.name is name or not leaf.schema else self._field(leaf)
            if found is None or worst((found.origin, source.origin)) != found.origin:
                found = source
        return found or self._nowhere()

    def _field(self, leaf: Leaf) -> Source:
        if is_payload(leaf.name, leaf.schema):
            _, bad = self.payload(leaf.value, leaf.name, leaf.schema)
            return bad or DEFINITION
        if not decides(leaf.name, leaf.schema) and self.is_harmless(leaf.value, leaf.schema):
            return DEFINITION
        return self.leaf(leaf)

    def is_harmless(self, value: Any, schema: Mapping[str, Any]) -> bool:
        """Say whether a value of an argument that decides nothing is one its schema lists, and stands for no deed nobody asked for."""
        options = schema.get("enum")
        if not isinstance(options, list):
            return True
        return value in options and not (isinstance(value, str) and not is_asked(value, self.index.request.deeds))

    def leaf(self, leaf: Leaf) -> Source:
        """Return the best origin of one leaf."""
        value, schema = leaf.value, leaf.schema
        if _is_fixed(value, schema):
            return DEFINITION
        if value is None or value == "":
            return self._nowhere()
        if isinstance(value, bool):
            return self._boolean(leaf.name) if value else self._nowhere()
        if isinstance(value, int | float):
            return self._number(value, leaf.name) or self._nowhere()
        if isinstance(value, str):
            if isinstance(schema.get("enum"), list) and self._is_chosen(value, schema["enum"], leaf.name):
                return Source("user", "the user's request")
            return self._text(value, leaf.name)
        return UNTRUSTED

    def _is_chosen(self, value: str, options: list[Any], name: str) -> bool:
        """Say whether the user's words single out one of the schema's options: `read permissions` means `r` of `r, rw`."""
        noun = parts(name)[-1:]
        said = self.index.before(noun[0]) if noun else set[str]()
        meant = [option for option in options[:32] if isinstance(option, str) and any(_abbreviates(option.lower(), word) for word in said)]
        return meant == [value]

    def payload(self, value: Any, name: str, schema: Mapping[str, Any]) -> tuple[Source, Source | None]:
        """Return the origin of an argument that is prose, and the worst of the links it carries, if they are not safe."""
        found, bad = MODEL, None
        for leaf in leaves(name, value, schema):
            self.leaves_left -= 1
            if self.leaves_left < 0 or self.links_left < 0:
                return UNTRUSTED, UNTRUSTED
            if not isinstance(leaf.value, str):
                continue
            text = leaf.value
            if len(text) <= MAX_COMPARED and self.index.said(text):
                found = Source("user", "the user's request")
                continue
            for link in links(text, self.links_left + 1):
                self.links_left -= 1
                if self.links_left < 0:
                    return UNTRUSTED, UNTRUSTED
                source = self._link(link)
                if source.origin not in SAFE:
                    bad = source
            if (copied := self._copied(text)) is not None:
                found = copied
        return found, bad

    def _link(self, link: str) -> Source:
        link = link.rstrip(".,;:!?*_")
        return self._find(forms.link_key(link if "://" in link or link[:4].lower() == "www." else f"?{link}")) or self._nowhere()

    def _boolean(self, name: str) -> Source:
        """A flag is the user's when the user spoke of what it is named after."""
        named = [word for word in parts(name) if word not in STOP and word not in {"is", "has", "flag", "enabled"}]
        if named and all(self.index.knows_word(word) for word in named):
            return Source("user", "the user's request")
        return self._nowhere()

    def _number(self, value: float, name: str) -> Source | None:
        key = forms.number_key(value)
        if is_identifier(name):
            return self._identifier(key, name)
        if value == 1 and is_count(name):
            return COMPOSED
        return self._find(f"n:{key}") or self._recomputed(key, is_money=is_money(name))

    def _identifier(self, key: str, name: str) -> Source | None:
        """A number that names a thing is known only as such: `5` of `5 people` is not the file 5."""
        for noun in (*parts(name), "", "#", "number", "no", "nr"):
            if (source := self._find(f"#{noun}:{key}")) is not None:
                return source
        return next((source for each in numbered(key, name, self.server) if (source := self._find(each)) is not None), None)

    def _text(self, value: str, name: str) -> Source:
        self.room -= len(value)
        if self.room < 0:
            return UNTRUSTED
        if len(value) > MAX_COMPARED:
            return UNTRUSTED if self.index.has_forgotten or self._copied(value) else MODEL
        found = forms.whole(value)
        if found is not None:
            source = self._typed(found, name)
            if source is not None:
                return source
            if found.kind in {"url", "mail", "amount", "iban"}:
                return self._unknown(value)
        if self.index.said(value):
            return Source("user", "the user's request")
        if self.is_outward and len(value) <= MAX_ECHO and self.index.echoes(value):
            return COMPOSED
        if 2 <= len(value) <= 5 and value.isalpha() and value.isupper() and self.index.has_initials(value):
            return COMPOSED
        return self._find(f"w:{plain_key(value)}") or self._listed(value, name) or self._place(value, name) or self._unknown(value)

    def _typed(self, found: forms.Found, name: str) -> Source | None:
        if found.kind == "amount" and is_identifier(name) and " " not in found.keys[0]:
            return self._identifier(found.keys[0][2:], name)
        if found.keys and (source := self._find(found.keys[0])) is not None:
            return source
        if found.kind == "url" and self.is_reading:
            return self._find(f"{READABLE}{found.keys[0]}")
        if found.kind == "date" and found.keys:
            return self._date(found.keys[0])
        if found.kind == "amount":
            return self._recomputed(found.keys[0][2:], is_money=is_money(name))
        return None

    def _date(self, key: str) -> Source | None:
        """A date with its time is known when both are; one whose year the user left open, in a year near by."""
        day, _, at = key[2:].partition("T")
        if at:
            if at[5:] in self.index.request.offsets:
                at = at[:5]
            date = self._find(f"d:{day}") or self._date(f"d:{day}")
            return COMPOSED if date is not None and self._is_clock(at) else None
        if int(day[:4]) in self.years and self._find(f"D:{day[5:]}") is not None:
            return COMPOSED
        for days in self.index.request.days:
            start = (date_of.fromisoformat(day) - timedelta(days=days)).isoformat()
            if self._find(f"d:{start}") is not None or self._find(f"D:{start[5:]}") is not None:
                return COMPOSED
        return None

    def _is_clock(self, at: str) -> bool:
        """Say whether a time of day is known, follows from one by a stated length, or bounds the day nobody gave a time for."""
        if self._find(f"h:{at}") is not None:
            return True
        request = self.index.request
        if not request.has_clock and at in {"00:00", "23:59"}:
            return True
        if len(at) != 5:
            return False
        end = int(at[:2]) * 60 + int(at[3:])
        starts = [end - minutes for minutes in request.minutes if minutes <= end]
        return any(self._find(f"h:{start // 60:02}:{start % 60:02}") is not None for start in starts)

    def _recomputed(self, key: str, *, is_money: bool) -> Source | None:
        """Say whether an amount is a sum or difference of two known ones, or the sum of all."""
        known = self.index.amounts()
        if not known or len(key) > 32 or " " in key:
            return None
        try:
            wanted = Decimal(key)
        except InvalidOperation:
            return None
        exact = set(known) - {Decimal(0)}
        if wanted == 0:
            return None
        parts_of = {one * factor for one in exact for factor in self.index.request.factors} | exact
        if wanted in parts_of or any(
            wanted - one in parts_of or wanted + one in parts_of for one in (parts_of if is_money else self._addends(wanted, parts_of))
        ):
            return COMPOSED
        if len(known) > 2 and wanted == sum(known):
            return COMPOSED
        return None

    def _addends(self, wanted: Decimal, known: Collection[Decimal]) -> Collection[Decimal]:
        """Return which amounts a sum may be made with: small whole numbers are hit by chance, so one of theirs is the user's."""
        if wanted != wanted.to_integral_value() or abs(wanted) >= MIN_SUM:
            return known
        return [one for one in known if (found := self._find(f"n:{forms.decimal_key(str(one))}")) is not None and found.origin == "user"]

    def _listed(self, value: str, name: str) -> Source | None:
        """A text that lists addresses is as good as the worst of them."""
        items = [item for item in _LIST.split(value) if item]
        if not 2 <= len(items) <= 64:
            return None
        found = [forms.whole(item) for item in items]
        if any(item is None or item.kind not in {"mail", "url", "iban", "phone"} for item in found):
            return None
        sources = [self._typed(item, name) for item in found if item is not None]
        known = [source for source in sources if source is not None]
        if len(known) < len(items):
            return None
        return max(known, key=lambda source: len(SAFE) if source.origin not in SAFE else _order(source))

    def _place(self, value: str, name: str) -> Source | None:
        """A place that what the user told the agent to follow names."""
        if not self.bounds.has_when_and_where or not is_place(name) or not is_place_name(value):
            return None
        number = self.index.told.find(value)
        return None if number is None else self.index.sources[number]

    def _find(self, key: str) -> Source | None:
        found = self.index.find(key) or self.directories.get(key)
        if found is None and self.bounds is not NONE:
            return self.index.find(f"{BACK if self.bounds.gives_back else TOLD}{key}") if self.bounds.admits(key) else None
        return found

    def _unknown(self, value: str) -> Source:
        return self._copied(value) or self._nowhere()

    def _copied(self, text: str) -> Source | None:
        """Return whose text held every token of this one (the first ones are asked), looked at generously."""
        return self.index.seen_all(loose_tokens(text[:1_024], 64), MIN_TOKEN)

    def _nowhere(self) -> Source:
        return UNTRUSTED if self.index.has_forgotten else MODEL


MIN_TOKEN = 4
"""Shorter tokens of somebody's text are not remembered."""


def numbered(key: str, name: str, server: str) -> list[str]:
    """Return the keys of a number that names a thing: on its server, and wherever a field has the same telling name."""
    words = parts(name)
    telling = len(words) > 1 or (words and len(words[0]) > 9)
    return [f"#@{server}:{key}", *([f"#={'_'.join(words)}:{key}"] if telling else ())]


def _abbreviates(option: str, word: str) -> bool:
    return bool(option) and (word.startswith(option) or (len(word) > 2 and option.startswith(word)))


def links(text: str, most: int = MAX_LINKS) -> list[str]:
    """Return whatever a reader's program could take for a link, the first `most` of them."""
    lowered = text.lower()
    return [found[0] for found in islice(_LINK.finditer(text), most)] if any(mark in lowered for mark in _LINK_MARKS) else []


def plain_key(text: str) -> str:
    """Return the key text of words: folded, with single spaces."""
    return " ".join(fold(text).split())


def leaves(name: str, value: Any, schema: Mapping[str, Any], depth: int = 0) -> Iterator[Leaf]:
    """Iterate the scalars of an argument; keys the schema does not name are values too; too deep is one unknown leaf."""
    if isinstance(value, str):
        yield Leaf(value, name, schema)
    elif isinstance(value, Mapping):
        if not value or depth > MAX_DEPTH:
            yield Leaf(None if not value else object(), name, schema)
            return
        properties = _mapping(schema.get("properties"))
        for key, item in value.items():
            if key not in properties and (properties or not isinstance(key, str) or not is_field(key)):
                yield Leaf(key, name, {})
            yield from leaves(str(key), item, _mapping(properties.get(key)), depth + 1)
    elif isinstance(value, list | tuple):
        if not value or depth > MAX_DEPTH:
            yield Leaf(None if not value else object(), name, schema)
            return
        items = _mapping(schema.get("items"))
        for item in value:
            yield from leaves(name, item, items, depth + 1)
    else:
        yield Leaf(value, name, schema)


def _is_fixed(value: Any, schema: Mapping[str, Any]) -> bool:
    """Say whether the value is the one the accepted schema fixes or falls back to; absent and null are the same."""
    return any(word in schema and type(schema[word]) is type(value) and schema[word] == value for word in ("default", "const"))


def _order(source: Source) -> int:
    return ("user", "directory", "attested", "lent", "derived").index(source.origin)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if type(value) is dict or isinstance(value, Mapping) else {}
