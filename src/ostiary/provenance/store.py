"""The memory of one session: which values entered it, and from where; bounded, and safe in what it forgets.

What grants trust is held by exact canonical key. Somebody's text is held as loose tokens, only to say `untrusted` instead of
`model`. Both are kept in two generations: when the younger is full the older is dropped, so memory and time stay flat.
The rule of forgetting: a value no longer known is `untrusted`. The user's own words are never dropped.
"""

import hashlib
import json
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from ostiary.core.quick import quick
from ostiary.provenance.labels import ORIGINS, RANK
from ostiary.provenance.request import Request, wanted_from
from ostiary.provenance.told import Told
from ostiary.provenance.words import STOP, fold, is_recognisable, tokens

MAX_TRUSTED = 5_000
"""Trusted values a generation; up to twice as many are known."""
MAX_TOKENS = 2_500
"""Tokens of somebody's text a generation."""
MAX_KEY = 96
"""Longest key, in characters, kept as it is; a longer one is kept as its digest."""
MAX_AMOUNTS = 24
"""Amounts that sums are computed from again."""
MAX_SOURCES = 255
MAX_WORDS = 16_384
"""Characters of the user's own words that are remembered."""


@quick
@dataclass(frozen=True, slots=True)
class Source:
    """Where values came from, as shown to people: `the user's request`, `mail/read_mail`."""

    origin: str
    name: str


USER = Source("user", "the user's request")
GUESS = Source("derived", "another reading of the user's request")
OVERFLOW = Source("untrusted", "one of many sources")

_HEAD = 48
"""Characters of a text that are looked at first."""
_MEANINGFUL = re.compile(r"[/\\;|&$`<>(){}@=\x00-\x1f]")
_JOINS = re.compile(r"[\w@/\\\-+=&$%~]")
_ENDS = re.compile(r"[.:,][\w/]")


@dataclass(slots=True)
class Generations:
    """A bounded map in two generations; what is learned again stays, what is not goes."""

    limit: int
    young: dict[str, int] = field(default_factory=dict)
    old: dict[str, int] = field(default_factory=dict)
    has_forgotten: bool = False

    def get(self, key: str) -> int | None:
        """Return what is known of a key."""
        found = self.young.get(key)
        return self.old.get(key) if found is None else found

    def put(self, key: str, value: int) -> None:
        """Remember one key."""
        if len(self.young) >= self.limit:
            self._turn()
        self.young[key] = value

    def update(self, entries: dict[str, int]) -> None:
        """Remember many at once; more than a generation's worth keeps the newest."""
        if len(self.young) + len(entries) > self.limit:
            self._turn()
            if len(entries) > self.limit:
                entries = dict(list(entries.items())[-self.limit :])
                self.has_forgotten = True
        self.young.update(entries)

    def _turn(self) -> None:
        self.has_forgotten = self.has_forgotten or bool(self.old)
        self.old, self.young = self.young, {}

    def __len__(self) -> int:
        return len(self.young) + len(self.old)


