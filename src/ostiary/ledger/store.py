"""What the ledger needs from the place it is kept, and the values that pass between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ostiary.ledger.tree import Tile

if TYPE_CHECKING:
    from ostiary.ledger.index import LedgerIndex


class SealedPart(NamedTuple):
    """A payload nobody can read without the data key `key` names."""

    key: bytes
    """Id of the data key, 16 bytes."""
    wrapped: bytes
    """The part's own key under the data key: nonce and AES-256-GCM."""
    blob: bytes
    """Key commitment, nonce, AES-256-GCM."""


class Identity(NamedTuple):
    """The one way from a person to a handle; deleting it is forgetting."""

    lookup: bytes
    """HMAC of the normalised registry name, 32 bytes."""
    handle: bytes
    name: bytes
    """The name, sealed by the key-encryption key, for readers who may see it."""


class DataKey(NamedTuple):
    """A key for one subject, retention class and quarter, wrapped by the key-encryption key."""

    id: bytes
    subject: bytes
    retention: str
    quarter: int
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What becomes durable together, or not at all."""

    first: int
    """Index of the first entry."""
    leaves: Sequence[bytes]
    parts: Sequence[tuple[int, int, SealedPart]]
    """Entry index, part number, part."""
    tiles: Sequence[Tile]
    identities: Sequence[Identity] = field(default_factory=tuple)
    data_keys: Sequence[DataKey] = field(default_factory=tuple)


class LedgerSource(Protocol):
    """A ledger to be read: by the gateway beside its writer, or offline by an auditor. Raises LedgerTampered when it cannot be."""

    def meta(self) -> Mapping[str, str]:
        """Return `origin`, `vkey`, `format`; empty when there is no ledger yet."""
        ...

    def size(self) -> int:
        """Return the number of entries."""
        ...

    def leaves(self, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Iterate stored (index, leaf) in order; a hole shows as a missing index."""
        ...

    def parts(self, first: int, stop: int) -> Iterator[tuple[int, int, SealedPart]]:
        """Iterate stored parts of these entries as (index, number, part), in order."""
        ...

    def tile(self, level: int, n: int) -> bytes | None:
        """Return a full tile's hashes."""
        ...

    def checkpoints(self, at_least: int = 0) -> Iterator[bytes]:
        """Iterate the released checkpoints of at least this size, oldest first."""
        ...

    def newest_checkpoint(self) -> bytes | None:
        """Return the checkpoint kept outside the database."""
        ...

    def identity(self, lookup: bytes) -> Identity | None:
        """Return the identity row of a person."""
        ...

    def named(self, handle: bytes) -> Identity | None:
        """Return the identity row of a handle."""
        ...

    def identities(self) -> Iterator[Identity]:
        """Iterate every identity row."""
        ...

    def data_keys(self) -> Iterator[DataKey]:
        """Iterate every data key."""
        ...

    def data_key(self, key: bytes) -> DataKey | None:
        """Return a data key by id."""
        ...

    def data_key_for(self, subject: bytes, retention: str, quarter: int) -> DataKey | None:
        """Return the newest data key of a subject, retention class and quarter."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LedgerStore(Protocol):
    """A ledger with its one writer. Every method but `source` runs on the writer's thread; any exception ends the writing."""

    def lock(self) -> None:
        """Take the ledger for this process. Raises LedgerUnavailable when another holds it."""
        ...

    def source(self) -> LedgerSource:
        """Open a reader that changes nothing. Safe to use from any one thread at a time."""
        ...

    def index(self, *, is_readonly: bool = False, is_fresh: bool = False) -> "LedgerIndex":
        """Open the search index, for the projector or for one reader; a fresh one begins from nothing."""
        ...

    def open(self, meta: Mapping[str, str]) -> None:
        """Open for writing, creating what is missing with this `meta`."""
        ...

    def commit(self, batch: Batch) -> None:
        """Return when all of it is durable."""
        ...

    def release(self, size: int, note: bytes) -> None:
        """Keep a checkpoint outside the database, durably, and inside it with the next commit."""
        ...

    def free_bytes(self) -> int:
        """Return the room left where the ledger is kept."""
        ...

    def reserve(self, is_held: bool) -> None:
        """Hold the ballast file, or give its room up so that what is under way can end."""
        ...

    def close(self) -> None:
        """Write what is pending and let go of everything, the lock last. Safe to call at any time."""
        ...
