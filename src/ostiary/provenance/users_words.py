"""The user's own request, taken in: every value a person would recognise in it, under the key the same value has elsewhere."""

# ruff: noqa: SIM905 - word lists read best as text

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta

from ostiary.provenance import forms
from ostiary.provenance.dates import TODAY, WEEKDAYS
from ostiary.provenance.store import GUESS, MAX_WORDS, USER, ValueIndex
from ostiary.provenance.words import STOP, fold, plain_digits, tokens, visible

_NUMBERS = {
    word: number
    for number, words in enumerate(
        "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty".split(
            "|"
        )
    )
    for word in words.split()
} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
    "hundred": 100,
    "thousand": 1000,
    "dozen": 12,
    **{
        word: number
        for number, words in enumerate(
            "ein eine einen einem einer un une uno una|zwei deux dos due 二 2つ|drei trois tres tre|vier quatre cuatro quattro|fünf cinq cinco "
            "cinque|sechs six seis sei|sieben sept siete sette|acht huit ocho otto|neun neuf nueve nove|zehn dix diez dieci".split("|"),
            1,
        )
        for word in words.split()
    },
}
MAX_DAYS = 16
_COUNTED = re.compile(r"\s+(?:[^\W\d_]{2,}(?:s|en|er)|people|leute|%)(?!\w)", re.IGNORECASE)
"""What is counted by the number before it."""
_GLUED = re.compile(r"(?<=[a-z])\.[A-Z][a-z]*\Z")
"""The first word of the next sentence, when nobody left a space after a link."""
_DAY = re.compile(
    r"\b(?:the|on|den|am|zum|vom|bis|le|el|il|día|dia|giorno|dzień)\s(\d{1,2})(?:st|nd|rd|th|\.(?=\s|$|,))?(?![\w/:.%-]|\s?(?:[%€$£]|of\b|\d))",
    re.IGNORECASE,
)
"""A day of the month alone: `the 25th`, `am 25.`, `dia 17`."""
_ORDINAL = re.compile(r"(?:st|nd|rd|th|\.)$|^(?:día|dia|giorno|dzień)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+|#")


def hear(index: ValueIndex, text: str, *, opened_at: float) -> None:
    """Learn the values and words of the user's request; dates without a year or by weekday count from `opened_at`."""
    text = plain_digits(unicodedata.normalize("NFKC", visible(text[:MAX_WORDS])))
    values = forms.scan(text)
    index.say(text, _joined(text, values))
    index.request.hear(text)
    index.request.has_clock = index.request.has_clock or any(
        found.kind == "time" or "T" in "".join(found.keys[:1]) for found in values if found.kind in {"time", "date"}
    )
    user, guess = index.source(USER.origin, USER.name), index.source(GUESS.origin, GUESS.name)
    for found in values:
        index.own(found.keys, user)
        index.own(found.guesses, guess)
        if found.kind == "url" and (glued := _GLUED.search(text[found.start : found.end])) is not None:
            index.own((forms.link_key(text[found.start : found.start + glued.start()]),), user)
        if found.kind == "amount":
            _number(index, text, found, user)
        elif found.kind == "date" and found.keys and "T" in found.keys[0]:
            day, _, at = found.keys[0][2:].partition("T")
            index.own((f"d:{day}", f"h:{at}"), user)
    index.own(forms.domains(text), user)
    words = [fold(token) for token in tokens(text)]
    index.own((f"n:{_NUMBERS[word]}" for word in words if word in _NUMBERS), user)
    today = datetime.fromtimestamp(max(0.0, opened_at), UTC).date()
    index.own(_next(text, today), guess)
    index.own(_days(words, today), guess)
    index.own((f"w:{forms.currency_of(word)}" for word in words if forms.currency_of(word)), user)


def _joined(text: str, values: list[forms.Found]) -> str:
    """Return the text with accounts and phone numbers in one piece, so that no piece of one is taken for a word."""
    made, at = [], 0
    for found in values:
        if found.kind in {"iban", "phone"}:
            made += [text[at : found.start], " ", found.keys[0][2:], " "]
            at = found.end
    return "".join([*made, text[at:]])


def _number(index: ValueIndex, text: str, found: forms.Found, source: int) -> None:
    """A number names a thing only by what stands before it (`file 7`, `id: 7`, `#7`), or when it is long and no year."""
    key = found.keys[-1][2:]
    if len(found.keys) == 2:
        index.own((f"w:{found.keys[0].rpartition(' ')[2]}",), source)
    if not text[found.start : found.end].isdigit():
        return
    if _COUNTED.match(text, found.end) is not None:
        return
    before = [word.lower() for word in _WORD.findall(text[max(0, found.start - 32) : found.start])][-3:]
    index.own((f"#{'' if word == '#' else word}:{key}" for word in before if word not in STOP), source)
    if len(key) >= 4 and not (len(key) == 4 and key[:2] in {"19", "20"}):
        index.own((f"#:{key}",), source)


def _next(text: str, today: date) -> list[str]:
    """Return the next day of each number that is only a day of the month: `the 25th`."""
    numbers = [int(match[1]) for match in _DAY.finditer(text) if _ORDINAL.search(match.group()) is not None]
    ahead = [today + timedelta(days=days) for days in range(31)]
    return [f"d:{day.isoformat()}" for number in numbers[:MAX_DAYS] for day in ahead if day.day == number]


def _days(words: list[str], today: date) -> list[str]:
    """Return the days meant by `tomorrow` and by weekdays, seen from today."""
    found = [today]
    found += [today + timedelta(days=TODAY[word]) for word in words if word in TODAY]
    found += [today + timedelta(days=(WEEKDAYS[word] - today.weekday()) % 7) for word in words if word in WEEKDAYS]
    found += [today + timedelta(days=(WEEKDAYS[word] - today.weekday()) % 7 + 7) for word in words if word in WEEKDAYS]
    return [f"d:{day.isoformat()}" for day in found]
