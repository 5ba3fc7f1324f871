"""A JSON value as one text to scan, and the way back: every string is read once, in one buffer."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from ostiary.controls.pattern import SEPARATOR, Span
from ostiary.core.errors import InvalidAction

_LISTS = (list, tuple)
LARGE = 10**8
"""Numbers from here on could be a card, phone or account number and are scanned as text."""
HUGE = 10.0**20
"""Floats from here on name nothing: they have lost their digits long before."""


def gather(value: Any) -> list[str]:
    """Return the texts of a JSON value in order: strings, large numbers, and keys before their value, as `key=` where it is a string."""
    out: list[str] = []
    _gather(value, out)
    return out


def _gather(value: Any, out: list[str]) -> None:
    if isinstance(value, str):
        out.append(value)
    elif type(value) is dict or isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str):
                out += (f"{key}=", item)
            else:
                out.append(key)
                _gather(item, out)
    elif isinstance(value, _LISTS):
        for item in value:
            _gather(item, out)
    elif (digits := _digits(value)) is not None:
        out.append(digits)


def _digits(value: Any) -> str | None:
    """Return the digits of a number that is long enough to name a card, account or person, however it is written."""
    if type(value) is int:
        return None if -LARGE < value < LARGE else str(abs(value))
    if type(value) is float and LARGE <= abs(value) < HUGE:
        return str(int(abs(value)))
    return None


def join(texts: Iterable[str]) -> str:
    """Return the texts as one buffer."""
    return SEPARATOR.join(texts)


def utf8_length(text: str) -> int:
    """Return how many bytes a text takes on the wire."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def is_longer(texts: Sequence[str], most: int) -> bool:
    """Say whether texts take more than `most` bytes together; only those near the limit are measured."""
    characters = sum(map(len, texts))
    return characters > most or (characters * 4 > most and sum(map(utf8_length, texts)) > most)


def rebuild(value: Any, change: Callable[[str], str]) -> Any:
    """Return the value with every text that `gather` reads (in the same order) replaced by `change(text)`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        made = {_key(key, item, change): rebuild(item, change) for key, item in value.items()}
        if len(made) != len(value):
            raise InvalidAction(
                "two keys of an object are the same once hidden or sensitive text is taken out", code="content_rejected", status=422
            )
        return made
    if isinstance(value, list | tuple):
        return [rebuild(item, change) for item in value]
    if (digits := _digits(value)) is not None:
        changed = change(digits)
        return value if changed == digits else changed
    return value


def _key(key: str, item: Any, change: Callable[[str], str]) -> str:
    text = f"{key}=" if isinstance(item, str) else key
    changed = change(text)
    return key if changed == text else changed.removesuffix("=")


def replace_spans(value: Any, texts: list[str], spans: list[Span], make: Callable[[str, Span], str]) -> Any:
    """Return the value with each span of the joined `texts` replaced by `make(found, span)`; spans are disjoint, in order."""
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    edits: dict[int, list[tuple[int, int, str]]] = {}
    for span in spans:
        index = bisect_right(starts, span.start) - 1
        low, high = span.start - starts[index], min(span.end - starts[index], len(texts[index]))
        edits.setdefault(index, []).append((low, high, make(texts[index][low:high], span)))
    position = iter(range(len(texts)))

    def change(text: str) -> str:
        return _spliced(text, edits.get(next(position), ()))

    return rebuild(value, change)


def _spliced(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    at = 0
    for low, high, new in edits:
        parts += (text[at:low], new)
        at = high
    return "".join((*parts, text[at:])) if parts else text


def place(texts: list[str], offset: int) -> tuple[int, int]:
    """Return which text an offset of the joined buffer falls into, and where in it."""
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    index = bisect_right(starts, offset) - 1
    return index, offset - starts[index]


def pointer(value: Any, index: int) -> str:
    """Return the JSON pointer (RFC 6901) of the text that `gather` counts as `index`."""
    found = paths(value)
    return (found[index] if index < len(found) else "") or "/"


def paths(value: Any) -> list[str]:
    """Return the JSON pointer of every text that `gather` returns, in order."""
    return list(_paths(value, ""))


def _paths(value: Any, path: str) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{path}/{str(key)[:64].replace('~', '~0').replace('/', '~1')}"
            yield below
            yield from _paths(item, below)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _paths(item, f"{path}/{position}")
    elif isinstance(value, str) or _digits(value) is not None:
        yield path
