"""Where in a policy's text a complaint belongs: Cedar says what is wrong, and seldom where."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final

TOKEN: Final = re.compile(r'//[^\n]*|\s+|"(?:\\.|[^"\\])*"|[A-Za-z_][A-Za-z0-9_]*|::|[=!<>]=|&&|\|\||\d+|.', re.DOTALL)
_WORD: Final = re.compile(r"(?:invalid (?:policy effect|policy condition|variable): |found the variable `|found literal `|\A')([^`'\s]+)")
_TWICE: Final = re.compile(r"duplicate annotation: @(\S+)")
_QUOTED: Final = re.compile(r"`([^`]+)` is not")


def place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def tokens(text: str) -> Iterator[re.Match[str]]:
    """Yield every token that is neither blank nor a comment."""
    return (token for token in TOKEN.finditer(text) if not is_blank(token.group()))


def is_blank(token: str) -> bool:
    """Say whether a token is space or a comment."""
    return token.isspace() or token.startswith("//")


def find(text: str, near: str, annotation: str = "") -> int | None:
    """Return where `near` stands: in the annotation of that name, or else in the policy after its annotations.

    Without `near`, where the annotation's name stands. What stands nowhere there is looked for in all of the text.
    """
    words = list(tokens(text))
    if annotation:
        named = [index for index, word in enumerate(words) if word.group() == annotation and index and words[index - 1].group() == "@"]
        head = words[named[-1] : named[-1] + 4] if named else words
        found = _first(head, near) if near else None
        return found if found is not None or not named else words[named[-1]].start()
    body = next((index for index, word in enumerate(words) if word.group() in ("permit", "forbid")), 0)
    return next((at for part in (words[body:], words) if (at := _first(part, near)) is not None), None)


def stopped(text: str, message: str, is_beginning: Callable[[str], bool]) -> int:
    """Return what a parser's message is about: the word it names, or the first token with which nothing can begin any more."""
    words = list(tokens(text))
    if twice := _TWICE.search(message):
        return next((word.start() for word in reversed(words) if word.group() == twice.group(1)), 0)
    named = _QUOTED.search(message) or _WORD.search(message)
    if named is not None:
        at = next((word.start() for word in words if word.group() == named.group(1)), text.find(named.group(1)))
        if at >= 0:
            return at
    stop = bisect_right(range(len(words)), 0, key=lambda index: not is_beginning(text[: words[index].end()]))
    return words[min(stop, len(words) - 1)].start()


def _first(words: list[re.Match[str]], near: str) -> int | None:
    """Return where a word stands by itself, as a whole string, or between other characters of one."""
    inside = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(near)}(?![A-Za-z0-9_])")
    for word in words:
        if word.group() == near:
            return word.start()
        if word.group().startswith('"') and (found := inside.search(word.group())):
            return word.start() + found.start()
    return None
