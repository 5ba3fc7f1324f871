"""One pass over a text for all detectors: hyperscan finds candidates, exact patterns and validators confirm them."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import hyperscan

from ostiary.controls.pattern import Pattern, Span, value_group
from ostiary.core.beside import PIECE
from ostiary.core.errors import Unavailable

MAX_HITS = 50_000
"""Candidates in one text; more is an attack on the scanner and refuses."""
FURTHER = 16_384
"""Characters behind a window that a match which fills it may reach into."""
MAX_COSTLY = 32
"""Costly confirmations of one pattern in one text, so that a list of telephone numbers cannot hold up the loop."""
SOFT_HYPHEN = "\xad"

_COMPATIBLE = re.compile(
    "[ªº²³¹‐-―−\u2000-\u200a\u2070-\u209f\u2100-\u214f\u2460-\u24ff\ufe10-\ufe6f\uff01-\uff5e\U0001d400-\U0001d7ff\u00a0\u202f\u3000]"
)
_FOLDED = {
    code: folded
    for first, last in (
        (0xA0, 0xBE),
        (0x2000, 0x214F),
        (0x2460, 0x24FF),
        (0x3000, 0x3000),
        (0xFE10, 0xFE6F),
        (0xFF01, 0xFF5E),
        (0x1D400, 0x1D7FF),
    )
    for code in range(first, last + 1)
    if len(folded := unicodedata.normalize("NFKC", chr(code))) == 1 and folded.isascii()
} | dict.fromkeys((*range(8208, 8214), 8722), "-")


def fold(text: str) -> str:
    """Return `text` with letters and digits that only look different (full width, mathematical) as ASCII.

    For comparison only: the result has the same length, so that offsets hold in the original.
    """
    if text.isascii():
        return text
    if len(text) > PIECE:
        return "".join([fold(text[at : at + PIECE]) for at in range(0, len(text), PIECE)])
    if _COMPATIBLE.search(text) is None:
        return text
    return text.translate(_FOLDED)


class Scanner:
    """All patterns compiled into one database. For the event loop, and for one thread beside it, which gets a workspace of its own."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = tuple(patterns)
        expressions = [(source, index) for index, pattern in enumerate(self._patterns) for source in pattern.coarse]
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._owners = [index for _, index in expressions]
        self._database.compile(
            expressions=[source.encode("latin-1") for source, _ in expressions],
            ids=list(range(len(expressions))),
            elements=len(expressions),
            flags=[hyperscan.HS_FLAG_CASELESS] * len(expressions),
        )
        self._workspace: Any = None
        self._known = frozenset(name for pattern in self._patterns for name in _ancestry(pattern.kind))

    @property
    def size(self) -> int:
        """The bytes of the compiled database."""
        return int(self._database.size())

    @property
    def classes(self) -> frozenset[str]:
        """Every class that is found here, and what stands for several of them."""
        return self._known

    @property
    def kinds(self) -> frozenset[str]:
        """Every class as finds carry it."""
        return frozenset(pattern.kind for pattern in self._patterns)

    def knows(self, name: str) -> bool:
        """Say whether `name` is a class that is found here, or stands for several of them, as `pii` does."""
        return name in self._known

    def scan_beside(self, text: str) -> list[Span]:
        """Do what `scan` does, on the one thread beside the event loop."""
        if self._workspace is None:
            self._workspace = hyperscan.Scratch(self._database)
        return self.scan(text, self._workspace)

    def scan(self, text: str, workspace: Any = None) -> list[Span]:
        """Return the confirmed finds, ordered by where they start. Raises Unavailable when it cannot say."""
        if not text:
            return []
        if SOFT_HYPHEN in text:
            return self._scan_joined(text, workspace)
        folded = fold(text)
        hits: list[tuple[int, int]] = []
        try:
            # one byte a character keeps byte offsets and character offsets the same
            self._database.scan(folded.encode("latin-1", "replace"), _note, context=hits, scratch=workspace)
        except hyperscan.HyperscanError as error:
            raise Unavailable("the content scanner failed on this text, so it was refused") from error
        if not hits:
            return []
        spans = [span for index, windows in self._windows(hits).items() for span in self._confirm(index, windows, folded)]
        spans.sort(key=lambda span: (span.start, -span.end))
        return spans

    def _scan_joined(self, text: str, workspace: Any) -> list[Span]:
        """Read a text as it is shown: a soft hyphen parts no word that a find could be hidden in."""
        kept = [at for at, char in enumerate(text) if char != SOFT_HYPHEN]
        spans = self.scan(text.replace(SOFT_HYPHEN, ""), workspace)
        return [replace(span, start=kept[span.start], end=kept[span.end - 1] + 1) for span in spans]

    def _windows(self, hits: Sequence[tuple[int, int]]) -> dict[int, list[list[int]]]:
        """Merge the neighbourhoods of each pattern's hits, so that every character is read once a pattern."""
        merged: dict[int, list[list[int]]] = defaultdict(list)
        owners, patterns = self._owners, self._patterns
        for end, expression in sorted(hits):
            index = owners[expression]
            pattern, windows = patterns[index], merged[index]
            low = max(0, end - pattern.back)
            if windows and low <= windows[-1][1]:
                windows[-1][1] = end + pattern.reach
            else:
                windows.append([low, end + pattern.reach])
        return merged

    def _confirm(self, index: int, windows: list[list[int]], text: str) -> Iterable[Span]:
        pattern = self._patterns[index]
        confirm, left = pattern.confirm, MAX_COSTLY if pattern.costly else MAX_HITS
        for low, high in windows:
            for found in pattern.exact.finditer(text, low, high):
                # a match that fills the window may go on behind it: no tail of a secret stays
                match = (found.end() >= high and pattern.exact.match(text, found.start(), high + FURTHER)) or found
                group = value_group(pattern, match)
                left -= 1
                if confirm is None or left < 0 or confirm(match, group):
                    yield Span(match.start(group), match.end(group), pattern.kind, pattern.rule)


def _note(expression: int, _start: int, end: int, _flags: int, hits: Any) -> bool | None:
    hits.append((end, expression))
    return len(hits) > MAX_HITS or None


def disjoint(spans: Sequence[Span], kinds: Iterable[str] | None = None) -> list[Span]:
    """Return spans that do not overlap, widest first, of the wanted classes (`pii` takes `pii.email` too)."""
    wanted = None if kinds is None else tuple(kinds)
    kept: list[Span] = []
    for span in spans:
        if wanted is not None and not is_among(span.kind, wanted):
            continue
        if kept and span.start < kept[-1].end:
            last = kept[-1]
            if span.end > last.end:
                kept[-1] = Span(last.start, span.end, min(last.kind, span.kind, key=_rank), last.rule)
            elif _rank(span.kind) < _rank(last.kind):
                kept[-1] = Span(last.start, last.end, span.kind, span.rule)
            continue
        kept.append(span)
    return kept


def _ancestry(kind: str) -> list[str]:
    """Return a class and all that it stands below: `pii.email`, `pii`."""
    parts = kind.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def is_among(kind: str, wanted: Iterable[str]) -> bool:
    """Say whether a class is one of `wanted` or below it."""
    return any(kind == name or kind.startswith(f"{name}.") for name in wanted)


def _rank(kind: str) -> int:
    return {"secret": 0, "phi": 1}.get(kind, 2)
