"""Attack: an owner, who answers for own agents only, reaches for somebody else's or for more rights (R-B1, R-H1)."""

from pathlib import Path

from ostiary.core.subject import Limits
from ostiary.identity.credentials import Opened
from ostiary.identity.lending import Ask
from tests.support.control import PERMIT_OPENING, Control, company, control


async def prepared(plane: Control) -> tuple[str, str]:
    """A session of alice's agent and one of owner's."""
    await plane.register(*company())
    await plane.services.policies.apply({"a.cedar": PERMIT_OPENING}, "test", "test")
    opened = []
    for who in ("alice", "owner"):
        ask = Ask(f"{who}-bot", who, ("model:gpt",), "work", limits=Limits())
        found = await plane.services.sessions.open(ask)
        assert isinstance(found, Opened)
        opened.append(found.session.id)
    return opened[0], opened[1]


async def test_an_owner_sees_own_agents_and_sessions_only(tmp_path: Path) -> None:
    """R-H1: a list holds no other, and another looks like none."""
    async with control(tmp_path) as plane, plane.client("owner") as client:
        others, own = await prepared(plane)
        assert [agent["name"] for agent in (await client.get("/v1/agents")).json()["items"]] == ["owner-bot"]
        assert [session["id"] for session in (await client.get("/v1/sessions?ended=true")).json()["items"]] == [own]
        assert (await client.get(f"/v1/sessions/{own}")).status_code == 200
        none = (await client.get(f"/v1/sessions/{'0' * 32}")).json()
        some = (await client.get(f"/v1/sessions/{others}")).json()
        assert {**none, "decision": ""} == {**some, "decision": ""}
        missing = (await client.get("/v1/agents/nobody")).json()
        hidden = (await client.get("/v1/agents/alice-bot")).json()
        assert missing["detail"].replace("nobody", "alice-bot") == hidden["detail"]


async def test_an_owner_cannot_act_on_somebody_elses_agent(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("owner") as client:
        others, _ = await prepared(plane)
        key = await plane.services.keys.issue_agent_key("alice-bot", by="test")
        for method, path, body in [
            ("POST", "/v1/agents/alice-bot/isolate", {}),
            ("POST", "/v1/agents/alice-bot/keys", {}),
            ("GET", "/v1/agents/alice-bot/keys", None),
            ("GET", "/v1/agents/alice-bot/check", None),
            ("POST", f"/v1/keys/{key.id}/rotate", {}),
            ("DELETE", f"/v1/keys/{key.id}", None),
            ("DELETE", f"/v1/sessions/{others}", None),
            ("POST", "/v1/sessions", {"agent": "alice-bot", "user": "owner", "scopes": ["model:gpt"], "purpose": "x"}),
        ]:
            answer = await client.request(method, path, json=body)
            assert answer.status_code == 404, f"{method} {path}: {answer.text}"
        assert plane.services.keys.standing(key.id) is None
        assert plane.registry.agents["alice-bot"].status == "active"


async def test_an_owner_lends_nobody_elses_rights(tmp_path: Path) -> None:
    """R-B1: privilege escalation by opening a session in another person's name."""
    async with control(tmp_path) as plane, plane.client("owner") as client:
        await prepared(plane)
        body = {"agent": "owner-bot", "user": "alice", "scopes": ["model:gpt"], "purpose": "x"}
        answer = await client.post("/v1/sessions", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert (await client.post("/v1/sessions", json={**body, "user": "owner"})).status_code == 201


async def test_an_owner_stops_own_agent_and_cannot_let_it_run_again(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("owner") as client:
        await prepared(plane)
        assert (await client.post("/v1/agents/owner-bot/isolate", json={})).json()["status"] == "isolated"
        for verb in ("restore", "activate"):
            assert (await client.post(f"/v1/agents/owner-bot/{verb}", json={})).status_code == 403
        assert (await client.put("/v1/agents/owner-bot", json={"owner": "owner", "purpose": "x"})).status_code == 403


async def test_an_owner_reads_only_what_own_agents_did(tmp_path: Path) -> None:
    """R-H1: naming another owner, an id, or nothing at all does not widen the search."""
    async with control(tmp_path) as plane, plane.client("owner") as client:
        await prepared(plane)
        entries = plane.services.reader.search(limit=1000)
        own = {entry["id"] for entry in plane.services.reader.search(owner="owner", limit=1000)}
        others = [entry["id"] for entry in entries if entry["id"] not in own]
        assert own
        assert others
        for query in ("", "?owner=alice", "?text=alice", "?family=identity", "?actor=alice-bot"):
            found = {entry["id"] for entry in (await client.get(f"/v1/audit{query}")).json()["items"]}
            assert found <= own
        assert (await client.get(f"/v1/audit/{others[0]}")).status_code == 404
        assert (await client.get(f"/v1/audit/{next(iter(own))}")).status_code == 200
        for path in (f"/v1/audit/{next(iter(own))}/proof", f"/v1/audit/{next(iter(own))}/parts/detail", "/v1/stream"):
            assert (await client.get(path)).status_code == 403
