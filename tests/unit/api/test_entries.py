"""Entries over HTTP: what each reader may see of people."""

from pathlib import Path

from tests.support.control import company, control

PURPOSE = "pay the March invoices for Ann"


async def test_an_entry_says_what_its_session_was_opened_for_to_those_who_may_see_people(tmp_path: Path) -> None:
    """R-L2, R-P4: a person's words stand in no leaf; readers of sealed records see them beside the entry."""
    async with control(tmp_path) as found:
        await found.register(*company())
        agent = next(name for name, agent in found.registry.agents.items() if agent.status == "active")
        body = {"agent": agent, "user": "alice", "scopes": ["model:*"], "purpose": PURPOSE}
        async with found.client("administrator") as client:
            opened = await client.post("/v1/sessions", json=body)
        assert opened.status_code == 201, opened.text
        seen = {}
        for role in ("auditor", "security"):
            async with found.client(role) as client:
                page = (await client.get("/v1/audit", params={"session": opened.json()["id"]})).json()
            seen[role] = [(row["action"], row["purpose"]) for row in page["items"]]
        assert seen == {"auditor": [("open_session", PURPOSE)], "security": [("open_session", "")]}
        leaves = b"".join(path.read_bytes() for path in (tmp_path / "ledger").iterdir() if path.is_file())
        assert PURPOSE.encode() not in leaves
