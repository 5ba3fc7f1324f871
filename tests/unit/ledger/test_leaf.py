"""The leaf profile: one form for one entry, and nothing in clear that names a person or was written by one."""

import dataclasses
import json
import math
from typing import Any

import pytest

from ostiary.core.canonical import canonical
from ostiary.core.entry import Entry, Part
from ostiary.core.errors import InvalidAction, LedgerTampered
from ostiary.ledger.leaf import MAX_LEAF, decode, is_exact, iso, row
from ostiary.ledger.recorder import MAX_PARTS, Recorder
from ostiary.ledger.vault import Vault
from tests.support.ledger import AGENT, ORIGIN, MemoryStore, ledger_keys, make_entry


def recorder() -> Recorder:
    return Recorder(ORIGIN, "n1", Vault(ledger_keys(), MemoryStore().source()))


def leaf_of(**fields: Any) -> dict[str, Any]:
    value = json.loads(recorder().record(make_entry(**fields)).leaf)
    assert isinstance(value, dict)
    return value


def test_a_leaf_is_the_canonical_json_of_its_value() -> None:
    """R-L2: the stored bytes are RFC 8785, by an encoder that shares nothing with ours."""
    for entry in (make_entry(), make_entry(parts=(), labels=(), origins={}, digest=""), make_entry(upstream_status=503, duration_us=2**52)):
        leaf = recorder().record(entry).leaf
        assert canonical(json.loads(leaf)) == leaf
        assert is_exact(leaf)
        assert len(leaf) < 1_200


def test_a_row_has_exactly_the_promised_fields() -> None:
    """R-L5: the fields of SURFACE, in that order, and ours after them."""
    promised = (
        "index id at family kind intent boundary actor on_behalf_of owner session purpose action resource decision policies "
        "policy_revision code approval labels origins parts upstream_status duration_ms"
    )
    found = row(3, decode(recorder().record(make_entry(at_ns=1_800_000_000_123_456_789, duration_us=1500)).leaf))
    assert " ".join(found) == f"{promised} cost shadow shadow_policies"
    assert (found["index"], found["actor"], found["action"], found["duration_ms"]) == (3, AGENT, "payments/pay", 1.5)
    assert found["at"] == iso(1_800_000_000_123_456) == "2027-01-15T08:00:00.123456Z"
    assert [set(part) for part in found["parts"]] == [{"name", "size", "commitment"}]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.5, 0.0, -1, 2**53, True, "7", None])
@pytest.mark.parametrize("field", ["upstream_status", "duration_us", "cost"])
def test_a_number_that_two_readers_could_read_in_two_ways_is_refused(field: str, value: Any) -> None:
    """R-L2: NaN becomes null in many encoders; floats have many spellings; large integers lose digits."""
    with pytest.raises(InvalidAction):
        recorder().record(make_entry(**{field: value}))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Entry)])
def test_a_value_of_the_wrong_type_is_refused_in_every_field(field: str) -> None:
    """R-L2: nothing is recorded that was silently made into something else."""
    with pytest.raises(InvalidAction):
        recorder().record(make_entry(**{field: math.nan}))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Entry) if field.type == "str" or field.type is str])
def test_a_lone_surrogate_is_refused_or_sealed(field: str) -> None:
    """R-L2: it has no UTF-8 form; no leaf ever holds one."""
    with pytest.raises(InvalidAction):
        recorder().record(make_entry(**{field: "x\ud800"}))


@pytest.mark.parametrize("field", ["labels", "policies", "on_behalf_of"])
@pytest.mark.parametrize("value", [("x\ud800",), (math.nan,), (1,), (None,)])
def test_a_bad_item_of_a_list_is_refused(field: str, value: Any) -> None:
    """R-L2."""
    with pytest.raises(InvalidAction):
        recorder().record(make_entry(**{field: value}))


def test_bad_origins_and_parts_are_refused() -> None:
    """R-L2."""
    text: Any = "text"
    bad: list[dict[str, Any]] = [
        {"origins": {"a": math.nan}},
        {"origins": {1: "user"}},
        {"origins": {"a\ud800": "user"}},
        {"parts": (Part("x", text),)},
    ]
    for fields in bad:
        with pytest.raises(InvalidAction):
            recorder().record(make_entry(**fields))


