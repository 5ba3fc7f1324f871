"""A start checks what is there, and refuses what was cut, swapped, changed or sealed by somebody else, changing nothing."""

import asyncio
import dataclasses
from typing import Any

import pytest

from ostiary.core.errors import CheckpointMismatch, InvalidConfig, LedgerTampered
from tests.support.ledger import ORIGIN, MemoryStore, ledger_keys, make_entry, running


def _drop_last(entries: list[bytes]) -> None:
    entries.pop()


def _swap(entries: list[bytes]) -> None:
    entries[1], entries[2] = entries[2], entries[1]


def _change(entries: list[bytes]) -> None:
    entries[0] = entries[0].replace(b'"deny"', b'"allow"')


def _clear(entries: list[bytes]) -> None:
    entries.clear()


@pytest.mark.parametrize("attack", [_drop_last, _swap, _change, _clear])
async def test_a_start_refuses_a_tree_without_a_released_checkpoint_and_changes_nothing(attack: object) -> None:
    """R-L2: recovery never cuts below a released size, never mends, never goes on."""
    store = MemoryStore()
    async with running(store) as ledger:
        for _ in range(4):
            await ledger.append(make_entry())
    assert callable(attack)
    attack(store.entries)
    before = list(store.entries), store.newest, dict(store.notes)
    with pytest.raises(CheckpointMismatch):
        async with running(store):
            raise AssertionError("it must not start")
    assert (list(store.entries), store.newest, dict(store.notes)) == before
    assert not store.is_locked


async def test_a_start_refuses_when_the_ledger_is_gone_but_its_checkpoint_is_not() -> None:
    """R-L2."""
    store = MemoryStore()
    async with running(store) as ledger:
        await ledger.append(make_entry())
    store.entries.clear()
    store.head = {}
    with pytest.raises(CheckpointMismatch, match="the ledger is gone"):
        async with running(store):
            raise AssertionError("it must not start")


async def test_a_start_refuses_a_changed_tile() -> None:
    """R-L2: tiles are what proofs are made from."""
    store = MemoryStore()
    async with running(store) as ledger:
        await asyncio.gather(*[ledger.append(make_entry(parts=())) for _ in range(300)])
    tile = store.tiles[0, 0]
    store.tiles[0, 0] = tile[:-1] + bytes([tile[-1] ^ 1])
    with pytest.raises(LedgerTampered, match="tile 0"):
        async with running(store):
            raise AssertionError("it must not start")


@pytest.mark.parametrize(("seed", "origin"), [("other", ORIGIN), ("test", "other.example/ledger/test")])
async def test_a_start_refuses_a_ledger_of_other_keys(seed: str, origin: str) -> None:
    """R-L2: two ledgers are never mixed."""
    store = MemoryStore()
    async with running(store) as ledger:
        await ledger.append(make_entry())
    with pytest.raises(InvalidConfig, match="belongs to"):
        async with running(store, keys=ledger_keys(seed), origin=origin):
            raise AssertionError("it must not start")


@pytest.mark.parametrize("secret", ["kek", "index_key"])
async def test_a_start_refuses_other_sealing_keys(secret: str) -> None:
    """R-L4: found at the start, not when the first part cannot be read."""
    store = MemoryStore()
    async with running(store) as ledger:
        await ledger.append(make_entry())
    other: dict[str, Any] = {secret: bytes(32)}
    keys = dataclasses.replace(ledger_keys(), **other)
    with pytest.raises(InvalidConfig, match="does not open with the keys"):
        async with running(store, keys=keys):
            raise AssertionError("it must not start")
    assert not store.is_locked
