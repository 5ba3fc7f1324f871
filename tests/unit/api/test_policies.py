"""Policies, declarations and entries over HTTP (R-P2, R-L5, R-P4)."""

import json
from pathlib import Path
from typing import Any

from ostiary.storage.ledger_files import verify
from tests.support.control import PERMIT_OPENING, company, control

BROKEN = '@id("a")\npermit (principal, action == Action::"generat", resource);'


async def test_policies_are_checked_applied_listed_and_rolled_back(tmp_path: Path) -> None:
    """R-L5: each revision is kept, with who and why."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        checked = (await client.post("/v1/policies/check", json={"files": {"a.cedar": BROKEN}})).json()
        assert not checked["ok"]
        assert (checked["problems"][0]["file"], checked["problems"][0]["line"]) == ("a.cedar", 2)
        assert "generate" in checked["problems"][0]["message"]
        refused = await client.post("/v1/policies/apply", json={"files": {"a.cedar": BROKEN}, "why": "x"})
        assert refused.status_code == 400
        assert (await client.get("/v1/policies")).json()["items"] == []
        first = (await client.post("/v1/policies/apply", json={"files": {"a.cedar": PERMIT_OPENING}, "why": "begin"})).json()
        assert [each["id"] for each in (await client.get("/v1/policies")).json()["items"]] == ["anyone-opens-sessions", "payers-generate"]
        assert (await client.get("/v1/policies/payers-generate")).json()["file"] == "a.cedar"
        await client.post("/v1/policies/apply", json={"files": {}, "why": "close"})
        assert (await client.get("/v1/policies/current")).json()["files"] == {}
        back = await client.post("/v1/policies/rollback", json={"revision": first["revision"][:12], "why": "too strict"})
        assert back.json()["files"] == {"a.cedar": PERMIT_OPENING}
        history = (await client.get("/v1/policies/history")).json()["items"]
        assert [(each["verb"], each["why"], each["by"]) for each in history][:3] == [
            ("rollback", "too strict", "administrator"),
            ("apply", "close", "administrator"),
            ("apply", "begin", "administrator"),
        ]
        assert "entity Agent" in (await client.get("/v1/policies/schema")).text


async def test_explain_says_which_line_decides(tmp_path: Path) -> None:
    """R-P2: may X do Y to Z."""
    async with control(tmp_path) as plane, plane.client("auditor") as client:
        await plane.register(*company())
        await plane.services.policies.apply({"a.cedar": PERMIT_OPENING}, "test", "test")
        body = {"chain": ["user:alice", "agent:alice-bot"], "action": "generate", "resource": "Model::gpt"}
        found = (await client.post("/v1/policies/explain", json=body)).json()
        assert (found["effect"], found["lines"][0]["policy"]) == ("allow", "payers-generate")
        assert (await client.post("/v1/policies/explain", json={**body, "chain": ["user:eve"]})).status_code == 404
        nothing = (await client.post("/v1/policies/explain", json={**body, "action": "embed"})).json()
        assert nothing["effect"] == "deny"


async def test_decision_tables_run_against_now_and_against_candidates(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        await plane.register(*company())
        table = "rows:\n- {chain: [user:alice, agent:alice-bot], action: generate, resource: 'Model::gpt', expect: allow}\n"
        now = (await client.post("/v1/policies/test", json={"tables": {"t.yaml": table}})).json()
        assert (now["ok"], now["rows"][0]["got"]) == (False, "deny")
        candidate = (
            await client.post("/v1/policies/test", json={"tables": {"t.yaml": table}, "files": {"a.cedar": PERMIT_OPENING}})
        ).json()
        assert candidate["ok"]


def declaration(policy: str = PERMIT_OPENING, **more: Any) -> dict[str, Any]:
    text = "users: {bob: {roles: [payer]}}\nagents: {bot: {owner: bob, purpose: pays, roles: [payer], model: gpt}}\n"
    text += "models: {gpt: {provider: openai, url: 'http://127.0.0.1:9/v1'}}\npolicies: [policies/]\n"
    return {"declarations": {"c.yaml": text}, "files": {"policies/a.cedar": policy}, **more}


async def test_a_declaration_is_applied_once_and_shown_before(tmp_path: Path) -> None:
    """R-S2, R-L5: dry run, apply, apply again."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        dry = (await client.post("/v1/declaration", json=declaration(dry_run=True))).json()
        assert (dry["applied"], len(dry["differences"])) == (False, 4)
        assert plane.registry.users == {}
        done = (await client.post("/v1/declaration", json=declaration(why="begin"))).json()
        assert done["applied"]
        assert plane.registry.agents["bot"].status == "active"
        assert set(plane.services.policy_files()) == {"policies/a.cedar"}
        size = plane.services.reader.size
        again = (await client.post("/v1/declaration", json=declaration())).json()
        assert again["differences"] == []
        assert plane.services.reader.size == size


