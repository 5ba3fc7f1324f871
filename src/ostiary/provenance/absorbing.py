"""What an answer adds to a session: vouched fields of objects the user named become known values, the rest is somebody's text.

A field the system of record vouches for is worth trusting only on an object the user meant: anybody can send a mail, and
its sender field is genuine all the same.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from ostiary.provenance import forms, telling
from ostiary.provenance.answers import MAX_NODES
from ostiary.provenance.asked import choice_of
from ostiary.provenance.fields import MAX_SHAPED, Fields, Own, Sought, Step, Taken, Width, is_code, is_shaped
from ostiary.provenance.keys import keys_of
from ostiary.provenance.profile import is_identifier, is_naming
from ostiary.provenance.request import extreme
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.tables import host_of, is_new, is_table, row, slug_of
from ostiary.provenance.tracing import plain_key
from ostiary.provenance.words import fold, parts, shares_stem, tokens

MAX_DEPTH = 64

_OWNED = re.compile(r"[\w-]{1,40}/[\w.-]{1,64}")
"""How systems name a thing by its owner: `owner/name`."""
_NAMES = frozenset({"name", "nombre", "nome", "nom"})
_PERSONAL = frozenset(
    [
        "name",
        "nom",
        "nombre",
        "nome",
        "contact",
        "kontakt",
        "person",
        "customer",
        "client",
        "kunde",
        "mitarbeiter",
        "employee",
        "supplier",
        "vendor",
        "payee",
        "sender",
        "owner",
        "author",
        "caller",
        "requester",
        "traveller",
        "traveler",
        "guest",
    ]
)


CONTAINERS = (dict, list)
NOBODY: frozenset[int] = frozenset()
ALONE = ("p:", "s:", "f:")
"""Keys that must single out one record: part of a person's name, a beginning, the words of a file's name."""
STRONG = ("e:", "i:", "u:", "t:", *tuple(f"#{digit}" for digit in "-0123456789"))
"""Keys that name one thing wherever it stands: addresses, accounts, links, numbers."""
HINT = "q:"
"""A key that only points: one word of a title."""
SHAPE = "v:"
"""A key that only points, however many share it: a short value the user said, in a field nobody declared a name."""
POINTERS = (HINT, SHAPE)
MAX_POINTED = 64
"""Records of one answer the user can have pointed at together."""
NOTHING: frozenset[str] = frozenset()
DIGITS = frozenset("+0123456789")
NO_STEPS: dict[str, Step] = {}


@dataclass(slots=True)
class Absorber:
    """Takes one answer of a trusted source with a confirmed profile apart."""

    index: ValueIndex
    server: str
    fields: Fields
    attested_source: int
    directory_source: int
    width: Width = Width.WIDE
    is_named: bool = False
    """True when the call itself asked for one object by a name or number that is safe."""
    sought: Sought = Sought.LOOSELY
    phrases: tuple[str, ...] = ()
    """What the user's words searched for: of several records found, the one that holds it word by word is what was meant."""
    is_own: bool = False
    """True when the answer is the record of whom the session belongs to."""
    sent: str | None = None
    """What the act sent whose answer this is, folded; None for a read."""
    text: list[str] = field(default_factory=list)
    """Somebody's text that was found."""
    keys: set[str] = field(default_factory=set)
    has_somebodys: bool = False
    """True once a text was found that nobody vouches for."""
    is_whole: bool = False
    """True when the agent chose nothing of what was read."""
    offsets: set[str] = field(default_factory=set)
    """How far from UTC the times of this answer are: where all are alike, it is the system's clock."""
    nodes: int = 0
    listed: list[str] = field(default_factory=list)
    """Keys of directory values, until they are trusted together."""

    def take(self, tree: Any) -> None:
        """Learn the values of one tree."""
        if isinstance(tree, dict) and tree.keys() == {"result"}:
            tree = tree["result"]
        if isinstance(tree, list):
            self._records(tree, self.fields.root, inherited=False, depth=0)
        elif isinstance(tree, dict) and is_table(tree):
            self._records([row(*pair) for pair in tree.items()], self.fields.root, inherited=self.is_named, depth=0)
        else:
            if self.sent is not None and isinstance(tree, dict):
                self._made(tree, self.sent)
            self._records([tree], self.fields.root, inherited=self.is_named or self.is_own, depth=0)
        if len(self.offsets) == 1:
            self.index.request.clocks(*self.offsets)
        if self.listed:
            self.index.trust(self.listed, self.directory_source)
            self.listed = []

    def _made(self, answer: dict[str, Any], sent: str) -> None:
        """Trust what an act that was let through says it made: its number or code and its link, unless they were sent.

        An answer may repeat what the agent wrote, so nothing that stands in the call is believed, nor any address or account.
        """
        for key, value in list(answer.items())[:MAX_NODES]:
            step = self.fields.step("", key)
            if isinstance(value, bool) or not isinstance(value, str | int) or not step.is_attested:
                continue
            text = fold(str(value))
            host = host_of(text) if step.name.lower().endswith(("url", "link", "uri")) else ""
            if (host and host not in sent) or (is_new(value, step.name) and text not in sent):
                self.index.trust(keys_of(value, step.name, self.server), self.attested_source)

    def _records(self, items: list[Any], step: Step, *, inherited: bool, depth: int, is_pointed: bool = False) -> None:
        """Learn from the objects of one list; those the user named by a key that few of them share are believed.

        In a list inside an object the user named, all are, unless the user named some of them apart.
        """
        if len(items) > MAX_NODES:
            self.index.forget_some()
            items = items[:MAX_NODES]
        taken: Taken = []
        for item in items:
            own: Own = []
            nested: list[tuple[list[Any], Step]] = []
            self._collect(item, step, own, nested, depth)
            taken.append((own, nested))
        named, pointed = self._meant(taken, inherited=inherited)
        if is_pointed and not any(named) and len(taken) <= MAX_POINTED:
            pointed = frozenset(range(len(taken)))
        is_listed = not self.fields.noun or (not any(named) and self.index.speaks_of(self.fields.noun))
        if self.index.told.words or self.index.request.returned:
            telling.note(self.index, taken, self.server, self.attested_source if self.is_whole else None)
        for number, (own, nested) in enumerate(taken):
            self._learn(own, named=named[number], is_listed=is_listed)
            if pointed and number in pointed:
                self._point(own)
                self._measure(own)
            for inner, where in nested:
                is_its = named[number] and not (self.is_own and depth == 0)
                self._records(inner, where, inherited=is_its, depth=depth + 1, is_pointed=number in pointed and not own)

    def _meant(self, taken: Taken, *, inherited: bool) -> tuple[list[bool], set[int] | frozenset[int]]:
        """Say which records of a list the user named, and which others the user only pointed at."""
        names = [self._names(own) for own, _ in taken]
        if inherited and not any(names):
            return [True] * len(taken), NOBODY
        singled = self._singled_out(taken) if self.width is Width.WIDE and len(taken) > 1 and self.index.request.extremes else NOBODY
        sought = self._sought(taken)
        if not any(names):
            return [False] * len(taken), singled or sought
        if self.width is not Width.WIDE:
            names = [{name for name in found if name[:2] in STRONG or (self.width is Width.NARROW and " " in name)} for found in names]
        shared = Counter(name for found in names for name in found)
        most = max(1, len(taken) // 2)
        apart = [any(shared[name] <= (1 if name[:2] in ALONE else most) for name in found if name[:2] not in POINTERS) for found in names]
        if inherited and not any(apart):
            return [True] * len(taken), NOBODY
        if any(apart):
            sought = NOBODY
        pointed = {at for at, found in enumerate(names) if any(self._points(name, shared[name]) for name in found)}
        return apart, {at for at in pointed | singled | sought if not apart[at]}

    def _sought(self, taken: Taken) -> frozenset[int]:
        """Return the records the user's words led to, when the call was made of nothing else."""
        if self.sought is Sought.LOOSELY or len(taken) > MAX_POINTED:
            return NOBODY
        if self.sought is Sought.BY_VALUE or len(taken) == 1:
            return frozenset(range(len(taken)))
        holding = [number for number, (own, _) in enumerate(taken) if any(self._holds(value) for value, _ in own)]
        if len(holding) > 1:
            holding = [number for number in holding if any(self._resembles(value, step) for value, step in taken[number][0])]
        return frozenset(holding) if len(holding) == 1 else NOBODY

    def _resembles(self, value: Any, step: Step) -> bool:
        """Say whether a vouched name has a word of the same stem as one that was searched for."""
        if not step.is_attested or not is_naming(step.name) or not isinstance(value, str) or len(value) > MAX_SHAPED:
            return False
        words = [fold(word) for word in tokens(value)]
        return any(shares_stem(word, one) for word in words for phrase in self.phrases for one in phrase.split())

    def _holds(self, value: Any) -> bool:
        return isinstance(value, str) and any(phrase in fold(value[:1_024]) for phrase in self.phrases)

    @staticmethod
    def _points(name: str, sharing: int) -> bool:
        """Say whether a key points at the records that have it: a word of a title at one, a person's or thing's name at several."""
        return sharing == 1 if name[:2] == HINT else sharing <= MAX_POINTED and name[:2] in {SHAPE, "p:", "w:", "f:"}

    def _collect(self, node: Any, step: Step, own: Own, nested: list[tuple[list[Any], Step]], depth: int) -> None:
        """Gather the scalars of one record; lists of objects in it are records of their own."""
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            self.index.forget_some()
            self.has_somebodys = True
        elif isinstance(node, dict):
            if len(node) > MAX_NODES:
                self.index.forget_some()
                self.has_somebodys = True
                return
            path, add = step.path, own.append
            known = self.fields.steps.get(path, NO_STEPS).get
            head = known(next(iter(node), ""))
            is_keyed = (head is None or not head.is_plain) and is_table(node)
            for key, item in node.items():
                inner = known(key) or self.fields.step(path, key)
                if is_keyed:
                    add((key, inner._replace(name="id", is_listed=True, can_name=False)))
                if type(item) in CONTAINERS:
                    self._collect(item, inner, own, nested, depth + 1)
                else:
                    add((item, inner))
            self.nodes += len(node)
            self.keys.update(node)
        elif isinstance(node, list):
            if any(isinstance(item, dict | list) for item in node):
                nested.append((node, step))
            else:
                own.extend((item, step._replace(is_listed=True)) for item in node[:MAX_NODES])
                self.nodes += len(node)
        else:
            own.append((node, step))

    def _singled_out(self, taken: Taken) -> frozenset[int]:
        """Return the records that alone have the most or least of what the user asked for: the largest file, the latest bill."""
        records = [[(step.path, value) for value, step in own if step.is_attested or step.is_directory] for own, _ in taken]
        found = (extreme(records, is_most, names) for is_most, names in self.index.request.extremes)
        return frozenset(number for number in found if number is not None)

    def _names(self, own: Own) -> set[str] | frozenset[str]:
        """Return the keys by which the user named this record, from its vouched fields only."""
        found: set[str] | frozenset[str] = NOTHING
        shares_no_word, prefixes = self.index.shares_no_word, self.index.request.prefixes
        vocabulary = self.index.vocabulary
        for value, step in own:
            if not step.can_name:
                continue
            if step.is_attested or step.is_directory:
                if isinstance(value, str):
                    is_one = " " not in value and value.isascii()
                    if (
                        (value.lower() in vocabulary if is_one else not shares_no_word(value))
                        or value[:1] in DIGITS
                        or step.is_file
                        or "_" in value
                    ):
                        found |= self._named_by(value, step)
                    if prefixes and (start := next((one for one in prefixes if fold(value).startswith(one)), "")):
                        found |= {f"s:{start}"}
                elif type(value) is int and is_identifier(step.name):
                    found |= self._numbered_by(value, step)
            elif isinstance(value, str) and len(value) <= MAX_SHAPED and not shares_no_word(value):
                found |= {name for name in self._named_by(value, step) if name[:2] == HINT} | self._entitled(value)
        return found

    def _entitled(self, value: str) -> set[str]:
        """A title somebody wrote points at its record when it is nothing but the user's words."""
        return {f"{HINT}{plain_key(value)}"} if self.index.said(value) else set()

    def _numbered_by(self, value: int, step: Step) -> set[str]:
        nouns = (*parts(step.path), "", "#")
        return {f"#{value}"} if any(self._is_users(f"#{noun}:{value}") for noun in nouns) else set()

    def _named_by(self, value: str, step: Step) -> set[str]:
        if len(value) > forms.MAX_VALUE:
            return set()
        if step.is_shaped and len(value) > MAX_SHAPED:
            return set()
        typed = forms.whole(value)
        if typed is not None:
            strong = typed.kind in {"mail", "url", "iban", "phone"}
            return {typed.keys[0]} if strong and typed.keys and self._is_users(typed.keys[0]) else set()
        words = tokens(value)
        is_name = is_naming(step.name) or not _NAMES.isdisjoint(parts(step.name))
        if is_name and (slug := slug_of(value)) and self.index.said(slug):
            return {f"s:{slug}"}
        if (is_name or len(words) > 1 or is_code(value)) and self.index.said(value):
            return {f"{'w:' if is_name or not step.is_shaped or is_code(value) else SHAPE}{plain_key(value)}"}
        plain = _file_words(value) if step.is_file else []
        if len(plain) > 1 and self.index.said(" ".join(plain)):
            return {f"f:{' '.join(plain)}"}
        if _PERSONAL.intersection(parts(step.name)[-1:]) and len(words) <= 4:
            return {f"p:{word}" for word in map(fold, words) if len(word) > 2 and word.isalpha() and self.index.knows_word(word)}
        if is_name and len(words) <= 12:
            titled = (fold(word) for word in words if word[:1].isupper() and len(word) > 3 and word.isalpha())
            numbered = (word for word in words if len(word) > 2 and word.isdigit() and self._is_users(f"#:{word}"))
            found = {f"{HINT}{word}" for word in titled if self.index.knows_word(word)} | {f"{SHAPE}number {word}" for word in numbered}
            return found | self._filed(plain)
        return set()

    def _is_unasked(self, own: Own) -> bool:
        """Say whether a record is a choice whose short name stands for a deed nobody spoke of: `Done`, `Cancel`."""
        spoken = self.index.request.deeds
        return any(isinstance(value, str) and len(value) <= 32 and step.is_label and not choice_of(value) <= spoken for value, step in own)

    def _point(self, own: Own) -> None:
        """Trust what identifies and measures a record the user only pointed at, never whom it names.

        Anybody may have written a record that is the latest or has such a word in its title: its number, amount and date may
        be used, its addresses and accounts may not.
        """
        if self._is_unasked(own):
            return
        for value, step in own:
            measures = (
                is_identifier(step.name)
                or isinstance(value, int | float)
                or _moment(value) is not None
                or is_code(value)
                or (isinstance(value, str) and _OWNED.fullmatch(value) is not None)
            )
            if step.is_attested and measures and not step.is_listed and not isinstance(value, bool):
                self.index.trust(keys_of(value, step.name, self.server), self.attested_source)

    def _measure(self, own: Own) -> None:
        """Note how long a named object lasts, from its first two moments, so that moving it keeps its length."""
        moments = [moment for value, step in own if step.is_attested and (moment := _moment(value)) is not None]
        if len(moments) >= 2:
            self.index.request.last(int((moments[1] - moments[0]).total_seconds() // 60))

    def _filed(self, plain: list[str]) -> set[str]:
        """Two words of a longer file name, said together, point at the file."""
        pairs = (f"{one} {two}" for one, two in pairwise(plain))
        return {f"{HINT}{pair}" for pair in pairs if self.index.said(pair)}

    def _is_users(self, key: str) -> bool:
        source = self.index.find(key)
        return source is not None and source.origin == "user"

    def _learn(self, own: Own, *, named: bool, is_listed: bool) -> None:
        if named:
            self._measure(own)
            named = not self._is_unasked(own)
        for value, step in own:
            if type(value) is not str and (value is None or isinstance(value, bool)):
                continue
            if step.is_directory and (is_listed or named):
                self.listed += keys_of(value, step.name, self.server)
            elif step.is_attested:
                if type(value) is str and len(value) == 25 and value[19] in "+-" and _moment(value) is not None:
                    self.offsets.add(value[19:])
                if step.is_shaped and isinstance(value, str) and not is_shaped(value):
                    self.text.append(value)
                    self.has_somebodys = True
                elif named:
                    self.index.trust(keys_of(value, step.name, self.server), self.attested_source)
            elif isinstance(value, str) and value:
                self.text.append(value)
                self.has_somebodys = True


def _file_words(name: str) -> list[str]:
    """Return the words of a file's name, as people say them: `grocery-list.docx` is the grocery list."""
    stem, dot, ending = name.rpartition(".")
    return parts(stem if dot and len(ending) <= 5 else name)


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not 16 <= len(value) <= 32 or value[4:5] != "-":
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=None)
    except ValueError:
        return None
