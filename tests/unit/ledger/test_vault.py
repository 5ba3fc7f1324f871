"""Sealing: what opens, what does not, and what deleting a key forgets."""

import pytest

from ostiary.core.errors import InvalidConfig, LedgerTampered, NotFound
from ostiary.ledger.store import SealedPart
from ostiary.ledger.vault import NOBODY, LedgerKeys, Vault, commitment, quarter_of, wrap_commitment
from tests.support.ledger import MemoryStore, ledger_keys


def sealed() -> tuple[MemoryStore, Vault, SealedPart]:
    store = MemoryStore()
    vault = Vault(ledger_keys(), store.source())
    part = vault.seal(vault.key_for(NOBODY, "standard", 20264), b"aad", b"the content")
    keep(store, vault)
    return store, vault, part


def keep(store: MemoryStore, vault: Vault) -> None:
    pending = vault.take_pending()
    store.identities.update({row.lookup: row for row in pending.identities})
    store.data_keys.update({row.id: row for row in pending.data_keys})


def test_a_part_opens_with_its_keys_only() -> None:
    """R-L4."""
    store, vault, part = sealed()
    assert b"the content" not in part.blob + part.wrapped
    assert vault.unseal(part, b"aad") == b"the content"
    assert Vault(ledger_keys(), store.source()).unseal(part, b"aad") == b"the content"
    with pytest.raises(LedgerTampered):
        vault.unseal(part, b"another entry")
    with pytest.raises(LedgerTampered, match="wrong key"):
        Vault(ledger_keys("other"), store.source()).unseal(part, b"aad")


def test_forgetting_the_data_key_forgets_the_part() -> None:
    """R-L4: erasure deletes one row; ciphertext without it says nothing."""
    store, vault, part = sealed()
    store.data_keys.clear()
    with pytest.raises(NotFound):
        vault.unseal(part, b"aad")


def test_every_flipped_bit_of_a_sealed_part_shows() -> None:
    """R-L4: in the blob by the commitment, in the wrapped key by its own, and neither opens."""
    _, vault, part = sealed()
    for field in ("wrapped", "blob"):
        raw = getattr(part, field)
        for place in range(len(raw) * 8):
            flipped = bytearray(raw)
            flipped[place >> 3] ^= 1 << (place & 7)
            changed = part._replace(**{field: bytes(flipped)})
            assert commitment(changed.blob) != commitment(part.blob) or wrap_commitment(changed) != wrap_commitment(part)
            with pytest.raises(LedgerTampered):
                vault.unseal(changed, b"aad")


def test_the_key_commitment_pins_the_key() -> None:
    """R-L4: AES-GCM alone lets one ciphertext open under two keys; the commitment does not."""
    _, vault, part = sealed()
    other = vault.seal(vault.key_for(NOBODY, "standard", 20264), b"aad", b"another")
    with pytest.raises(LedgerTampered):
        vault.unseal(SealedPart(part.key, part.wrapped, other.blob[:32] + part.blob[32:]), b"aad")


def test_a_data_key_row_cannot_be_moved_or_swapped() -> None:
    """R-L4: subject, class, quarter and id are bound to the wrapped key."""
    store, vault, part = sealed()
    row = store.data_keys[part.key]
    for changed in (
        row._replace(subject=b"x" * 16),
        row._replace(retention="long"),
        row._replace(quarter=1),
        row._replace(wrapped=bytes(60)),
    ):
        store.data_keys[part.key] = changed
        assert not vault.check_key(changed)
    assert not vault.check_key(row)
    store.data_keys[part.key] = row
    assert vault.check_key(row)


def test_handles_are_found_again_and_resolved_while_the_row_exists() -> None:
    """R-L4: the row is the only way in either direction."""
    store = MemoryStore()
    vault = Vault(ledger_keys(), store.source())
    assert vault.known_person("alice") is None
    handle = vault.person("alice")
    assert vault.person(handle) == handle
    assert vault.person("Alice") != handle
    keep(store, vault)
    again = Vault(ledger_keys(), store.source())
    assert again.person("alice") == again.known_person("alice") == handle
    assert again.name_of(handle) == "alice"
    assert b"alice" not in b"".join(b"".join(row) for row in store.identities.values())
    store.identities.clear()
    assert Vault(ledger_keys(), store.source()).name_of(handle) is None
    assert Vault(ledger_keys(), store.source()).person("alice") != handle
    assert again.name_of("not a handle") is None


def test_an_identity_row_cannot_be_moved_or_swapped() -> None:
    """R-L4: a name given to somebody else's handle does not open."""
    store = MemoryStore()
    vault = Vault(ledger_keys(), store.source())
    vault.person("alice")
    vault.person("bob")
    keep(store, vault)
    alice, bob = store.identities.values()
    assert vault.check_identity(alice)
    assert vault.check_identity(bob)
    for changed in (
        alice._replace(name=bob.name),
        alice._replace(handle=bob.handle),
        alice._replace(lookup=bob.lookup),
        alice._replace(name=b""),
    ):
        assert not vault.check_identity(changed)


def test_composed_and_decomposed_names_are_one_person() -> None:
    """R-L4: lookups are over the normalised name (NFC)."""
    store = MemoryStore()
    vault = Vault(ledger_keys(), store.source())
    first = vault.person("Zo\u00eb")
    keep(store, vault)
    assert vault.person("Zoe\u0308") == first


def test_quarters() -> None:
    """R-L4."""
    at = [0, 1_775_001_599, 1_775_001_600, 1_798_761_599]  # 1970, the last second of March 2026, the first of April, the last of the year
    assert [quarter_of(s * 10**9) for s in at] == [19701, 20261, 20262, 20264]


def test_keys_of_a_wrong_size_are_refused() -> None:
    """R-L4."""
    keys = ledger_keys()
    for kek, index_key in ((b"x", keys.index_key), (keys.kek, b"")):
        with pytest.raises(InvalidConfig):
            LedgerKeys(keys.signing, kek, index_key)
    assert keys.kek.hex() not in repr(keys)
