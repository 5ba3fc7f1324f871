"""What an object says that the user told the agent to follow: `as the mail from Ann says`, `update my address accordingly`.

The user's words lend it little, because whoever wrote it, or into it, may be an attacker: days, hours and places, for a reversible
deed the user spoke of; and the user's own things it names, for a reversible deed that stays inside. Never whom something
goes to, an address, an account, a link or a sum.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from ostiary.core.action import Action, Origins
from ostiary.core.registry import Profile
from ostiary.provenance import answers, forms
from ostiary.provenance.dates import WEEKDAYS
from ostiary.provenance.fields import Fields, is_code
from ostiary.provenance.flow import Flow
from ostiary.provenance.profile import is_naming
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.told import NONE, TOLD, WHEN, Bounds
from ostiary.provenance.words import fold, parts

MAX_RECORDS = 64
"""Records of one answer among which the user's is looked for; a longer answer lends nothing."""
MAX_DAYS = 32
"""Days of the month in one text that are looked at."""
MAX_TEXT = 8_192
"""Characters of one object that are followed; a longer one lends nothing."""
_ORDINAL = re.compile(r"(?<![\w.,:/-])(\d{1,2})(?:st|nd|rd|th|\.|er|º|日)(?![\w/-])", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_NEAR = 24
"""Characters around a day of the month in which its weekday stands."""


def bounds(flow: Flow, name: str, profile: Profile, arguments: Mapping[str, Any]) -> Bounds:
    """Return what a call of this tool may use of what the user said to follow, and wants to give back."""
    if not profile.confirmed:
        return NONE
    if flow.index.request.gives_back(arguments):
        return Bounds(gives_back=True)
    if not flow.index.request.follows or profile.effect != "reversible":
        return NONE
    head, *others = parts(name) or [""]
    is_spoken_of = flow.index.echoes(head) and any(flow.index.echoes(word) for word in others)
    return Bounds(is_spoken_of, not profile.external)


@dataclass(slots=True)
class Meant:
    """The records of an answer that are what the user said to follow."""

    fields: Fields
    index: ValueIndex
    voices: list[tuple[frozenset[str], bool, str]] = field(default_factory=list)
    """Of each record: the addresses its system vouches for, whether the user named it, and what somebody wrote in it."""

    def look(self, record: Any) -> None:
        """Take one record apart."""
        addresses, written, is_named = set[str](), list[str](), False
        for value, step in self._scalars(record):
            if not step.is_attested and not step.is_directory:
                written.append(value)
            elif "@" in value and forms.is_mail(value):
                addresses.add(fold(value))
            elif (
                (is_naming(step.name) and " " in value.strip()) or step.is_file or (is_code(value) and not value.isdigit())
            ) and self.index.said(value):
                is_named = True
        self.voices.append((frozenset(addresses), is_named, "\n".join(written)))

    def texts(self) -> list[str]:
        """Return what the named records say, and others between the same people; nothing when they are not all of one conversation."""
        named = [(people, text) for people, is_named, text in self.voices if is_named]
        people = {one for one, _ in named}
        if len(people) != 1 or (not named[0][0] and len(named) > 1):
            return []
        return [text for one, is_named, text in self.voices if is_named or (len(one) > 1 and one in people)]

    def _scalars(self, record: Any) -> Iterator[tuple[str, Any]]:
        if not isinstance(record, Mapping):
            return
        for key, value in list(record.items())[:MAX_RECORDS]:
            step = self.fields.step("", str(key))
            for item in value[:MAX_RECORDS] if isinstance(value, list) else (value,):
                if isinstance(item, str):
                    yield item, step


def follow(flow: Flow, action: Action, origins: Origins, content: Any, place: str, *, fields: Fields | None, opened_at: float) -> None:
    """Lend what an answer says, when it is what the user told the agent to follow, fetched by the user's own words alone.

    `fields`: those of a system that vouches for some; without, the answer is one text, and must have been asked for by its name.
    """
    index = flow.index
    if not index.request.follows or not origins.arguments or set(origins.arguments.values()) != {"user"} or flow.is_revoked(place):
        return
    texts: list[str] = []
    if fields is not None:
        meant = Meant(fields, index)
        for tree, is_tree in answers.trees(content):
            records = tree.get("result", tree) if isinstance(tree, Mapping) else tree
            records = records if isinstance(records, list) else [records]
            if not is_tree or len(records) > MAX_RECORDS:
                return
            for record in records:
                meant.look(record)
        texts = meant.texts()
    elif any(is_naming(name) for name in action.arguments):
        texts = [text for tree, _ in answers.trees(content) for text in answers.strings(tree, index)]
    if not texts or sum(map(len, texts)) > MAX_TEXT:
        return
    source, today = index.source("lent", place), datetime.fromtimestamp(max(0.0, opened_at), UTC).date()
    for text in texts:
        index.told.say(source, text)
        found = [key for value in forms.scan(text) for key in value.keys if key[:2] in WHEN]
        index.trust([f"{TOLD}{key}" for one in [*found, *_days(text, today)] for key in _split(one)], source)


def _split(key: str) -> tuple[str, ...]:
    day, _, at = key[2:].partition("T")
    return (f"d:{day}", f"h:{at}") if key[:2] == "d:" and at else (key,)


def _days(text: str, today: date) -> Iterator[str]:
    """Iterate the days meant by `Saturday 18th`: the next one of this weekday, when it comes within half a year."""
    for match in islice(_ORDINAL.finditer(text), MAX_DAYS):
        near = text[max(0, match.start() - _NEAR) : match.end() + _NEAR].lower()
        weekdays = {WEEKDAYS[word] for word in _WORD.findall(near) if word in WEEKDAYS}
        days = (today + timedelta(days=ahead) for ahead in range(183)) if len(weekdays) == 1 else ()
        found = next((day for day in days if day.day == int(match[1]) and day.weekday() in weekdays), None)
        if found is not None:
            yield f"d:{found.isoformat()}"
