"""Cards over the control API: shown to who may see the agent, accepted by who may let it run (R-K1)."""

from pathlib import Path

from ostiary.core.registry import A2a
from tests.support.a2a_raw import raw_card
from tests.support.control import company, control


async def test_a_card_is_shown_and_accepted_by_its_digest(tmp_path: Path) -> None:
    """R-K1: with what changed; an owner sees, only who activates agents accepts."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        async with plane.client("administrator") as admin, plane.client("owner") as owner:
            body = {"owner": "alice", "purpose": "plans", "a2a": {"url": "https://planner.example", "push": ["https://hooks.example/a/"]}}
            made = await admin.put("/v1/agents/planner", json=body)
            assert made.status_code == 200, made.text
            assert made.json()["a2a"]["push"] == ["https://hooks.example/a/"]
            refused = await admin.put("/v1/agents/planner", json=body | {"a2a": {"url": "http://planner.example"}})
            assert "plain text" in refused.json()["detail"]
            assert (await admin.get("/v1/agents/planner/card")).status_code == 404
            agent = plane.registry.agents["planner"]
            assert agent.a2a == A2a("https://planner.example", push=("https://hooks.example/a/",))
            card = await plane.services.cards.observe(agent, raw_card("https://planner.example"), ("odd",), "")
            shown = (await admin.get("/v1/agents/planner/card")).json()
            assert (shown["accepted"], shown["findings"], shown["digest"]) == (False, ["odd"], card.digest)
            assert (await owner.post("/v1/agents/planner/card/accept", json={"digest": card.digest})).status_code in {403, 404}
            stale = await admin.post("/v1/agents/planner/card/accept", json={"digest": "0" * 64})
            assert stale.status_code == 409
            accepted = await admin.post("/v1/agents/planner/card/accept", json={"digest": card.digest, "why": "fine"})
            assert accepted.json()["accepted"]
