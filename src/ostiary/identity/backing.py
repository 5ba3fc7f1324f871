"""What identity and approvals stand on: where state lives, the record, the time, and who is registered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from ostiary.core.clock import Clock
from ostiary.core.errors import Corrupt
from ostiary.core.ports import Change, Ledger, RegistrySource, StateStore
from ostiary.core.registry import Registry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backing:
    """The ports that every part of identity is wired to."""

    store: StateStore
    ledger: Ledger
    clock: Clock
    source: RegistrySource

    @property
    def registry(self) -> Registry:
        """The snapshot of now."""
        return self.source.registry

    def now(self) -> float:
        """The time in seconds since the epoch."""
        return self.clock.now()

    def load(self, kind: str, shape: type[T]) -> dict[str, T]:
        """Return every document of a kind, by id. Raises Corrupt when one does not have its shape."""
        try:
            return {name: msgspec.json.decode(body, type=shape) for name, body in self.store.load(kind).items()}
        except msgspec.MsgspecError as error:
            raise Corrupt(f"a stored `{kind}` cannot be read: {error}", remedy="restore the state from a backup") from None

    async def save(self, kind: str, documents: dict[str, Any]) -> None:
        """Make documents durable, all or none; None deletes. Raises Unavailable."""
        await self.store.write(changes(kind, documents))


def changes(kind: str, documents: dict[str, Any]) -> Sequence[Change]:
    """Return documents as writes to the state store."""
    return [Change(kind, name, None if body is None else msgspec.json.encode(body)) for name, body in documents.items()]
