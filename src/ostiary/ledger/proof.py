"""Proofs anyone can check: the `.tlog-proof` file (c2sp.org/tlog-proof)."""

import base64
import binascii
from dataclasses import dataclass

from ostiary.core.errors import LedgerTampered
from ostiary.ledger.note import Checkpoint, Verifier
from ostiary.ledger.tree import includes, leaf_hash

_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 64


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """One entry's place under one signed checkpoint."""

    index: int
    path: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Return the file."""
        hashes = "".join(f"{base64.b64encode(node).decode()}\n" for node in self.path)
        return f"{_HEADER}\nindex {self.index}\n{hashes}\n".encode() + self.note

    @classmethod
    def decode(cls, raw: bytes) -> "InclusionProof":
        """Read a file. Raises LedgerTampered when it is none."""
        head, blank, note = raw.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
            if lines[0] != _HEADER or not blank:
                raise ValueError
            if len(lines) > 1 and lines[1].startswith("extra "):
                del lines[1]
            mark, _, number = lines[1].partition(" ")
            path = tuple(base64.b64decode(line, validate=True) for line in lines[2:])
            if mark != "index" or str(int(number)) != number or len(path) > _MAX_HASHES or any(len(node) != 32 for node in path):
                raise ValueError
        except (ValueError, IndexError, binascii.Error):
            raise LedgerTampered("not a .tlog-proof file") from None
        return cls(int(number), path, note)

    def check(self, leaf: bytes, verifier: Verifier) -> Checkpoint:
        """Return the checkpoint that covers the leaf. Raises LedgerTampered or CheckpointMismatch when it does not."""
        checkpoint, _ = verifier.open(self.note)
        if not includes(checkpoint.root, checkpoint.size, self.index, leaf_hash(leaf), self.path):
            raise LedgerTampered(f"the proof does not show that this is entry {self.index} of `{checkpoint.origin}`")
        return checkpoint
