"""Streams and whole answers are shaped alike, wherever the pieces are cut, and never are held back whole."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.controls.control_set import ControlSet
from ostiary.controls.redaction import MAX_VALUE_LENGTH
from ostiary.controls.stream import MAX_HELD
from ostiary.controls.text_rules import clean
from tests.support.controls import controls, passage, prompt, session

CONTROLS: ControlSet = controls()
OBLIGATIONS = {"redact": "pii,secret,phi"}
GITHUB = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz12A"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" + "aB3x" * 300 + ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJVadQssw5c"
KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join("MIIEpAIBAAKCAQEA7bq3Zx0Kq9" + "xY3z" * 9 for _ in range(25))
    + "\n-----END RSA PRIVATE KEY-----"
)
TEXTS = {
    "token": f"Your token is {GITHUB}, keep it.",
    "token in json": json.dumps({"token": GITHUB, "to": "bob@example.com"}, separators=(",", ":")),
    "token at the end": f"Use {GITHUB}",
    "assignment": "export API_KEY='q8Zr2mVx9Kt4Lw7Pn3Ys' # mine",
    "card": "Card 4111 1111 1111 1111, please; also 5500-0000-0000-0004.",
    "mail": "Write to alice.smith+x@mail.example.co.uk or bob@example.com.",
    "phone": "Call +49 30 901820 or (212) 555-2368 today.",
    "iban": "Pay to DE89 3704 0044 0532 0130 00 by Friday, or GB82WEST12345698765432.",
    "ssn": "SSN 536-90-4399 and NINO AB 12 34 56 C.",
    "record": "patient id: AB-123456 and MRN 0012345, born on 12 March 1980 in Ulm.",
    "birth": "Date of birth: March 3, 1980. DOB 1980-03-12.",
    "picture": "See ![the chart](https://evil.example/p?d=abc def) and ![x](data:image/png;base64,AAAA) ok.",
    "html": 'A <img alt="x" src="https://evil.example/q?x=1"> and <b>bold</b> if a<b and i<j.',
    "reference": "See ![chart][1].\n\n[1]: https://evil.example/x\nEnd.",
    "hidden": "A\u202eB\u200bC"
    + "".join(chr(0xE0000 + ord(c)) for c in "steal")
    + "D \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f \U0001f468\u200d\U0001f469 x\u200d\u200dy",
    "hidden in token": GITHUB[:9] + "\u200b" + GITHUB[9:20] + "\u2060" + GITHUB[20:] + " end",
    "ansi": "plain \x1b[1;31mred\x1b[0m and \x1b]0;title\x07 end \x1b",
    "jwt": f"Bearer {JWT} and on",
    "key": f"Here it is:\n{KEY}\nThat was it.",
    "url": "postgres://app:s3cr3tPassw0rd@db.example:5432/x and on",
    "prose": "In 2024 we sold 1,234 units (up 12.5 %) on 3 May. GB and US; i.e. 10 x 20 = 200!\n- a [link](https://example.org/a) - `code` <- x\n",
    "unicode": "Grüße aus Köln, 東京都 und Αθήνα; müßig: naïve café, привет 12 34.",
}


def whole(text: str, obligations: dict[str, str]) -> tuple[str, frozenset[str]]:
    made = passage(prompt("x"), to="gpt", of=session("whole"), obligations=obligations)
    shaped: Any = CONTROLS.answer(made, {"text": text})
    return plain(shaped["text"]), made.detected


def streamed(pieces: list[str], obligations: dict[str, str], channel: str = "content") -> tuple[str, frozenset[str], int]:
    made = passage(prompt("x"), to="gpt", of=session("stream"), obligations=obligations)
    stream = CONTROLS.stream(made)
    out, fed, held = "", 0, 0
    for piece in pieces:
        fed += len(piece)
        out += stream.feed(channel, piece)
        held = max(held, fed - len(out))
    out += stream.finish(channel)
    return plain(out), stream.detected, held


def plain(text: str) -> str:
    """Tokens are keyed by session: compare what they stand for only."""
    return re.sub(r"#[0-9a-f]{8}\]", "#]", text)


@pytest.mark.parametrize("name", TEXTS)
def test_cut_in_two_anywhere(name: str) -> None:
    """R-K2: a find that is split over two pieces at any place is shaped as in a whole answer."""
    text = TEXTS[name]
    expected, detected = whole(text, OBLIGATIONS)
    for at in range(0, len(text) + 1, 1 if len(text) < 700 else 9):
        got, found, _ = streamed([text[:at], text[at:]], OBLIGATIONS)
        assert got == expected, at
        assert found == detected, at


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16])
def test_cut_in_small_pieces(name: str, size: int) -> None:
    """R-K2: so is one split over many pieces."""
    text = TEXTS[name]
    got, found, _ = streamed([text[at : at + size] for at in range(0, len(text), size)], OBLIGATIONS)
    assert (got, found) == whole(text, OBLIGATIONS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(TEXTS)), min_size=1, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_any_mixture_in_any_pieces(names: list[str], sizes: list[int]) -> None:
    """R-K2: several finds, any pieces."""
    text = "\n".join(TEXTS[name] for name in names)
    pieces, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        pieces.append(text[at : at + size])
        at, turn = at + size, turn + 1
    got, found, _ = streamed(pieces, OBLIGATIONS)
    assert (got, found) == whole(text, OBLIGATIONS)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=20))
def test_any_text_loses_nothing_but_what_is_hidden(pieces: list[str]) -> None:
    """R-K2: what comes out does not depend on the pieces; text with nothing to find comes out whole."""
    got, expected = streamed(pieces, OBLIGATIONS)[0], whole("".join(pieces), OBLIGATIONS)[0]
    # a single joiner beside something taken out may stay or go: it is one of those that writing needs
    assert re.sub("[\u200c-\u200f]", "", got) == re.sub("[\u200c-\u200f]", "", expected)
    assert clean(expected) == (expected, frozenset())


@pytest.mark.parametrize(
    "text",
    [
        "word " * 4000,
        "x" * 20_000,
        "4" * 20_000,
        "![" * 5000,
        "a@" * 5000,
        "<img " * 4000,
        "eyJ" * 5000,
        "(1 2 3) " * 2000,
        "\u200b" * 9000,
        "\x1b[" * 5000,
        "[x" * 8000,
    ],
)
def test_hold_back_is_bounded(text: str) -> None:
    """R-K2: no stream is buffered whole, whatever it carries."""
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    made = passage(prompt("x"), to="gpt", of=session("bounded"), obligations=OBLIGATIONS)
    stream = CONTROLS.stream(made)
    for piece in pieces:
        stream.feed("content", piece)
        channel = stream._channels["content"]
        assert len(channel.held) + len(channel.raw) <= 5 * MAX_HELD
    stream.finish("content")


def test_endless_key_is_bounded_and_never_released() -> None:
    """R-K2: a private key that never ends is not held forever, and not let go."""
    made = passage(prompt("x"), to="gpt", of=session("endless"), obligations=OBLIGATIONS)
    stream = CONTROLS.stream(made)
    out = stream.feed("content", "-----BEGIN PRIVATE KEY-----\n")
    for _ in range(1500):
        out += stream.feed("content", "MIIEpAIBAAKCAQEA7bq3Zx0Kq9xY\n")
        assert len(stream._channels["content"].held) <= MAX_VALUE_LENGTH + 64
    out += stream.finish("content")
    assert "secret" in stream.detected


def test_prose_is_hardly_delayed() -> None:
    """R-K2: ordinary words leave with the next word."""
    words = [f" {word}" for word in ("the quick brown fox jumps over a lazy dog while it rains and nobody minds at all " * 20).split()]
    _, _, held = streamed(words, OBLIGATIONS)
    assert held <= 12


def test_channels_do_not_mix() -> None:
    """R-K2: each channel has its own text; halves in two channels are two texts."""
    made = passage(prompt("x"), to="gpt", of=session("two"), obligations=OBLIGATIONS)
    stream = CONTROLS.stream(made)
    out = stream.feed("content", "see alice@exam") + stream.feed("tool:0", "ple.com") + stream.finish("content") + stream.finish("tool:0")
    assert out == "see alice@example.com".replace("see alice@exam", "see alice@exam")
    assert stream.detected == frozenset()
