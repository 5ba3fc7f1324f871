"""The first guess at what a tool's arguments mean (R-H3): from schemas nobody here has seen before."""

from typing import Any

import pytest

from ostiary.provenance.profile import SHAPED, infer, is_identifier, is_naming

TEXT: dict[str, Any] = {"type": "string"}


def guess(name: str, *, annotations: dict[str, Any] | None = None, **properties: dict[str, Any]) -> Any:
    """Return the profile guessed for a tool."""
    return infer({"name": name, "inputSchema": {"type": "object", "properties": properties}, "annotations": annotations or {}})


@pytest.mark.parametrize(
    "argument",
    [
        "recipient",
        "toAddress",
        "bank_account",
        "IBAN",
        "user_id",
        "amount",
        "due_date",
        "file_path",
        "cmd",
        "webhookUrl",
        "apiKey",
        "zyx",
        "sql",
        "empfänger",
    ],
)
def test_what_decides_or_is_not_understood_is_control(argument: str) -> None:
    """R-H3: names of several styles; an unknown one decides."""
    assert argument in guess("do_thing", **{argument: TEXT}).control


@pytest.mark.parametrize("argument", ["body", "message", "commit_message", "eventDescription", "notes", "Betreff", "subject"])
def test_prose_is_payload(argument: str) -> None:
    """R-H3: what people read is payload."""
    profile = guess("do_thing", **{argument: TEXT})
    assert argument in profile.payload
    assert argument not in profile.control


@pytest.mark.parametrize(
    ("argument", "rule"),
    [
        ("message", {"type": "string", "format": "email"}),
        ("message_id", TEXT),
        ("note_path", TEXT),
        ("recipient_comment", TEXT),
        ("text", {"type": "object"}),
    ],
)
def test_prose_in_name_only_is_not_payload(argument: str, rule: dict[str, Any]) -> None:
    """R-H3: a format, a type or another word in the name speaks against it."""
    assert argument in guess("do_thing", **{argument: rule}).control


@pytest.mark.parametrize(
    ("argument", "rule"),
    [
        ("limit", {"type": "integer"}),
        ("page", {"type": "integer"}),
        ("verbose", {"type": "boolean"}),
        ("sort_order", {"type": "string", "enum": ["asc", "desc"]}),
        ("language", TEXT),
    ],
)
def test_paging_flags_and_fixed_lists_decide_nothing(argument: str, rule: dict[str, Any]) -> None:
    """R-H3: conservative is not absurd."""
    profile = guess("do_thing", **{argument: rule})
    assert argument not in profile.control
    assert argument not in profile.payload


@pytest.mark.parametrize(
    ("argument", "rule"), [("permission", {"enum": ["r", "rw"]}), ("is_public", {"type": "boolean"}), ("force", {"type": "boolean"})]
)
def test_flags_that_widen_do_decide(argument: str, rule: dict[str, Any]) -> None:
    """R-H3: who may see, and whether to overwrite, is no detail."""
    assert argument in guess("do_thing", **{argument: rule}).control


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("get_balance", "read"),
        ("searchContacts", "read"),
        ("list-files", "read"),
        ("suche_kunden", "read"),
        ("create_event", "reversible"),
        ("add_row", "reversible"),
        ("send_mail", "irreversible"),
        ("delete_file", "irreversible"),
        ("get_and_delete", "irreversible"),
        ("read_and_send", "irreversible"),
        ("create_payment_and_pay", "irreversible"),
        ("frobnicate", "irreversible"),
        ("", "irreversible"),
    ],
)
def test_the_effect_is_guessed_from_the_verb(name: str, effect: str) -> None:
    """R-H3: what is not understood is irreversible."""
    assert guess(name).effect == effect


def test_annotations_only_make_it_stricter() -> None:
    """R-H3: a lying annotation cannot make a tool harmless."""
    assert guess("delete_all", annotations={"readOnlyHint": True, "destructiveHint": False}).effect == "irreversible"
    assert guess("wire_money", annotations={"readOnlyHint": True, "openWorldHint": False}).external
    assert guess("get_page", annotations={"destructiveHint": True}).effect == "irreversible"
    assert guess("create_event", annotations={"openWorldHint": True}).external
    assert not guess("create_event").external


def test_a_guess_is_never_confirmed_and_vouches_only_in_writing() -> None:
    """R-H3: vouched fields are proposed from the output schema, for a person to confirm."""
    profile = infer(
        {
            "name": "list_orders",
            "outputSchema": {
                "properties": {
                    "orders": {"items": {"properties": {"order_id": TEXT, "note": TEXT, "buyer": {"properties": {"email": TEXT}}}}}
                }
            },
        }
    )
    assert profile.attested == {"orders.order_id", "orders.buyer.email", SHAPED}
    assert profile.directory == frozenset()
    assert not profile.confirmed


@pytest.mark.parametrize(
    "odd",
    [{}, {"name": None}, {"inputSchema": []}, {"inputSchema": {"properties": {"x": None, "y": {"type": ["a", 5]}}}}, {"annotations": 1}],
)
def test_an_odd_definition_is_guessed_conservatively(odd: dict[str, Any]) -> None:
    """R-H3: hostile definitions do not raise."""
    profile = infer(odd)
    assert profile.effect == "irreversible"
    assert profile.external


def test_names_of_things() -> None:
    """R-H3: identifiers and what people call things by."""
    assert is_identifier("orderId")
    assert is_identifier("invoice_no")
    assert not is_identifier("idea")
    assert is_naming("file_name")
    assert not is_naming("folder")


def test_labels_are_guessed_from_what_a_reading_tool_says_it_returns() -> None:
    """R-H3: a guessed label only makes it stricter, so it holds unconfirmed."""
    reads = {"name": "get_profile", "description": "Returns name, passport number and credit card"}
    assert infer(reads).labels == {"confidential"}
    assert infer({"name": "getSecret"}).labels == {"secret"}
    assert infer(
        {"name": "list_visits", "outputSchema": {"properties": {"visits": {"items": {"properties": {"diagnosis": TEXT}}}}}}
    ).labels == {"phi"}
    assert infer({"name": "get_weather", "description": "secretary"}).labels == frozenset()
    assert infer({"name": "set_password"}).labels == frozenset()
