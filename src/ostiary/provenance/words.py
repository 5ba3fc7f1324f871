"""Words as people write them: the tokens of a text, and which of them are too common to stand for a value."""

# ruff: noqa: SIM905 - word lists read best as text

import re
import unicodedata
from unicodedata import category, digit, normalize

_TOKEN = re.compile(r"(?:[^\s,;\"“”„«»‹›`()\[\]{}<>|]|(?<=\d),(?=\d))+")
_LOOSE = re.compile(r"[^\s,;:!?\"'“”„«»`()\[\]{}<>|]*[^\s,.;:!?\"'“”„«»`()\[\]{}<>|]")
_SPACED = str.maketrans(dict.fromkeys("\t\n\r\v\f\x1c\x1d\x1e\x1f,;:!?\"'`()[]{}<>|", " "))
"""What stands between loose tokens, as spaces: splitting is ten times as fast as the pattern, and finds the same in ASCII."""
_IDEOGRAMS, _SYLLABLES, _KATAKANA, _HANGUL = "\u3005\u3400-\u9fff", "\u3040-\u309f", "\u30a0-\u30ff", "\uac00-\ud7af"
_SCRIPTS = (_IDEOGRAMS, _SYLLABLES, _KATAKANA, "\u3001\u3002\u300c-\u301f\uff01-\uff5e")
_UNSPACED = re.compile(f"[{''.join(_SCRIPTS)}]")
_SEAM = re.compile(
    "|".join(f"(?<=[{script}])(?=[^{script}\\s])|(?<=[^{script}\\s])(?=[{script}])" for script in _SCRIPTS),
)
_TAIL = ".:!?…'’‘*_~"
_HEAD = "'‘*"
_POSSESSIVE = ("'s", "’s")
_INVISIBLE = dict.fromkeys(
    (
        *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        *range(0xE0000, 0xE01F0),
    )
)

STOP: frozenset[str] = frozenset(
    (
        "a an the and or but if so to of in on at by for from with as is are was were be been am do does did not no yes "
        "i me my mine we us our you your he him his she her it its they them their this that these those there here who whom "
        "which what when where why how all any some each every both few more most other such only own same than too very can "
        "could will would shall should may might must please also just then now into onto about after before over under again "
        "up down out off get got let make made have has had ok "
        "der die das ein eine einen einem einer und oder aber wenn zu von im in am auf bei mit nach aus für ist sind war nicht "
        "ich mich mir mein meine du wir uns sie er es ihr ihm ihn den dem des bitte auch noch nur dann hier da "
        "le la les un une des et ou mais si à de du en dans sur par pour avec est sont ne pas je me mon ma mes tu nous vous il "
        "elle ils elles ce cette ces qui que aussi "
        "el los las una unos unas y o pero si de del en con por para es son no yo mi mis tu su sus nosotros que este esta "
        "il lo gli uno e ma di da con per sono non io mio tuo suo noi che questo questa "
        "o os as um uma e mas do da dos das em no na com não eu meu minha seu sua het een en of maar van naar voor met niet ik mijn"
    ).split()
)
"""Words that join others and name nothing, in the languages people here write in."""


_DIGITS = {code: str(digit(chr(code))) for code in range(0x660, 0xFFFF) if category(chr(code)) == "Nd"} | {0x66B: ".", 0x66C: ","}
"""Decimal digits of every script, and the marks Arabic writes numbers with."""


def plain_digits(text: str) -> str:
    """Return a text with the digits of every script as 0 to 9; nothing moves."""
    return text if text.isascii() else text.translate(_DIGITS)


def fold(text: str) -> str:
    """Return text as compared: NFKC and without case. Invisible characters stay, so they never make two values equal."""
    if text.isascii():
        return text.lower()
    return plain_digits(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


def visible(text: str) -> str:
    """Return text without the characters nobody sees."""
    return text if text.isascii() else text.translate(_INVISIBLE)


def spaced(text: str) -> str:
    """Return a text with a space wherever its script changes, for scripts that are written without spaces."""
    if text.isascii() or _UNSPACED.search(text) is None:
        return text
    return _SEAM.sub(" ", text)


def tokens(text: str) -> list[str]:
    """Return the tokens of a text, whole addresses and numbers kept together, as people would point at them."""
    text, found = spaced(text), []
    for token in _TOKEN.findall(text):
        token = token.rstrip(_TAIL).lstrip(_HEAD)  # noqa: PLW2901 - the same token, trimmed
        if token.endswith(_POSSESSIVE):
            token = token[:-2]  # noqa: PLW2901
        token = token.lstrip("#@") or token  # noqa: PLW2901
        if token:
            found.append(token)
    return found


def loose_tokens(text: str, most: int = -1) -> list[str]:
    """Return the tokens of a text, or the first `most`, for recognising somebody's text again: quick, folded, and generous."""
    if not text.isascii():
        found = _LOOSE.findall(fold(text.translate(_INVISIBLE)))
        return found if most < 0 else found[:most]
    spaced = text.lower().translate(_SPACED).replace(". ", " ")
    runs = spaced.split(None, most)
    if 0 <= most < len(runs):
        runs.pop()
    if spaced.endswith(".") or ". " in spaced:
        return [token for run in runs if (token := run.rstrip("."))]
    return runs


def is_recognisable(words: list[str]) -> bool:
    """Say whether folded tokens name something: at least one is neither a joining word, nor a single letter, nor mere signs."""
    return any(word not in STOP and (len(word) > 1 or not word.isascii()) and any(map(str.isalnum, word)) for word in words)


def shares_stem(one: str, other: str) -> bool:
    """Say whether two folded words begin alike for at least four letters, and for more than half of each: `dental`, `dentist`."""
    size = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return size >= 4 and 2 * size > max(len(one), len(other)) and one[:size].isalpha()


def parts(name: str) -> list[str]:
    """Return the words of an identifier, from camelCase, snake_case, kebab-case or dotted, lower case."""
    if name.isascii():
        return [word.lower() for word in _PARTS.findall(name)]
    spaced = "".join(sign if sign.isalnum() or category(sign)[0] == "M" else " " for sign in normalize("NFC", name))
    return [word.lower() for word in _SEAMS.sub(" ", spaced).split()]


_SEAMS = re.compile(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])|(?<=[A-ZÀ-Þ])(?=[A-ZÀ-Þ][a-zß-ÿ])|(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_a-zA-Z\d]+|\d+")
