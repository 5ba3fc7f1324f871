"""The map over HTTP: who sees which part of it (R-S1, R-H1)."""

from pathlib import Path

from ostiary.core.entry import Entry, Family, Kind
from ostiary.core.ids import new_id, spiffe_id
from tests.support.control import Control, company, control


async def crossed(plane: Control, agent: str, resource: str, decision: str = "allow") -> None:
    """Record what the pipeline records of one action."""
    entry = Entry(
        id=new_id(),
        family=Family.ACTION,
        kind=Kind.INTENT,
        at_ns=plane.services.clock.now_ns(),
        boundary="agent_api",
        actor=spiffe_id("ostiary.local", "agent", agent),
        on_behalf_of=("alice",),
        action=resource.partition("::")[2],
        resource=resource,
        decision=decision,
        code="" if decision == "allow" else "not_granted",
    )
    await plane.services.ledger.append(entry)


async def test_owners_see_their_own_agents_and_others_all(tmp_path: Path) -> None:
    """R-S1, R-H1: rows and findings of other people's agents do not show, nor that these exist."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        for agent in ("alice-bot", "bob-bot", "long-gone"):
            await crossed(plane, agent, "Tool::mail/send")
        async with plane.client("security") as client:
            found = (await client.get("/v1/map")).json()
            assert {row["agent"] for row in found["crossings"] if row["first_at"]} == {"alice-bot", "bob-bot", "long-gone"}
            assert found["entries"] == found["size"]
            assert {row["state"] for row in found["crossings"] if row["first_at"]} == {"gone"}
            assert "person" not in str(found), "people are a number here"
            assert found["crossings"][0]["people"] == 1
            for name in ("bob-bot", "long-gone"):
                assert (await client.get(f"/v1/map?agent={name}")).json()["crossings"][0]["agent"] == name
            assert (await client.get("/v1/map?agent=nobody")).status_code == 404
        async with plane.client(await plane.key("alice", "owner")) as client:
            own = (await client.get("/v1/map")).json()
            assert {row["agent"] for row in own["crossings"]} == {"alice-bot"}
            assert {each["agent"] for each in own["findings"]} == {"alice-bot"}
            assert (await client.get("/v1/map?agent=bob-bot")).status_code == 404
            assert (await client.get("/v1/map?agent=long-gone")).status_code == 404


async def test_names_that_stand_in_for_others_are_matched(tmp_path: Path) -> None:
    """R-S1: a tool whose name must not stand in clear in the ledger is still the tool that is registered."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        assert plane.services.reader.masked("mail/send") == "mail/send"
        hidden = plane.services.reader.masked("mail/send@home")
        assert hidden.startswith("~")
        await crossed(plane, "alice-bot", "Tool::mail/send@home", "deny")
        async with plane.client("auditor") as client:
            rows = (await client.get("/v1/map?unused=false")).json()["crossings"]
            assert [(row["resource"], row["state"]) for row in rows] == [(f"Tool::{hidden}", "refused")]


async def test_the_sums_survive_and_start_anew_when_they_cannot(tmp_path: Path) -> None:
    """R-S1: kept at the end, carried on from there; what was kept and is nonsense is added up again."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        for _ in range(3):
            await crossed(plane, "alice-bot", "Tool::mail/send")
        plane.services.observed.catch_up()
        await plane.services.observed.stop()
        assert plane.services.observed.catch_up()[0] > 3
    async with control(tmp_path) as plane:
        kept = dict(plane.services.observed.now())
        assert [each.allowed for key, each in kept.items() if key.agent == "alice-bot"] == [3]
        await crossed(plane, "alice-bot", "Tool::mail/send")
        plane.services.observed.catch_up()
        assert [each.allowed for key, each in plane.services.observed.now() if key.agent == "alice-bot"] == [4]