async def test_a_declaration_with_one_bad_policy_changes_nothing_at_all(tmp_path: Path) -> None:
    """SURFACE: validated strictly before anything changes."""
    async with control(tmp_path) as plane, plane.client("administrator") as client:
        size = plane.services.reader.size
        answer = await client.post("/v1/declaration", json=declaration(policy=BROKEN))
        assert answer.status_code == 400
        assert "policies/a.cedar:2" in answer.json()["detail"]
        assert plane.registry.users == {}
        assert plane.services.reader.size <= size + 1


async def test_entries_are_found_proved_revealed_and_exported(tmp_path: Path) -> None:
    """R-P4, R-C6: an auditor sees names and sealed parts, and can check all of it elsewhere; looking is recorded."""
    async with control(tmp_path / "data") as plane, plane.client("administrator") as admin, plane.client("auditor") as auditor:
        await admin.put("/v1/groups/g?why=because", json={"tools": []})
        entry = (await auditor.get("/v1/audit?action=register_group")).json()["items"][0]
        assert entry["actor"] == "administrator"
        assert (await admin.get("/v1/audit?action=register_group")).json()["items"][0]["actor"].startswith("person:")
        revealed = (await auditor.get(f"/v1/audit/{entry['id']}/parts/reason")).json()
        assert revealed["content"] == "because"
        assert plane.services.reader.search(action="reveal_record")
        assert (await admin.get(f"/v1/audit/{entry['id']}/parts/reason")).status_code == 403
        await plane.services.ledger.seal()  # type: ignore[attr-defined]
        proof = (await auditor.get(f"/v1/audit/{entry['id']}/proof")).json()
        assert proof["proof"].startswith("c2sp.org/tlog-proof@v1")
        assert json.loads(proof["leaf"])["id"] == entry["id"]
        exported = await auditor.post("/v1/audit/export", json={"parts": True, "why": "audit"})
        assert exported.headers["content-type"] == "application/x-ndjson"
        (tmp_path / "export.jsonl").write_bytes(exported.content)
        assert verify(tmp_path / "export.jsonl").ok
        (tmp_path / "cut.jsonl").write_bytes(exported.content[:-200])
        assert verify(tmp_path / "cut.jsonl").ok is False
        assert (await auditor.post("/v1/audit/verify")).json()["ok"] is True


async def test_entries_come_in_pages(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("auditor") as client:
        for number in range(7):
            await plane.services.secrets.set(f"s{number}", "x", by="test")
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = (await client.get("/v1/audit", params={"family": "change", "limit": 3, **({"after": after} if after else {})})).json()
            seen += [entry["resource"] for entry in page["items"]]
            after = page["next"]
        assert seen == [f"secrets/s{number}" for number in reversed(range(7))]


async def test_explain_counts_where_arguments_come_from(tmp_path: Path) -> None:
    """R-P5: an origin named for one argument is one for the action, as it is when the action is asked for."""
    rule = '@id("said-by-the-user") forbid (principal, action, resource) unless { ["user"].contains(context.control.origin) };'
    async with control(tmp_path) as plane, plane.client("auditor") as client:
        await plane.register(*company())
        await plane.services.policies.apply({"a.cedar": PERMIT_OPENING, "b.cedar": rule}, "test", "test")
        body = {"chain": ["user:alice", "agent:alice-bot"], "action": "generate", "resource": "Model::gpt", "arguments": {"x": 1}}
        for said, effect in (({}, "allow"), ({"origins": {"x": "user"}}, "allow"), ({"origins": {"x": "untrusted"}}, "deny")):
            assert (await client.post("/v1/policies/explain", json={**body, **said})).json()["effect"] == effect, said
        given = {**body, "origins": {"x": "untrusted"}, "control": "user"}
        assert (await client.post("/v1/policies/explain", json=given)).json()["effect"] == "allow"
