"""Attack: two operators at once, or one who left: nobody undoes a stop in passing, and what was retired opens nothing (R-G4, R-P6)."""

import asyncio
from pathlib import Path

import pytest

from ostiary.core.decision import Refusal
from ostiary.core.errors import Conflict
from ostiary.core.ports import Credential
from ostiary.core.subject import Status
from ostiary.governance.registrar import RegistryChange
from ostiary.identity.credentials import Opened
from ostiary.identity.lending import Ask
from tests.support.control import PERMIT_OPENING, company, control

BODY = {"owner": "alice", "purpose": "pays", "roles": ["payer"]}


async def test_a_change_made_from_an_old_snapshot_is_refused(tmp_path: Path) -> None:
    """R-L5: the registrar compares with what the change was made from."""
    async with control(tmp_path) as plane, plane.client("security") as client:
        await plane.register(*company())
        seen = plane.registry
        await client.post("/v1/agents/alice-bot/isolate", json={})
        with pytest.raises(Conflict, match="changed meanwhile"):
            await plane.services.registrar.change([RegistryChange("agents", "alice-bot", seen.agents["alice-bot"])], by="x", seen=seen)
        assert plane.registry.agents["alice-bot"].status is Status.ISOLATED


async def test_isolating_wins_over_whoever_changes_the_agent_at_the_same_time(tmp_path: Path) -> None:
    """R-G4: however the requests interleave, the agent ends isolated."""
    async with control(tmp_path) as plane, plane.client("administrator") as admin, plane.client("security") as security:
        await plane.register(*company())
        for number in range(8):
            changes = [admin.put("/v1/agents/alice-bot", json={**BODY, "purpose": f"{number} {each}"}) for each in range(3)]
            activations = [admin.post("/v1/agents/alice-bot/activate", json={}) for _ in range(2)]
            answers = await asyncio.gather(*changes, security.post("/v1/agents/alice-bot/isolate", json={}), *activations)
            assert answers[3].status_code == 200
            assert {answer.status_code for answer in answers} <= {200, 409}
            assert plane.registry.agents["alice-bot"].status is Status.ISOLATED
            await security.post("/v1/agents/alice-bot/restore", json={})


async def test_who_was_retired_keeps_no_way_in(tmp_path: Path) -> None:
    """R-P1: operator keys, password and sessions end with the person; an agent's keys and sessions with the agent."""
    async with control(tmp_path) as plane, plane.client("administrator") as admin:
        await plane.register(*company())
        await plane.services.policies.apply({"a.cedar": PERMIT_OPENING}, "test", "test")
        key = await plane.key("alice", "security")
        await admin.post("/v1/users/alice/password", json={"password": "correct horse battery"})
        opened = await plane.services.sessions.open(Ask("owner-bot", "alice", ("model:gpt",), "work"))
        assert isinstance(opened, Opened)
        await admin.delete("/v1/agents/alice-bot")
        assert (await admin.delete("/v1/users/alice?why=left")).status_code == 204
        async with plane.client(key) as alice:
            assert (await alice.get("/v1/me")).status_code == 401
        assert isinstance(await plane.services.directory.sign_in("alice", "correct horse battery", Credential("", "token")), Refusal)
        assert plane.services.sessions.standing(opened.session) is not None


async def test_pruning_ends_credentials_too(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as admin:
        await plane.register(*company())
        key = await plane.key("alice", "security")
        issued = await plane.services.keys.issue_agent_key("alice-bot", by="test")
        body = {"declarations": {"c.yaml": "users: {owner: {}}"}, "prune": True}
        assert (await admin.post("/v1/declaration", json=body)).status_code == 200
        assert plane.services.keys.is_revoked(issued.id)
        async with plane.client(key) as alice:
            assert (await alice.get("/v1/me")).status_code == 401


async def test_the_last_administrator_cannot_lock_everybody_out(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as admin:
        keys = [each for each in (await admin.get("/v1/operators")).json()["items"] if "administrator" in each["roles"]]
        assert (await admin.delete(f"/v1/operators/{keys[0]['id']}")).status_code == 409
        await admin.post("/v1/operators", json={"name": "second", "roles": ["administrator"]})
        assert (await admin.delete(f"/v1/operators/{keys[0]['id']}")).status_code == 204
        assert (await admin.get("/v1/me")).status_code == 401
