"""The scan: offsets hold in the original, work is bounded, failure refuses."""

import random
import re
from itertools import pairwise
from typing import Any

import hyperscan
import pytest

from ostiary.controls import detectors, scanner
from ostiary.controls.pattern import Pattern, Span
from ostiary.controls.scanner import Scanner, disjoint, fold, is_among
from ostiary.controls.text_rules import clean
from ostiary.core.errors import Unavailable


def test_offsets_are_characters_of_the_original() -> None:
    """R-K2: wide, combining and astral characters before a find do not shift it."""
    text = "Grüße 東京 \U0001f600\U0001f468\u200d\U0001f469 naïve é́ → bob@example.com ✓ ４１１１１１１１１１１１１１１１"
    found = {span.kind: text[span.start : span.end] for span in detectors.scanner().scan(text)}
    assert found == {"pii.email": "bob@example.com", "pii.card": "４１１１１１１１１１１１１１１１"}


@pytest.mark.parametrize("text", ["ＡＫＩＡ", "𝐀𝐁𝐂𝟏", "①Ⓐ", "‐‑–", "\u00a0\u3000", "plain", "東京"])
def test_fold_keeps_the_length(text: str) -> None:
    assert len(fold(text)) == len(text)


def test_fold_shows_what_looks_alike() -> None:
    assert fold("ＡＫＩＡ 𝟏𝟐 x‑y\u00a0z") == "AKIA 12 x-y z"


def test_too_many_candidates_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-K2: a text made of candidates refuses instead of holding up everybody."""
    monkeypatch.setattr(scanner, "MAX_HITS", 100)
    with pytest.raises(Unavailable):
        detectors.scanner().scan("a@b.example " * 500)


@pytest.mark.parametrize("text", ["write to bob@example.com", "write to bob@exam\xadple.com"])
def test_the_thread_beside_the_loop_has_a_workspace_of_its_own(text: str) -> None:
    """R-K2: two scans in one workspace would disturb each other, with whatever characters the text is written."""
    used = []

    class Watched:
        def __init__(self, database: Any) -> None:
            self._database = database

        def scan(self, *arguments: Any, scratch: Any, **named: Any) -> None:
            used.append(scratch)
            self._database.scan(*arguments, scratch=scratch, **named)

    found = Scanner(detectors.patterns())
    plain = found.scan(text)
    real = found._database
    spare = hyperscan.Scratch(real)
    watched: Any = Watched(real)
    found._database, found._workspace = watched, spare
    assert found.scan_beside(text) == plain
    assert [span.kind for span in plain] == ["pii.email"]
    assert used == [spare]


def test_detector_that_fails_refuses() -> None:
    """R-K2: a confirmer that raises is not a no."""

    def broken(_match: re.Match[str], _group: int) -> bool:
        raise RuntimeError

    failing = Scanner([Pattern("x", "x", ["abc"], re.compile("abc"), broken)])
    with pytest.raises(RuntimeError):
        failing.scan("abc")


@pytest.mark.parametrize(
    "unit", ["+49 30 901820\n", "bob@example.com,", "4111 1111 1111 1111 ", "password=", "![x](", "eyJ", "1 ", "born on 1 ", "mrn "]
)
def test_every_character_is_read_once_a_pattern(unit: str) -> None:
    """R-K2: candidates that crowd share one window, so a crowd costs no more than its text."""
    text = (unit * 5000)[:20_000]
    hits: list[tuple[int, int]] = []
    detectors.scanner()._database.scan(text.encode(), scanner._note, context=hits)
    for index, windows in detectors.scanner()._windows(hits).items():
        pattern = detectors.scanner()._patterns[index]
        assert all(before[1] < after[0] for before, after in pairwise(windows))
        assert sum(high - low for low, high in windows) <= len(text) + pattern.back + pattern.reach


@pytest.mark.parametrize(
    "unit", ["-----BEGIN PRIVATE KEY-----", "PuTTY-User-Key-File-2: ", "kind: Secret\n", "[" * 40 + "](", "\x1b]", "a\u200d", "eyJa.eyJ"]
)
def test_crowded_openings_end(unit: str) -> None:
    """R-K2: many beginnings without an end are read through, not over and over."""
    text = (unit * 20_000)[:200_000]
    assert {span.kind for span in detectors.scanner().scan(text)} <= {"remote_image"}
    assert len(clean(text)[0]) <= len(text)


def test_long_list_of_numbers_is_all_found() -> None:
    """R-K2: past the costly confirmations the shape is enough: nothing in a long list is missed."""
    text = "".join(f"+49 30 9018{number:02d}\n" for number in range(100))
    assert len(detectors.scanner().scan(text)) == 100


@pytest.mark.parametrize("size", [300, 400, 3000, 7000])
def test_long_find_is_found_whole(size: int) -> None:
    """R-K2: no tail of a long secret is left behind."""
    rng = random.Random(size)
    body = "".join(rng.choice("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(size))
    token = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{body}.{body[::-1]}"
    spans = disjoint(detectors.scanner().scan(f"use {token} now"), ["secret"])
    assert [(span.start, span.end) for span in spans] == [(4, 4 + len(token))]


def test_disjoint_joins_what_overlaps() -> None:
    spans = [Span(0, 5, "pii.email", "a"), Span(2, 9, "secret", "b"), Span(9, 12, "phi", "c"), Span(10, 11, "injection", "d")]
    assert [(span.start, span.end, span.kind) for span in disjoint(spans)] == [(0, 9, "secret"), (9, 12, "phi")]
    assert disjoint(spans, ["pii"]) == [spans[0]]


def test_class_names_nest() -> None:
    assert is_among("pii.email", ["pii"])
    assert is_among("secret", ["pii", "secret"])
    assert not is_among("piida", ["pii"])
    assert not is_among("pii", ["pii.email"])


def test_database_is_small_and_every_rule_has_a_name() -> None:
    """R-K2: the compiled patterns fit beside everything else in the memory budget."""
    assert detectors.scanner().size < 4_000_000
    assert all(pattern.rule and pattern.kind and pattern.coarse for pattern in detectors.patterns())