def test_people_stand_as_the_same_random_handle_each_time() -> None:
    """R-L4: a name never stands in a leaf; another ledger's handle of the same person differs."""
    recording = recorder()
    first = recording.record(make_entry(user="alice", on_behalf_of=("alice", AGENT), owner="bob", resource="User::alice"))
    second = recording.record(make_entry(actor="spiffe://ostiary.local/user/alice"))
    assert b"alice" not in first.leaf + second.leaf
    assert b"bob" not in first.leaf
    leaf, other = decode(first.leaf), decode(second.leaf)
    assert leaf.user == leaf.on_behalf_of[0] == other.actor == leaf.resource.removeprefix("User::")
    assert leaf.on_behalf_of[1] == AGENT
    assert leaf.owner not in ("bob", leaf.user)
    assert leaf_of(user="alice")["user"] != leaf.user


@pytest.mark.parametrize("text", ["pay alice@example.com now", "naïve", 'x"y', "a\nb", "x" * 600, "<script>"])
def test_free_text_in_a_word_is_replaced_and_sealed(text: str) -> None:
    """R-L4: what is not a controlled word stands as a keyed stand-in, the text itself in part `words`."""
    recording = recorder()
    recorded = recording.record(make_entry(action=text, resource=f"Tool::{text}", labels=(text,), origins={text: "user"}))
    leaf = decode(recorded.leaf)
    assert text.encode() not in recorded.leaf
    assert leaf.action.startswith("~")
    assert leaf.resource == f"Tool::{leaf.action}"
    assert leaf.labels == (leaf.action,)
    assert leaf.origins == {leaf.action: "user"}
    assert [part.name for part in leaf.parts] == ["arguments", "words"]
    assert decode(recording.record(make_entry(action=text)).leaf).action == leaf.action
    assert is_exact(recorded.leaf)


def test_many_argument_names_are_sealed_as_a_part() -> None:
    """R-L2: a hostile call with ten thousand arguments is still recorded, in a bounded leaf."""
    leaf = leaf_of(origins={f"argument-{n}": "untrusted" for n in range(10_000)})
    assert "origins" not in leaf
    assert [part["name"] for part in leaf["parts"]] == ["arguments", "origins"]


def test_the_digest_of_an_action_cannot_be_guessed_from_a_leaf() -> None:
    """R-L4: low-entropy arguments could be found by trying; the digest is keyed with what erasure deletes."""
    assert leaf_of(digest="ab" * 32)["digest"] not in ("ab" * 32, leaf_of(digest="ab" * 32)["digest"])
    recording = recorder()
    twice = [decode(recording.record(make_entry(digest="ab" * 32)).leaf).digest for _ in range(2)]
    assert twice[0] == twice[1]


def test_what_is_too_large_is_refused() -> None:
    """R-L2: leaves of at most 16 KiB, parts of at most 64 MiB, 62 of them."""
    for fields in (
        {"labels": tuple(f"label-{n}" for n in range(3_000))},
        {"parts": tuple(Part(f"p{n}", b"") for n in range(MAX_PARTS + 1))},
    ):
        with pytest.raises(InvalidAction) as caught:
            recorder().record(make_entry(**fields))
        assert (caught.value.code, caught.value.status) == ("too_large", 413)
    assert MAX_LEAF == 16_384


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"x":1}', b"\xff", b'{"at":1.5}'])
def test_what_is_no_leaf_is_said_to_be_none(raw: bytes) -> None:
    """R-L2."""
    with pytest.raises(LedgerTampered):
        decode(raw)
    assert not is_exact(raw)


def test_another_spelling_of_a_leaf_is_not_exact() -> None:
    """R-L2: same value, other bytes."""
    leaf = recorder().record(make_entry()).leaf
    value = json.loads(leaf)
    for other in (json.dumps(value).encode(), json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(), leaf + b" "):
        assert not is_exact(other)
    assert not is_exact(canonical({**value, "extra": 1}))
    assert not is_exact(canonical({**value, "verb": ""}))
