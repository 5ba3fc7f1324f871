"""An operator changes, deletes, swaps or forges what is sealed beside the entries."""

from pathlib import Path

import pytest

from ostiary.core.errors import OstiaryError
from ostiary.ledger.vault import Vault, commitment, wrap_commitment
from ostiary.storage.ledger_files import open_reader, verify
from ostiary.storage.sqlite_ledger import SqliteLedgerStore
from tests.support.ledger import ledger_keys, tamper
from tests.support.ledger_attacks import copy_ledger, places, written

COUNT = 600


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    return copy_ledger(written(COUNT), tmp_path / "ledger")


@pytest.mark.parametrize("column", ["blob", "wrapped", "key"])
def test_a_changed_part_is_found(victim: Path, column: str) -> None:
    """R-L4: ciphertext, wrapped key and key id are all under the leaf's hash."""
    tamper(victim, f"UPDATE parts SET {column} = CAST({column} || 'x' AS BLOB) WHERE place >> 6 = 77")
    found = verify(victim)
    assert found.ok is False
    assert 77 in places(found)


def test_a_deleted_part_is_an_alarm(victim: Path) -> None:
    """R-L4: without a tombstone a missing part is not an erasure."""
    tamper(victim, "DELETE FROM parts WHERE place >> 6 = 77")
    found = verify(victim)
    assert found.ok is False
    assert 77 in places(found)


def test_a_part_of_another_entry_is_found(victim: Path) -> None:
    """R-L4: a valid sealed part, in the wrong place."""
    tamper(
        victim, "UPDATE parts SET (key, wrapped, blob) = (SELECT key, wrapped, blob FROM parts WHERE place >> 6 = 5) WHERE place >> 6 = 6"
    )
    found = verify(victim)
    assert found.ok is False
    assert 6 in places(found)
    reader = open_reader(victim, ledger_keys())
    with pytest.raises(OstiaryError, match="not what was recorded"):
        reader.reveal(reader.tail(5)[0]["id"], "arguments")
    reader.close()


def test_a_part_sealed_anew_by_somebody_with_the_keys_is_found(victim: Path) -> None:
    """R-L4: a key holder can encrypt anything, but not under the hash that was signed."""
    store = SqliteLedgerStore(victim)
    source = store.source()
    vault = Vault(ledger_keys(), source)
    index, _, part = next(iter(source.parts(9, 10)))
    row = source.data_key(part.key)
    assert row is not None
    forged = vault.seal(vault.key_for(row.subject, row.retention, row.quarter), b"ostiary/aad\0", b'{"amount":9999,"to":"ACME"}')
    source.close()
    tamper(victim, "UPDATE parts SET wrapped = ?, blob = ? WHERE place >> 6 = ?", (forged.wrapped, forged.blob, index))
    assert commitment(forged.blob) != commitment(part.blob)
    assert wrap_commitment(forged) != wrap_commitment(part)
    found = verify(victim)
    assert found.ok is False
    assert 9 in places(found)


def test_a_stray_part_is_found(victim: Path) -> None:
    """R-L4: nothing hangs on an entry that is not there."""
    tamper(victim, "INSERT INTO parts VALUES (?, x'00', x'00', x'00')", (9_999 << 6,))
    assert verify(victim).ok is False


def test_a_lost_or_changed_data_key_is_found(victim: Path) -> None:
    """R-L4: its absence for everybody, its change by whoever holds the key-encryption key."""
    tamper(victim, "UPDATE data_keys SET wrapped = CAST(wrapped || 'x' AS BLOB)", file="keys.db")
    assert verify(victim).ok
    assert verify(victim, keys=ledger_keys()).ok is False
    tamper(victim, "DELETE FROM data_keys", file="keys.db")
    assert verify(victim).ok is False