class ValueIndex:
    """The values of one session by canonical key, each with its best origin."""

    def __init__(self) -> None:
        self.sources: list[Source] = [USER, GUESS]
        self._source_ids: dict[Source, int] = {USER: 0, GUESS: 1}
        self._own: dict[str, int] = {}
        self._trusted = Generations(MAX_TRUSTED)
        self._seen = Generations(MAX_TOKENS)
        self._words = self._raw = " "
        self.vocabulary: set[str] = set()
        """The folded words of the user."""
        self._has_forgotten = False
        self._amounts: deque[Decimal] = deque(maxlen=MAX_AMOUNTS)
        self.request = Request()
        self.told = Told()

    @property
    def has_forgotten(self) -> bool:
        """True once anything was dropped: from then on what is not known is `untrusted`."""
        return self._has_forgotten or self._seen.has_forgotten

    @property
    def has_room_for_sources(self) -> bool:
        """Say whether each object may still have a name of its own; else each tool has one."""
        return len(self.sources) < MAX_SOURCES - 55

    def forget_some(self) -> None:
        """Note that content entered which was not remembered."""
        self._has_forgotten = True

    def source(self, origin: str, name: str) -> int:
        """Return the number of a source; past 255 of them, names are no longer kept apart."""
        wanted = Source(origin, name)
        number = self._source_ids.get(wanted)
        if number is None:
            if len(self.sources) >= MAX_SOURCES:
                wanted = OVERFLOW if origin == "untrusted" else Source(origin, "one of many sources")
                number = self._source_ids.get(wanted)
            if number is None:
                number = self._source_ids[wanted] = len(self.sources)
                self.sources.append(wanted)
        return number

    def own(self, keys: Iterable[str], source: int = 0) -> None:
        """Remember keys of the user's request for as long as the session lives."""
        for key in keys:
            if len(self._own) < MAX_TRUSTED:
                self._own.setdefault(shorten(key), source)
                if key[:2] == "n:":
                    self._count(key)

    def _count(self, key: str) -> None:
        if len(key) < 32 and " " not in key:
            with suppress(InvalidOperation):
                self._amounts.append(Decimal(key[2:]))

    def say(self, text: str, joined: str) -> None:
        """Add to the user's own words; `joined` is the text with the parts of each account and phone number joined."""
        room = MAX_WORDS - len(self._words)
        if room <= 0:
            return
        found = tokens(joined[:room])
        self._raw += " ".join(text[:room].split()) + " \0 "
        folded = [fold(token) for token in found]
        self._words += " ".join(folded) + " | "
        self.vocabulary.update(folded)

    def trust(self, keys: Iterable[str], source: int) -> None:
        """Remember keys of values a trusted source vouches for; a better origin known before stays."""
        young = self._trusted.young
        for long_key in keys:
            if young.get(long_key) == source:
                continue
            key = long_key if len(long_key) <= MAX_KEY else shorten(long_key)
            known = young.get(key)
            if known is None and (known := self._trusted.old.get(key)) is not None:
                self._trusted.put(key, known)
                young = self._trusted.young
            if known is None or (known != source and RANK[self.sources[known].origin] > RANK[self.sources[source].origin]):
                self._trusted.put(key, source)
                young = self._trusted.young
                if key[:2] == "n:":
                    self._count(key)

    def saw(self, found: list[str], source: int) -> None:
        """Remember tokens of somebody's text."""
        self._seen.update(dict.fromkeys(found, source))

    def find(self, key: str) -> Source | None:
        """Return the best source of a canonical key, or None when nobody trusted is known to have given it."""
        key = shorten(key)
        number = self._own.get(key)
        if number is None:
            number = self._trusted.get(key)
        return None if number is None else self.sources[number]

    def knows_word(self, word: str) -> bool:
        """Say whether a folded token stands in the user's own words and names something."""
        return word in self.vocabulary and word not in STOP

    def speaks_of(self, noun: str) -> bool:
        """Say whether the user's words hold a noun, one or many: `channels`, `channel`."""
        return bool({noun, noun.removesuffix("s"), noun.removesuffix("es")} & self.vocabulary)

    def shares_no_word(self, text: str) -> bool:
        """Say, quickly, that no word of a text stands in the user's own words."""
        folded = text.lower() if text.isascii() else fold(text)
        return self.vocabulary.isdisjoint(folded.split()) if " " in folded else folded not in self.vocabulary

    def said(self, text: str) -> bool:
        """Say whether a text stands, whole and word by word, in the user's own words, and names something.

        A text with signs that a path, a command or an address gives a meaning to must stand there sign by sign.
        """
        if len(text) > 2 * len(self._words):
            return False
        if len(text) > _HEAD:
            head = tokens(text[:_HEAD])
            if len(head) > 1 and fold(head[0]) not in self.vocabulary:
                return False
        found = tokens(text)
        if not found or fold(found[0]) not in self.vocabulary:
            return False
        folded = [fold(token) for token in found]
        if not self.vocabulary.issuperset(folded):
            return False
        if not is_recognisable(folded):
            return len(text) > 1 and text.isupper() and self._wrote(text)
        if _MEANINGFUL.search(text.strip().lstrip("@#")) is not None:
            return self._wrote(" ".join(text.split()))
        return f" {' '.join(folded)} " in self._words

    def echoes(self, text: str) -> bool:
        """Say whether each word of a text is one of the user's, or begins one, as `open` does `opened` and `offen` does `offenen`."""
        words = [fold(token) for token in tokens(text[:256])]
        return bool(words) and all(
            word in self.vocabulary or word in STOP or (len(word) > 3 and any(own.startswith(word) for own in self.vocabulary))
            for word in words
        )

    def has_initials(self, letters: str) -> bool:
        """Say whether words that stand together in the user's own words begin with these capitals: `NY` for `New York`."""
        pattern = r"[ -]".join(rf"{re.escape(letter)}\w+" for letter in letters)
        return re.search(rf"(?<!\w){pattern}(?!\w)", self._raw) is not None

    def _wrote(self, text: str) -> bool:
        at = self._raw.find(text)
        while at >= 0:
            end = at + len(text)
            before, after = self._raw[at - 1], self._raw[end : end + 2]
            if _JOINS.match(before) is None and _JOINS.match(after) is None and _ENDS.match(after) is None:
                return True
            at = self._raw.find(text, at + 1)
        return False

    def wants(self, source: str) -> list[str]:
        """Return what kinds of value the user says are to be found at a source."""
        return wanted_from(self._raw, source)

    def before(self, noun: str) -> set[str]:
        """Return the folded words that stand right before a noun in the user's own words."""
        found = self._words.split()
        return {word for word, following in pairwise(found) if following.rstrip("s") == noun.rstrip("s")}

    def seen(self, token: str) -> Source | None:
        """Return which source's text held a loose token."""
        number = self._seen.get(token)
        return None if number is None else self.sources[number]

    def seen_all(self, tokens: list[str], least: int) -> Source | None:
        """Return the source of the last of these tokens that is known; None when one of at least `least` characters is not."""
        young, old, last = self._seen.young.get, self._seen.old.get, None
        numbers = list(map(young, tokens))
        if numbers and None not in numbers:
            return self.sources[numbers[-1]]  # type: ignore[index]
        for token in tokens:
            number = young(token)
            if number is None:
                number = old(token)
            if number is not None:
                last = number
            elif len(token) >= least:
                return None
        return None if last is None else self.sources[last]

    def values(self) -> Iterable[tuple[str, Source]]:
        """Iterate the trusted values with their sources."""
        for known in (self._own, self._trusted.old, self._trusted.young):
            for key, number in known.items():
                yield key, self.sources[number]

    def texts(self) -> "Counter[Source]":
        """Return how many tokens of somebody's text are known of each source."""
        numbers = Counter(self._seen.old.values()) + Counter(self._seen.young.values())
        return Counter({self.sources[number]: count for number, count in numbers.items()})

    def amounts(self) -> "deque[Decimal]":
        """Return the newest trusted amounts, for computing sums again: the user's and the latest vouched ones."""
        return self._amounts

    def __len__(self) -> int:
        return len(self._own) + len(self._trusted) + len(self._seen)

    def distrust(self, source: int) -> None:
        """Forget every value a source alone vouched for, and the amounts among them."""
        self.told.drop(source)
        gone: set[str] = set()
        for part in (self._trusted.old, self._trusted.young):
            found = [key for key, number in part.items() if number == source]
            gone.update(found)
            for key in found:
                del part[key]
        lost = {Decimal(key[2:]) for key in gone if key[:2] == "n:" and len(key) < 32 and " " not in key and self.find(key) is None}
        if lost:
            self._amounts = deque((amount for amount in self._amounts if amount not in lost), maxlen=MAX_AMOUNTS)

    def dump(self) -> bytes:
        """Return the index as bytes, for a restart or another worker."""
        return pack(self.state())

    def state(self) -> dict[str, Any]:
        """Return a copy of everything that is kept, as JSON values."""
        return {
            "version": 1,
            "sources": [[source.origin, source.name] for source in self.sources],
            "own": dict(self._own),
            "trusted": [dict(self._trusted.old), dict(self._trusted.young)],
            "seen": [dict(self._seen.old), dict(self._seen.young)],
            "amounts": [str(amount) for amount in self._amounts],
            "lasts": list(self.request.minutes),
            "words": [self._words, self._raw],
            "told": {str(number): words for number, words in self.told.words.items()},
            "forgotten": self.has_forgotten,
        }

    @classmethod
    def load(cls, dumped: bytes) -> "ValueIndex":
        """Return the index `dump` wrote. Raises ValueError when it is anything else."""
        try:
            reader = zlib.decompressobj()
            state: dict[str, Any] = json.loads(reader.decompress(dumped, 8_000_000).decode("utf-8", "surrogatepass"))
            if state["version"] != 1:
                raise ValueError("another version")
            index = cls()
            index.sources = [Source(str(origin), str(name)) for origin, name in state["sources"]]
            if index.sources[:2] != [USER, GUESS] or not all(source.origin in ORIGINS for source in index.sources):
                raise ValueError("unknown origins")
            index._source_ids = {source: number for number, source in enumerate(index.sources)}
            count = len(index.sources)
            index._own = _checked(state["own"], count)
            index._trusted.old, index._trusted.young = (_checked(part, count) for part in state["trusted"])
            index._seen.old, index._seen.young = (_checked(part, count) for part in state["seen"])
            index._words, index._raw = map(str, state["words"])
            index.vocabulary = {word for word in index._words.split() if word != "|"}
            index._amounts.extend(Decimal(str(amount)) for amount in state["amounts"])
            index.request.hear(index._raw)
            index.request.has_clock = any(key[:2] == "h:" and number == 0 for key, number in index._own.items())
            for minutes in state["lasts"][: 2 * MAX_AMOUNTS]:
                index.request.last(int(minutes))
            index.told.words = {number: str(words) for number, words in _told(state.get("told", {}), count)}
            index._has_forgotten = bool(state["forgotten"])
        except (zlib.error, KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise ValueError(f"not the values of a session: {error}") from error
        return index


def pack(state: Mapping[str, Any]) -> bytes:
    """Return the state of an index as bytes."""
    return zlib.compress(json.dumps(state, ensure_ascii=False).encode("utf-8", "surrogatepass"), 1)


def shorten(key: str) -> str:
    """Return a key as it is kept: a long one as its digest, so that memory is bounded."""
    if len(key) <= MAX_KEY:
        return key
    return "x:" + hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()


def _checked(entries: Any, count: int) -> dict[str, int]:
    if not isinstance(entries, dict) or not all(type(number) is int and 0 <= number < count for number in entries.values()):
        raise ValueError("a value without a source")
    return entries


def _told(entries: Any, count: int) -> list[tuple[int, Any]]:
    found = [(int(number), words) for number, words in dict(entries).items()]
    if not all(0 <= number < count for number, _ in found):
        raise ValueError("words without a source")
    return found
