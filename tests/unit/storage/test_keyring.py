"""Keys are private files, made once, and refuse to be read by others."""

from pathlib import Path

import pytest

from ostiary.core.errors import Corrupt, InvalidConfig
from ostiary.storage.keyring import Keyring


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    first = Keyring(tmp_path / "keys")
    again = Keyring(tmp_path / "keys")
    assert first.derive("state") == again.derive("state") != first.derive("ledger")
    assert first.signing_key("ledger").private_bytes_raw() == again.signing_key("ledger").private_bytes_raw()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    Keyring(tmp_path)
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(InvalidConfig, match="can be read by others"):
        Keyring(tmp_path)


def test_a_cut_or_swapped_key_is_noticed(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    ring.signing_key("ledger")
    (tmp_path / "tokens.ed25519").write_bytes((tmp_path / "ledger.ed25519").read_bytes())
    (tmp_path / "tokens.ed25519").chmod(0o600)
    with pytest.raises(Corrupt):
        ring.signing_key("tokens")
    (tmp_path / "master.key").write_bytes(b"short")
    with pytest.raises(Corrupt, match="has 5 bytes"):
        Keyring(tmp_path)
