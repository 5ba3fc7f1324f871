"""Signed notes and the checkpoints in them: c2sp.org/signed-note, tlog-checkpoint and tlog-cosignature.

A checkpoint carries two signatures of our one key: the log's (algorithm 1, what every verifier reads) and a
timestamped cosignature (algorithm 4), so that an idle ledger can say every half minute that nothing is missing.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ostiary.core.errors import CheckpointMismatch, InvalidConfig

LOG, COSIGNATURE = 1, 4
_DASH = "\N{EM DASH} "
_MAX_NOTE = 65_536


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: `size` leaves of the ledger `origin` have this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text (c2sp.org/tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """Return the four bytes by which a signature names its key."""
    return sha256(b"%b\n%c%b" % (name.encode(), algorithm, public)).digest()[:4]


class Signer:
    """Signs checkpoints of one ledger."""

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        if not origin.isascii() or not origin.isprintable() or not origin or " " in origin or "+" in origin:
            raise InvalidConfig(f"ledger origin `{origin}` must be printable ASCII without spaces or `+`")
        self.origin = origin
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._ids = {algorithm: key_id(origin, algorithm, self._public) for algorithm in (LOG, COSIGNATURE)}

    @property
    def vkey(self) -> str:
        """The verifier key, as Go's sumdb/note reads it: `name+id+key`."""
        return f"{self.origin}+{self._ids[LOG].hex()}+{_b64(bytes([LOG]) + self._public)}"

    def sign(self, size: int, root: bytes, at_s: int) -> bytes:
        """Return the signed checkpoint of a tree at `at_s` seconds since the epoch."""
        text = Checkpoint(self.origin, size, root).text
        log = self._ids[LOG] + self._key.sign(text.encode())
        when = at_s.to_bytes(8, "big")
        cosigned = self._ids[COSIGNATURE] + when + self._key.sign(f"cosignature/v1\ntime {at_s}\n{text}".encode())
        return f"{text}\n{_DASH}{self.origin} {_b64(log)}\n{_DASH}{self.origin} {_b64(cosigned)}\n".encode()


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks signatures of one key, from its verifier key string."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read a verifier key. Raises InvalidConfig."""
        try:
            name, identity, encoded = vkey.strip().split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
            public = raw[1:]
            Ed25519PublicKey.from_public_bytes(public)
            if raw[0] != LOG or identity != key_id(name, LOG, public).hex():
                raise ValueError
        except (ValueError, IndexError):
            raise InvalidConfig(f"`{vkey[:200]}` is not an Ed25519 verifier key: expected `name+id+key`") from None
        return cls(name, public)

    def open(self, note: bytes) -> tuple[Checkpoint, int | None]:
        """Return the checkpoint in a signed note and when it was cosigned, in seconds.

        Raises CheckpointMismatch when the note is not well formed, not of this key, or its signature is wrong.
        """
        text, signatures = _split(note)
        key = Ed25519PublicKey.from_public_bytes(self.public)
        logged, cosigned_at = False, None
        try:
            for name, blob in signatures:
                if name == self.name and blob[:4] == key_id(name, LOG, self.public):
                    key.verify(blob[4:], text.encode())
                    logged = True
                elif name == self.name and blob[:4] == key_id(name, COSIGNATURE, self.public):
                    at_s = int.from_bytes(blob[4:12], "big")
                    key.verify(blob[12:], f"cosignature/v1\ntime {at_s}\n{text}".encode())
                    cosigned_at = at_s
        except InvalidSignature:
            raise CheckpointMismatch(f"checkpoint of `{self.name}` has a wrong signature") from None
        if not logged:
            raise CheckpointMismatch(f"checkpoint is not signed by the key `{self.name}+{key_id(self.name, LOG, self.public).hex()}`")
        checkpoint = _read(text)
        if checkpoint.origin != self.name:
            raise CheckpointMismatch(f"checkpoint is of ledger `{checkpoint.origin}`, the key of `{self.name}`")
        return checkpoint, cosigned_at


def read_unverified(note: bytes) -> Checkpoint:
    """Return what a note claims, without believing it. Raises CheckpointMismatch when it is not well formed."""
    return _read(_split(note)[0])


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    try:
        if len(note) > _MAX_NOTE:
            raise ValueError
        body, blank, tail = note.decode().rpartition("\n\n")
        if not blank or not tail.endswith("\n"):
            raise ValueError
        signatures = []
        for line in tail[:-1].split("\n"):
            name, _, encoded = line.removeprefix(_DASH).partition(" ")
            blob = base64.b64decode(encoded, validate=True)
            if not line.startswith(_DASH) or not name or len(blob) < 5 or _b64(blob) != encoded:
                raise ValueError
            signatures.append((name, blob))
    except (ValueError, binascii.Error):
        raise CheckpointMismatch("not a signed note") from None
    return body + "\n", signatures


def _read(text: str) -> Checkpoint:
    lines = text.split("\n")
    try:
        origin, size, encoded = lines[:3]
        root = base64.b64decode(encoded, validate=True)
        if not origin or str(int(size)) != size or int(size) < 0 or len(root) != 32 or _b64(root) != encoded:
            raise ValueError
    except ValueError:
        raise CheckpointMismatch("the signed note is not a checkpoint: expected origin, size and root") from None
    return Checkpoint(origin, int(size), root)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
