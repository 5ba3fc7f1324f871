"""The deployment's keys: one master key in a 0600 file, everything else derived from it or sealed by it."""

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ostiary.core.errors import Corrupt, InvalidConfig

_NONCE = 12


class Keyring:
    """Keys under one folder (0700). Made on first use, before any of the files `sealed` exist; a file others can read is refused."""

    def __init__(self, folder: Path, sealed: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._sealed = sealed
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._master = self._load_or_make("master.key", 32)

    def derive(self, purpose: str) -> bytes:
        """Return the 32-byte key for one purpose (HKDF-SHA256, RFC 5869)."""
        return HKDF(SHA256(), 32, None, f"ostiary/{purpose}".encode()).derive(self._master)

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """Return the Ed25519 key `name`, sealed on disk by the master key."""
        path = self._folder / f"{name}.ed25519"
        cipher, context = AESGCM(self.derive("signing-key")), name.encode()
        if not path.exists():
            self._refuse_lost(path)
            key, nonce = Ed25519PrivateKey.generate(), os.urandom(_NONCE)
            _write_private(path, nonce + cipher.encrypt(nonce, key.private_bytes_raw(), context))
            return key
        _check_private(path)
        blob = path.read_bytes()
        try:
            return Ed25519PrivateKey.from_private_bytes(cipher.decrypt(blob[:_NONCE], blob[_NONCE:], context))
        except (InvalidTag, ValueError):
            raise Corrupt(f"`{path}` does not open with this master key", remedy="restore both from the same backup") from None

    def _load_or_make(self, name: str, size: int) -> bytes:
        path = self._folder / name
        if not path.exists():
            self._refuse_lost(path)
            _write_private(path, os.urandom(size))
        _check_private(path)
        key = path.read_bytes()
        if len(key) != size:
            raise Corrupt(f"`{path}` has {len(key)} bytes, expected {size}", remedy="restore it from a backup")
        return key

    def _refuse_lost(self, path: Path) -> None:
        """A key is made only before there is data: a new one would open none of it. Raises Corrupt."""
        if any(sealed.exists() for sealed in self._sealed):
            raise Corrupt(f"`{path}` is gone, and the data beside it needs it", remedy="restore it from the backup of this data folder")


def _check_private(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise InvalidConfig(f"`{path}` can be read by others", remedy=f"chmod 600 {path}")


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that was never readable by others, whole or not at all."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
