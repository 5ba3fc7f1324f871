"""Ids are ordered by time, unguessable and safe to stand in a path."""

import uuid

import pytest

from ostiary.core.ids import is_name, new_id, spiffe_id


def test_an_id_is_a_version_7_uuid_ordered_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert [one[:11] for one in ids] == sorted(one[:11] for one in ids)


def test_a_principal_has_a_spiffe_id() -> None:
    """R-P1."""
    assert spiffe_id("example.org", "agent", "invoice-bot") == "spiffe://example.org/agent/invoice-bot"


@pytest.mark.parametrize("text", ["", "../x", "a/b", "a b", "-a", ".a", "a\n", "é", "a" * 129, "a\0"])
def test_what_is_no_name(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize("text", ["a", "invoice-bot", "gpt-4o", "alice@example.com", "a.b_c", "A9"])
def test_what_is_a_name(text: str) -> None:
    assert is_name(text)
