"""Content controls let honest text through: at most one in a hundred is blocked, and none of the hand-written ones."""

from tests.support.controls import controls, passage, prompt
from tests.support.honest import CODE, HONEST, INVOICES, MAILS, PROSE

SET = controls()


def refused(text: str, to: str) -> bool:
    made = passage(prompt(text) if to == "gpt" else {"body": text}, to=to)
    return (SET.inspect(made) or SET.shape(made)) is not None


def test_at_most_one_in_a_hundred_is_blocked() -> None:
    """R-K2: for models and for tools."""
    for to in ("gpt", "mail/send"):
        blocked = [text[:120] for text in HONEST if refused(text, to)]
        assert len(blocked) <= len(HONEST) / 100, blocked


def test_no_honest_message_is_blocked_or_changed() -> None:
    """R-K2: mails, invoices, prose and code pass as they are."""
    for text in (*PROSE, *MAILS, *INVOICES, *CODE):
        made = passage({"body": text})
        assert (SET.inspect(made) or SET.shape(made)) is None, text
        assert made.acting[1].arguments == {"body": text}
        assert SET.answer(passage({}), {"t": text}) == {"t": text}


def test_marks_are_rare_too() -> None:
    """R-K1: `injection`, `hidden_text` and personal numbers are not seen where there are none."""
    marks: dict[str, list[str]] = {}
    for text in HONEST:
        made = passage({"body": text})
        SET.inspect(made)
        for kind in made.detected - {"remote_link", "remote_image", "data_uri", "pii.email"}:
            marks.setdefault(kind, []).append(text[:160])
    honest = {"pii.iban": 1, "pii.phone": 1}
    wrong = {kind: texts for kind, texts in marks.items() if len(texts) > honest.get(kind, 0)}
    assert sum(map(len, wrong.values())) <= len(HONEST) / 100, wrong
    assert "injection" not in marks, marks["injection"]
    assert "hidden_text" not in marks


def test_large_honest_data_is_not_blocked() -> None:
    """R-K2: tables and matrices of some hundred kilobytes pass."""
    for text in (
        "0 1 1 0 1 0 0 1\n" * 12_000,
        "4711,12.50,2026-09-11,Berlin\n" * 8_000,
        "x" * 300_000,
        "abc@ def: [1](2) = 3\n" * 1_500,
        "a.b.c/d-e_f 0x1F " * 15_000,
    ):
        assert not refused(text, "mail/send"), text[:20]


def test_tool_schemas_in_a_prompt_are_no_secrets() -> None:
    """R-K2: a request that describes a parameter called `password` or `api_key` holds none."""
    fields = {
        name: {"type": "string", "max_length_64": "x", "description": "at least 12 characters, 1 digit"}
        for name in ("password", "api_key", "client_secret", "aws")
    }
    body = {
        **prompt("log in"),
        "tools": [
            {
                "type": "function",
                "function": {"name": "login", "parameters": {"type": "object", "properties": fields, "required": list(fields)}},
            }
        ],
    }
    made = passage(body, to="gpt")
    assert (SET.inspect(made) or SET.shape(made)) is None
    assert not made.detected
