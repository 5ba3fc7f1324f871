"""Pins: what is new, what changed, what an operator sees and says."""

from collections.abc import Mapping
from typing import Any

import pytest

from ostiary.controls.tool_definition import findings
from ostiary.core.clock import Clock
from ostiary.core.errors import Conflict, InvalidAction, NotFound
from ostiary.core.registry import Profile, Server
from ostiary.governance.registrar import Registrar, RegistryChange
from ostiary.governance.tool_pins import MAX_TOOLS, ToolPins, difference
from ostiary.provenance.profile import infer
from tests.support.mcp_upstream import MemoryStore
from tests.support.ports import ListLedger


def _tool(name: str = "pay", description: str = "Pays an invoice.", **fields: Any) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": fields}}


class House:
    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store, self.ledger = store or MemoryStore(), ListLedger()
        self.registrar = Registrar(self.store, self.ledger, Clock(), "test")
        self.pins = ToolPins(self.registrar, findings, infer)

    def accepted(self, name: str = "s/pay") -> bool:
        return self.registrar.registry.tools[name].accepted

    async def register(self, server: Server) -> None:
        await self.registrar.change([RegistryChange("servers", server.name, server)], by="root")


async def test_an_honest_tool_is_accepted_at_first_sight_and_recorded() -> None:
    """R-B5: with a change entry that holds the definition."""
    house = House()
    assert (await house.pins.observe("s", [_tool()])).changed
    assert house.accepted()
    assert house.pins.is_present("s", "pay")
    entry = house.ledger.entries[-1]
    assert (entry.family, entry.action, entry.resource) == ("change", "register_tool", "tools/s/pay")
    assert b"Pays an invoice." in entry.parts[0].content


async def test_the_same_again_changes_nothing() -> None:
    """R-B5: member order does not matter to the digest, and no entry is written."""
    house = House()
    await house.pins.observe("s", [_tool()])
    count = len(house.ledger.entries)
    again = await house.pins.observe("s", [dict(reversed(_tool().items()))])
    assert not again.changed
    assert len(house.ledger.entries) == count


async def test_a_change_is_quarantined_with_its_difference_and_outlives_a_restart() -> None:
    """R-B5: the operator sees old and new; a gateway started anew still refuses."""
    house = House()
    await house.pins.observe("s", [_tool()])
    await house.pins.observe("s", [_tool(description="Pays the attacker.")])
    assert not house.accepted()
    assert house.pins.difference("s/pay") == ['description: "Pays an invoice." → "Pays the attacker."']
    later = House(house.store)
    assert not later.accepted()
    assert later.pins.difference("s/pay") == house.pins.difference("s/pay")
    await later.pins.observe("s", [_tool(description="Pays the attacker.")])
    assert not later.accepted()


async def test_the_difference_is_to_what_was_accepted_last() -> None:
    """R-B5: a second change does not hide the first."""
    house = House()
    await house.pins.observe("s", [_tool()])
    await house.pins.observe("s", [_tool(description="B")])
    await house.pins.observe("s", [_tool(description="C")])
    assert house.pins.difference("s/pay") == ['description: "Pays an invoice." → "C"']


async def test_accepting_is_of_one_digest_by_somebody_for_a_reason() -> None:
    """R-B5: recorded; another digest or an unknown tool is refused."""
    house = House()
    await house.pins.observe("s", [_tool()])
    await house.pins.observe("s", [_tool(description="B")])
    digest = house.registrar.registry.tools["s/pay"].digest
    with pytest.raises(Conflict):
        await house.pins.accept("s/pay", "0" * 64, by="root", why="looked")
    with pytest.raises(NotFound):
        await house.pins.accept("s/none", digest, by="root", why="looked")
    await house.pins.accept("s/pay", digest, by="root", why="looked at it")
    assert house.accepted()
    entry = house.ledger.entries[-1]
    assert entry.user == "root"
    assert b"looked at it" in [part.content for part in entry.parts]
    assert not (await house.pins.observe("s", [_tool(description="B")])).changed


async def test_invisible_text_in_a_difference_is_shown() -> None:
    """R-B5: an operator must see what a model would read."""
    assert difference({"d": "a"}, {"d": "a\u200b\U000e0041"}) == ['d: "a" → "a\\u200b\\udb40\\udc41"']


async def test_a_declared_profile_takes_the_place_of_the_guess() -> None:
    """R-B5: and a profile that is no longer declared is a guess again, never confirmed."""
    house = House()
    profile = Profile(effect="read", external=False, confirmed=True)
    await house.register(Server("s", url="http://127.0.0.1/", profiles={"pay": profile}))
    await house.pins.observe("s", [_tool()])
    assert house.registrar.registry.tools["s/pay"].profile == profile
    await house.register(Server("s", url="http://127.0.0.1/"))
    await house.pins.observe("s", [_tool()])
    assert not house.registrar.registry.tools["s/pay"].profile.confirmed


@pytest.mark.parametrize(
    "definitions",
    [
        [_tool(), _tool()],
        [{"name": "x"}],
        [_tool("")],
        [_tool("x" * 129)],
        [_tool(str(n)) for n in range(MAX_TOOLS + 1)],
        [_tool(a="x" * 300_000)],
    ],
)
async def test_impossible_lists_are_refused_whole(definitions: list[Mapping[str, Any]]) -> None:
    """R-B5: nothing of them is pinned."""
    house = House()
    with pytest.raises(InvalidAction):
        await house.pins.observe("s", definitions)
    assert house.registrar.registry.tools == {}


async def test_a_ledger_that_cannot_write_pins_nothing() -> None:
    """R-L1: no record, no change."""
    house = House()
    house.ledger.is_full = True
    with pytest.raises(Exception, match="cannot write"):
        await house.pins.observe("s", [_tool()])
    assert house.registrar.registry.tools == {}
    assert not house.pins.is_present("s", "pay")
