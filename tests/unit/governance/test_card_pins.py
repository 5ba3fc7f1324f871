"""Pinned agent cards: what is new, what changed, what an operator sees and says (R-K1)."""

from typing import Any

import pytest

from ostiary.controls.tool_definition import findings
from ostiary.core.clock import Clock
from ostiary.core.errors import Conflict, NotFound
from ostiary.core.registry import A2a, Agent
from ostiary.governance.card_pins import CardPins
from ostiary.governance.registrar import Registrar
from tests.support.a2a_raw import raw_card
from tests.support.mcp_upstream import MemoryStore
from tests.support.ports import ListLedger

PLANNER = Agent("planner", "alice", "plans", a2a=A2a("https://planner.example"))


def house(store: MemoryStore | None = None) -> tuple[CardPins, Registrar, ListLedger]:
    ledger = ListLedger()
    registrar = Registrar(store or MemoryStore(), ledger, Clock(), "test")
    return CardPins(registrar, findings), registrar, ledger


def card(**changes: Any) -> dict[str, Any]:
    return raw_card("https://planner.example/a2a", **changes)


async def test_an_honest_card_is_accepted_at_first_sight_and_recorded() -> None:
    """R-K1: with a change entry that holds it; seeing it again changes nothing."""
    pins, _, ledger = house()
    seen = await pins.observe(PLANNER, card(), (), "")
    assert seen.accepted
    assert len(ledger.entries) == 1
    assert await pins.observe(PLANNER, card(), (), "") == seen
    assert len(ledger.entries) == 1


async def test_a_new_signature_of_the_same_card_is_no_change() -> None:
    pins, _, _ = house()
    await pins.observe(PLANNER, card(), (), "k1")
    resigned = await pins.observe(PLANNER, card(signatures=[{"protected": "a", "signature": "b"}]), (), "k2")
    assert (resigned.accepted, resigned.signed_by) == (True, "k2")
    stripped = await pins.observe(PLANNER, card(), (), "")
    assert not stripped.accepted
    assert "was signed" in stripped.findings[0]


async def test_what_the_wire_finds_quarantines() -> None:
    pins, _, _ = house()
    assert not (await pins.observe(PLANNER, card(), ("it leads elsewhere",), "")).accepted


async def test_a_change_is_shown_and_accepted_by_digest() -> None:
    """R-K1: a card that flips back is looked at again too."""
    pins, registrar, _ = house()
    await pins.observe(PLANNER, card(), (), "")
    changed = await pins.observe(PLANNER, card(version="2"), (), "")
    assert not changed.accepted
    assert pins.difference("planner") == ['version: "1" → "2"']
    with pytest.raises(Conflict):
        await pins.accept("planner", "0" * 64, by="root", why="")
    accepted = await pins.accept("planner", changed.digest, by="root", why="told")
    assert (accepted.accepted, pins.difference("planner")) == (True, [])
    assert pins.of(PLANNER) == registrar.registry.cards["planner"]
    with pytest.raises(NotFound):
        await pins.accept("nobody", changed.digest, by="root", why="")


async def test_an_agent_that_moved_is_looked_at_again() -> None:
    pins, _, _ = house()
    await pins.observe(PLANNER, card(), (), "")
    moved = Agent("planner", "alice", "plans", a2a=A2a("https://elsewhere.example"))
    assert pins.of(moved) is None
    seen = await pins.observe(moved, card(), (), "")
    assert "another address" in seen.findings[0]


async def test_pins_survive_a_restart() -> None:
    store = MemoryStore()
    pins, _, _ = house(store)
    seen = await pins.observe(PLANNER, card(), (), "")
    again, _, _ = house(store)
    assert again.of(PLANNER) == seen
