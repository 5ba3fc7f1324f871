"""What a user's request lets one work out: how long, which share, which of many, and what to find where."""

# ruff: noqa: SIM905 - word lists read best as text

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ostiary.provenance import forms
from ostiary.provenance.asked import deeds_in
from ostiary.provenance.dates import TODAY, WEEKDAYS
from ostiary.provenance.profile import is_identifier
from ostiary.provenance.words import fold, parts

MAX_RECIPES = 16

_COUNT = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "eight": 8,
    "half": 0,
    "ein": 1,
    "eine": 1,
    "einer": 1,
    "zwei": 2,
    "drei": 3,
    "vier": 4,
    "un": 1,
    "une": 1,
    "deux": 2,
    "trois": 3,
    "una": 1,
    "dos": 2,
    "due": 2,
}
_COMPOUND = re.compile(r"\b(ein|eine|zwei|drei|vier|halb|\d{1,2})-?(stündig|minütig|tägig|wöchig)\w{0,2}\b", re.IGNORECASE)
_UNITS = {"stündig": 60, "minütig": 1, "tägig": 1_440, "wöchig": 10_080}
_DURATION = re.compile(
    r"(?<![\w.,])(\d{1,3}(?:[.,]5)?|half an?|an?|one|two|three|four|five|six|eight|eine?r?|zwei|drei|vier|une?|deux|trois|una|dos|due)[ -]"
    r"?(hours?|hrs?|h|stunden?|heures?|horas?|ore|minutes?|mins?|minuten|days?|tage?|jours?|días?|nights?|weeks?|wochen?)(?!\w)",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"(?<![\w.,])(\d{1,3}(?:[.,]\d{1,2})?)\s?(?:%|percent|prozent|pour cent|por ciento)", re.IGNORECASE)
_SHARE = re.compile(r"\b(?:half|halves|split|share|hälfte|geteilt|moitié|mitad|metà)\b", re.IGNORECASE)
_PREFIX = re.compile(r"\b(?:start(?:s|ing)?|begin(?:s|ning)?)\s+with\s+(?:the\s+)?[\"'“‘]?([^\s\"'”’,;]{2,64})", re.IGNORECASE)
_KIND_WORDS = (
    (
        "mail",
        re.compile(
            r"(?:\b(?:her|his|their|its|the|my|our|whose|an|seine|ihre|die|sa|son|su)|['’]s)\s+e-?mail(?:[ -]?address|[ -]?adresse)?\b",
            re.IGNORECASE,
        ),
    ),
    (
        "phone",
        re.compile(r"(?:\b(?:her|his|their|its|the|my|our|whose|a|seine|ihre|die)|['’]s)\s+(?:tele)?phone(?: number)?\b", re.IGNORECASE),
    ),
    (
        "iban",
        re.compile(r"(?:\b(?:her|his|their|its|the|my|our|whose|an|a)|['’]s)\s+(?:iban|(?:bank )?account(?: number)?)\b", re.IGNORECASE),
    ),
)
_PLACE = re.compile(r"\b(?:on|in|at|from|under|auf|aus|unter|sur|dans|en)\b", re.IGNORECASE)
_PAUSE = re.compile(r"[,;]|\b(?:and|then|und|dann|et|puis|y)\b", re.IGNORECASE)
_LINKS = re.compile(r"\b(?:articles?|links?|web ?sites?|web ?pages?|urls?|artikel|seiten?|liens?|enlaces?|artículos?)\b", re.IGNORECASE)
_FOLLOWS = re.compile(
    r"\b(?:accordingly|according to|as (?:\w+ )?(?:described|specified|stated|instructed|requested|listed|mentioned|outlined)|(?:follow|per|obey)\w* (?:[\w'-]+ ){0,3}instructions?|"
    r"(?:described|specified|stated|listed|mentioned|requested|outlined) (?:in|by|on|there)|based on|"
    r"(?:do|does|follow|as|like)\b[^.!?]{1,48}\b(?:says?|asks?|describes?|specifies|tells?)|per (?:the|her|his|their|my|our)|details? (?:are|is) in|"
    r"steht|stehen|entsprechend|gemäß|laut|anweisung(?:en)?|auf grundlage|"
    r"(?:beschrieben|angegeben|genannt|erwähnt)\w*|selon|conformément|d'après|(?:suivr?e?|suis|suivez) (?:\w+ )?instructions|mentionné\w*|indiqué\w*|según|de acuerdo con|"
    r"instrucciones|mencionad\w+|indicad\w+|secondo|in base a|istruzioni|indicat\w+)(?!\w)|に従って|の指示|に基づいて|記載",
    re.IGNORECASE,
)
"""How people say that something is to be done as it is written somewhere."""
_RETURNS = re.compile(
    r"\b(?:refund|reimburs|return|(?:pay|give|send|transfer)\b.{0,40}\bback\b|erstatt|zurück|rembours|rendre|rends|reembols|devuelv|devolv|"
    r"rimbors|restitui)|返金|払い戻|返し",
    re.IGNORECASE,
)
_RECEIVED = re.compile(
    r"\b(?:got|received|(?:sent|paid|gave|transferred|overpaid) (?:to )?(?:me|us)|bekommen|erhalten|gekriegt|reçus?|recibí|recibido|ricevut[oi])"
    r"(?!\w)|もらった|受け取った",
    re.IGNORECASE,
)
_CALENDAR = re.compile(
    r"\b(?:days?|weeks?|weekends?|months?|years?|quarters?|dates?|deadline|soon|asap|immediately|now|next|last|tag\w*|woche\w*|monat\w*|jahr\w*|"
    r"datum|sofort|jours?|semaines?|mois|années?|demain|día|días|semanas?|mes|meses|años?|fecha|giorn\w|settiman\w|mes\w|ann\w|data)\b|[日週月年]",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\s,.;:!?()\"“”„«»\x00]+")
