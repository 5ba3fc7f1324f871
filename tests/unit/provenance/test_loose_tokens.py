"""Tokens for recognising somebody's text: what is quick in ASCII finds what the pattern finds (R-K5)."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary.provenance import words


@given(st.text(alphabet="ab1.,;:!?…| \t\n\x1c'\"()[]{}<>-/@É", max_size=60))
def test_the_quick_way_finds_what_the_pattern_finds(text: str) -> None:
    expected = words._LOOSE.findall(text.lower() if text.isascii() else words.fold(text.translate(words._INVISIBLE)))
    assert words.loose_tokens(text) == expected
