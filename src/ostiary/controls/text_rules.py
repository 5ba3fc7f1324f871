"""What text hides: invisible characters, terminal escapes, data URIs. Deterministic and always on."""

import re
from functools import cache
from itertools import islice

from ostiary.controls.pattern import Pattern
from ostiary.core.beside import PIECE

HIDDEN = "hidden_text"
TERMINAL = "terminal_escape"
DATA_URI = "data_uri"
MAX_PASSES = 6
MAX_SUSPECT = 100_000
"""Characters of one action or answer that may have to be taken out: more than a book of Persian or a day of coloured logs has."""

_FLAGS = "\U0001f3f4(?:\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f)"
_INVISIBLE = "[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u206f\u200b\u2060-\u2064\ufeff\u180e\u115f\u1160\u3164\uffa0\u034f\ufff9-\ufffb]+|[\u200c\u200d\u200e\u200f]{2,}|(?<=[\x00-\x7f])[\u200c\u200d]+|[\ufe00-\ufe0f]{2,}|(?<=[\x00-\x7f])[\U000e0100-\U000e01ef]+|[\U000e0100-\U000e01ef]{2,}"
_ESCAPES = "\x1b\\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b[\\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\\\|\x9c)|\x9b[0-?]{0,64}[ -/]{0,8}[@-~]|\x9b|\x1b[ -/]{0,4}[0-~]?"
_CONTROLS = "[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f\x80-\x84\x86-\x9a\x9c-\x9f]"
_STRIP = re.compile(f"(?P<keep>{_FLAGS})|(?P<{TERMINAL}>{_ESCAPES})|(?P<{HIDDEN}>(?:{_INVISIBLE})+|{_CONTROLS}+)")
_SUSPECT = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u034f\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef]"
)
_ASCII_SUSPECT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UNFINISHED = re.compile(
    "(?:\x1b(?:\\[[0-?]{0,64}[ -/]{0,8}|[\\]PX^_][^\x07\x1b\x9c]{0,4096}\x1b?|[ -/]{0,4})?|\x9b[0-?]{0,64}[ -/]{0,8}|\U0001f3f4[\U000e0020-\U000e007f]{0,8}|[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u034f\u115f\u1160\u180e\u3164\uffa0\U000e0000-\U000e01ef]{1,64})\\Z"
)


@cache
def patterns() -> tuple[Pattern, ...]:
    """Return what the common scan looks for; hidden characters are looked for by `clean`."""
    return (
        Pattern(
            "data-uri",
            DATA_URI,
            [r"\bdata:[a-z]{1,20}/[a-z0-9.+-]{1,60}[;,]"],
            re.compile(r"\bdata:[a-z]{1,20}/[\w.+-]{1,60}(?:;[\w=.-]{1,60}){0,4},", re.IGNORECASE | re.ASCII),
            None,
            200,
            260,
        ),
    )


def needs_cleaning(text: str) -> bool:
    """Say whether a text may hold characters that `clean` takes out; fast for ordinary text."""
    if len(text) > PIECE:
        return any(needs_cleaning(text[at : at + PIECE]) for at in range(0, len(text), PIECE))
    if text.isascii():
        return not text.isprintable() and _ASCII_SUSPECT.search(text) is not None
    return _SUSPECT.search(text) is not None


def is_overfull(text: str) -> bool:
    """Say whether a text holds more of such characters than any honest one: taking them out would hold up everybody."""
    return next(islice(_SUSPECT.finditer(text), MAX_SUSPECT, None), None) is not None


def clean(text: str) -> tuple[str, frozenset[str]]:
    """Return the text without what a person would not see, and the classes of what was taken out.

    Kept: single joiners in scripts and emoji that need them, direction marks, variation selectors, emoji flags.
    """
    if not needs_cleaning(text):
        return text, frozenset()
    found: set[str] = set()

    def drop(match: re.Match[str]) -> str:
        if match.lastgroup == "keep":
            return match[0]
        found.add(str(match.lastgroup))
        return ""

    for _ in range(MAX_PASSES):
        cleaned = _STRIP.sub(drop, text)
        if cleaned == text:
            break
        # what is taken out may have stood between two joiners that make a run now
        text = cleaned
    return text, frozenset(found)


def unfinished(text: str) -> int:
    """Return from where on a piece of a stream cannot be cleaned before its next piece is known."""
    match = _UNFINISHED.search(text, max(0, len(text) - 4200)) if needs_cleaning(text[-4200:]) or "\U0001f3f4" in text[-8:] else None
    return match.start() if match else len(text)