_SENTENCE = re.compile(r"[.!?]\s|\x00")

_SIZES = frozenset("size bytes length count members users amount quantity total".split())
_PRICES = frozenset("price cost fee rate amount total fare".split())
_SCORES = frozenset("rating score stars rank priority".split())
_TIMES = frozenset("date time timestamp created updated modified sent received start at on".split())
_EXTREMES: dict[str, tuple[bool, frozenset[str]]] = {
    **dict.fromkeys("largest biggest longest größte grösste".split(), (True, _SIZES)),
    **dict.fromkeys("smallest shortest kleinste".split(), (False, _SIZES)),
    **dict.fromkeys("latest newest recent neueste letzte".split(), (True, _TIMES)),
    **dict.fromkeys("earliest oldest älteste früheste".split(), (False, _TIMES)),
    **dict.fromkeys("cheapest billigste günstigste".split(), (False, _PRICES)),
    **dict.fromkeys("priciest dearest teuerste expensive".split(), (True, _PRICES)),
    **dict.fromkeys("best top highest-rated top-rated best-rated beste".split(), (True, _SCORES)),
}
"""Words that single out one of many: whether they mean the most, and which fields they speak of."""


@dataclass(slots=True)
class Request:
    """Recipes by which values follow from known ones. Everything here comes from the user's own words."""

    minutes: list[int] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    factors: list[Decimal] = field(default_factory=list)
    """What known amounts may be multiplied by: stated percentages, and halves where the user speaks of sharing."""
    extremes: list[tuple[bool, frozenset[str]]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    offsets: set[str] = field(default_factory=set)
    """How far from UTC the clocks of the systems are: `+02:00`."""
    deeds: set[str] = field(default_factory=set)
    """What the user spoke of doing, of the deeds that must be asked for."""
    has_clock: bool = False
    speaks_of_links: bool = False
    """True when the user spoke of pages, articles or links, so that those found where the user looks may be read."""

    returned: set[str] = field(default_factory=set)
    """Amounts the user got from somebody and wants to give back: `refund the 10.00 I got from Ann`."""
    has_day: bool = False
    """True when the user said anything of a day, so that no day is left open."""
    follows: bool = False
    """True when the user told the agent to do as something says that the user named."""

    def hear(self, text: str) -> None:
        """Add what a text of the user says."""
        for count, unit in _DURATION.findall(text):
            self._lasts(count.lower(), unit.lower())
        for count, unit in _COMPOUND.findall(text):
            minutes = (0.5 if count.lower() == "halb" else _COUNT.get(count.lower(), 0) or float(count)) * _UNITS[unit.lower()]
            (self.days.append(int(minutes) // 1_440) if minutes >= 1_440 else self.minutes.append(int(minutes)))
        for percent in _PERCENT.findall(text):
            share = Decimal(percent.replace(",", ".")) / 100
            self.factors += [share, 1 + share, 1 - share]
        if _SHARE.search(text):
            self.factors.append(Decimal("0.5"))
        self.speaks_of_links = self.speaks_of_links or _LINKS.search(text) is not None
        self.follows = self.follows or _FOLLOWS.search(text) is not None
        self.returned.update(_returned(text))
        words = set(_WORDS.findall(fold(text)))
        words |= {part for word in words if "-" in word for part in word.split("-")}
        self.has_day = self.has_day or _says_a_day(text, words)
        self.deeds |= deeds_in(text, words)
        self.extremes += [meant for word, meant in _EXTREMES.items() if word in words]
        self.prefixes += [fold(prefix).rstrip(".:!?") for prefix in _PREFIX.findall(text)]
        for recipes in (self.minutes, self.days, self.factors, self.extremes, self.prefixes):
            del recipes[MAX_RECIPES:]

    def gives_back(self, arguments: Mapping[str, Any]) -> bool:
        """Say whether each amount of an action is one that the user wants to give back."""
        if not self.returned or any(isinstance(value, dict | list) and value for value in arguments.values()):
            return False
        found = {forms.number_key(value) for name, value in arguments.items() if is_amount(name, value)}
        written = (forms.whole(value) for value in arguments.values() if isinstance(value, str))
        found |= {value.keys[-1][2:] for value in written if value is not None and value.kind == "amount"}
        return bool(found) and found <= self.returned

    def clocks(self, offset: str) -> None:
        """Add how far from UTC a system's clock is."""
        if len(self.offsets) < MAX_RECIPES:
            self.offsets.add(offset)

    def last(self, minutes: int) -> None:
        """Add how long an object the user named lasts."""
        if 0 < minutes < 1_440 and len(self.minutes) < 2 * MAX_RECIPES and minutes not in self.minutes:
            self.minutes.append(minutes)

    def _lasts(self, count: str, unit: str) -> None:
        number = 0.5 if count.startswith("half") else float(_COUNT.get(count, 0) or count.replace(",", "."))
        if unit[0] in "dtjn" and not unit.startswith("min"):
            self.days.append(int(number))
        elif unit[0] == "w":
            self.days.append(int(number) * 7)
        else:
            self.minutes.append(int(number if unit.startswith("min") else number * 60))


def wanted_from(text: str, source: str) -> list[str]:
    """Return what kinds of value the user says are to be found at a source: `her e-mail on her website www…` → `mail`."""
    at = text.lower().find(source.lower())
    if at < 0 or len(source) < 4:
        return []
    before = _SENTENCE.split(text[max(0, at - 120) : at])[-1]
    found = []
    for kind, words in _KIND_WORDS:
        match = words.search(before)
        if match is not None and _PLACE.search(before, match.end()) is not None and not _PAUSE.search(before, match.end()):
            found.append(kind)
    return found


def _says_a_day(text: str, words: AbstractSet[str]) -> bool:
    if _CALENDAR.search(text) is not None or not words.isdisjoint(TODAY) or not words.isdisjoint(WEEKDAYS):
        return True
    return any(found.kind == "date" for found in forms.scan(text))


def _returned(text: str) -> list[str]:
    """Return the amounts the user got and wants to give back: the one amount of a sentence that says both."""
    found: list[str] = []
    for sentence in _SENTENCE.split(text) if _RETURNS.search(text) is not None else ():
        if _RETURNS.search(sentence) is not None and _RECEIVED.search(sentence) is not None:
            amounts = {value.keys[-1][2:] for value in forms.scan(sentence) if value.kind == "amount"}
            found += amounts if len(amounts) == 1 else ()
    return found[:MAX_RECIPES]


def extreme(records: Sequence[Sequence[tuple[str, Any]]], is_most: bool, names: frozenset[str]) -> int | None:
    """Return which record alone has the most (or least) in the field of such a name, if all have it."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for path, value in record:
            if names.intersection(parts(path)[-2:]) and _is_ordered(value):
                columns.setdefault(path, []).append(value)
    for values in columns.values():
        if len(values) == len(records) and len({isinstance(value, str) for value in values}) == 1:
            edge = max(values) if is_most else min(values)
            return values.index(edge) if values.count(edge) == 1 else None
    return None


def is_amount(name: str, value: Any) -> bool:
    """Say whether a number by this name is how much of something, and not which."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_identifier(name)


def _is_ordered(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) >= 10 and value[:4].isdigit() and value[4] == "-"
    return isinstance(value, int | float) and not isinstance(value, bool)
