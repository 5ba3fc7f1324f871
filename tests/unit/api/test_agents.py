"""Agents over HTTP: the checklist, activation, keys, isolation (R-G1, R-G4, R-G6)."""

from pathlib import Path
from typing import Any

from ostiary.core.subject import Status
from tests.support.control import PERMIT_OPENING, company, control

BODY = {"owner": "alice", "purpose": "pays", "roles": ["payer"], "model": "gpt", "servers": ["mail"]}


async def test_an_agent_runs_only_once_a_person_activated_it(tmp_path: Path) -> None:
    """R-G1, R-G6: registering is not running, and a changed manifest is reviewed anew."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        created = (await client.put("/v1/agents/bot", json=BODY)).json()
        assert (created["status"], created["id"]) == ("draft", "spiffe://ostiary.local/agent/bot")
        found = (await client.get("/v1/agents/bot/check")).json()
        assert [item["name"] for item in found["items"] if not item["is_met"]] == ["manifest"]
        active = (await client.post("/v1/agents/bot/activate", json={"why": "looked at"})).json()
        assert (active["status"], active["reviewed"]) == ("active", active["manifest"])
        changed = (await client.put("/v1/agents/bot", json={**BODY, "prompt_digest": "a" * 64})).json()
        assert changed["reviewed"] != changed["manifest"]
        assert not (await client.get("/v1/agents/bot/check")).json()["is_passed"]


async def test_activation_is_refused_while_something_is_missing(tmp_path: Path) -> None:
    """R-G1: the checklist blocks."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        await client.put("/v1/agents/bot", json={**BODY, "roles": []})
        answer = await client.post("/v1/agents/bot/activate", json={})
        assert answer.status_code == 409
        assert "no role, group or scope" in answer.json()["detail"]
        assert plane.registry.agents["bot"].status is Status.DRAFT


async def test_an_isolated_agent_is_restored_by_security_only(tmp_path: Path) -> None:
    """R-G4: whoever runs the gateway cannot undo what security did: not by activating, declaring, or retiring and declaring."""
    async with control(tmp_path) as plane, plane.client("administrator") as admin, plane.client("security") as security:
        await plane.register(*company())
        assert (await security.post("/v1/agents/alice-bot/isolate", json={"why": "odd"})).json()["status"] == "isolated"
        assert (await admin.post("/v1/agents/alice-bot/activate", json={})).status_code == 409
        assert (await admin.post("/v1/agents/alice-bot/restore", json={})).status_code == 403
        assert (await admin.put("/v1/agents/alice-bot", json=BODY)).json()["status"] == "isolated"
        assert (await admin.delete("/v1/agents/alice-bot")).status_code == 204
        assert (await admin.put("/v1/agents/alice-bot", json=BODY)).status_code == 400
        assert (await admin.post("/v1/agents/alice-bot/activate", json={})).status_code == 409
        assert plane.registry.agents["alice-bot"].status is Status.RETIRED
        assert (await security.post("/v1/agents/alice-bot/restore", json={})).json()["status"] == "draft"


async def test_a_key_is_shown_once_rotated_and_revoked(tmp_path: Path) -> None:
    """R-P1: only the prefix is ever shown again."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        issued = (await client.post("/v1/agents/alice-bot/keys", json={"ttl_s": 600})).json()
        listed = await client.get("/v1/agents/alice-bot/keys")
        assert issued["secret"] not in listed.text
        assert listed.json()["items"][0]["prefix"] == issued["prefix"]
        rotated = (await client.post(f"/v1/keys/{issued['id']}/rotate", json={"overlap_s": 5})).json()
        assert rotated["secret"] != issued["secret"]
        assert (await client.delete(f"/v1/keys/{rotated['id']}?why=leaked")).status_code == 204
        keys = (await client.get("/v1/agents/alice-bot/keys")).json()["items"]
        assert [key["revoked_at"] is not None for key in keys] == [False, True]


async def test_retiring_an_agent_ends_its_keys(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        issued = (await client.post("/v1/agents/alice-bot/keys", json={})).json()
        await client.delete("/v1/agents/alice-bot")
        assert plane.services.keys.is_revoked(issued["id"])


async def test_a_session_is_opened_shown_and_closed(tmp_path: Path) -> None:
    """R-B1: what is lent is narrowed, the token shown once."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        await plane.services.policies.apply({"a.cedar": PERMIT_OPENING}, "test", "test")
        body = {"agent": "alice-bot", "user": "alice", "scopes": ["model:gpt", "tool:mail/*"], "purpose": "pay 100 to bob", "actions": 5}
        opened = await client.post("/v1/sessions", json=body)
        assert opened.status_code == 201, opened.text
        shown = await client.get(f"/v1/sessions/{opened.json()['id']}")
        assert opened.json()["token"] not in shown.text
        assert (shown.json()["standing"], shown.json()["max_actions"], shown.json()["opened_by"]) == ("open", 5, "administrator")
        ended = await client.delete(f"/v1/sessions/{opened.json()['id']}")
        assert ended.json() == {"id": opened.json()["id"], "children": 0}
        assert (await client.get("/v1/sessions")).json()["items"] == []
        assert len((await client.get("/v1/sessions?ended=true")).json()["items"]) == 1


async def test_what_may_not_be_lent_is_refused(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        body = {"agent": "alice-bot", "user": "alice", "scopes": ["model:gpt"], "purpose": "x"}
        for wrong in ({"user": "nobody"}, {"agent": "nobody"}, {"user": "../x"}, {"scopes": ["all"]}):
            answer = await client.post("/v1/sessions", json={**body, **wrong})
            assert 400 <= answer.status_code < 500, answer.text
            assert answer.json()["code"] in {
                "not_found",
                "invalid_request",
                "no_session",
                "revoked",
                "forbidden",
                "out_of_scope",
                "not_granted",
            }
        unfit: tuple[dict[str, Any], ...] = ({"scopes": []}, {"ttl_s": 7200}, {"ttl_s": "60"}, {"actions": 0}, {"spend": -1})
        for each in unfit:
            assert (await client.post("/v1/sessions", json={**body, **each})).status_code == 422
