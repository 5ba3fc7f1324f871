"""Human → automation: an action above its threshold waits for a person, who says yes to exactly it, once (R-B4, R-G3)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.decision import ApprovalRule, Decision, Effect
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.core.registry import Group, User
from ostiary.core.subject import Session
from ostiary.identity.credentials import Opened
from ostiary.identity.lending import Ask
from tests.support.command import terminal
from tests.support.control import PERMIT_OPENING, Control, company, control

RULE = ApprovalRule("payments-over-1000-need-finance", "finance", four_eyes=frozenset({"user", "owner"}))


@dataclass
class Held:
    """A payment of alice's agent that waits for finance."""

    plane: Control
    session: Session
    task: str

    async def hold(self, amount: int = 2500, rule: ApprovalRule = RULE) -> str:
        """Ask again, as the agent does when it repeats a call."""
        handle = await self.plane.services.approvals.hold(passage(self.session, amount, rule))
        assert isinstance(handle, dict)
        return str(handle["id"])

    async def answer(self, who: str, verb: str = "approve", task: str = "") -> httpx2.Response:
        """Answer over HTTP as somebody with an approver's key."""
        async with self.plane.client(await self.plane.key(who, "approver")) as client:
            return await client.post(f"/v1/approvals/{task or self.task}/{verb}", json={"reason": "checked against the order"})


def payment(amount: int) -> Action:
    return Action(
        Boundary.AGENT_API,
        "call_tool",
        "payments/pay",
        Resource("Tool", "payments/pay"),
        "tool:payments/pay",
        {"amount": amount, "to": "acme"},
    )


def passage(session: Session, amount: int, rule: ApprovalRule) -> Passage:
    found = Passage(Credential("", "mcp"), session=session, action=payment(amount))
    found.decision = Decision(Effect.HOLD, "held", (rule.policy,), ("finance looks at large payments",), "rev", approvals=(rule,))
    return found


@asynccontextmanager
async def held(plane: Control, rule: ApprovalRule = RULE) -> AsyncIterator[Held]:
    await plane.register(*company(), Group("finance"))
    await plane.register(*(User(name, groups=frozenset({"finance"})) for name in ("carol", "dave", "alice")), User("eve"))
    await plane.services.policies.apply({"a.cedar": PERMIT_OPENING}, "test", "test")
    opened = await plane.services.sessions.open(Ask("owner-bot", "alice", ("tool:payments/*", "model:gpt"), "pay acme 2500"))
    assert isinstance(opened, Opened), opened
    found = Held(plane, opened.session, "")
    found.task = await found.hold(rule=rule)
    yield found


async def test_an_approver_sees_what_would_happen_and_says_yes_once(tmp_path: Path) -> None:
    """R-B4: exactly this action, once; the retry is decided anew with the approval, its repetition is held again."""
    async with control(tmp_path) as plane, held(plane) as case:
        async with plane.client("approver") as client:
            (shown,) = (await client.get("/v1/approvals?state=pending")).json()["items"]
        assert (shown["id"], shown["arguments"], shown["agent"], shown["user"]) == (
            case.task,
            {"amount": 2500, "to": "acme"},
            "owner-bot",
            "alice",
        )
        assert (shown["groups"], shown["policies"], shown["digest"]) == (["finance"], [RULE.policy], payment(2500).digest)
        approvals = plane.services.approvals
        assert approvals.find(case.session, payment(2500).digest) is None
        answer = await case.answer("carol")
        assert (answer.status_code, answer.json()["state"]) == (200, "approved")
        assert answer.json()["votes"][0]["by"] == "carol"
        approval = approvals.find(case.session, payment(2500).digest)
        assert approval is not None
        assert approvals.find(case.session, payment(2501).digest) is None
        assert await approvals.consume(approval)
        assert not await approvals.consume(approval)
        assert approvals.find(case.session, payment(2500).digest) is None
        assert await case.hold() != case.task


@pytest.mark.parametrize(
    ("who", "status", "why"),
    [("alice", 403, "they lent the rights"), ("owner", 403, "they own the agent"), ("eve", 403, "not in `finance`"), ("mallory", 403, "no active registered")],
)  # fmt: skip
async def test_who_may_not_answer(tmp_path: Path, who: str, status: int, why: str) -> None:
    """R-B4: four eyes, the right group, a registered person; a role alone is not enough."""
    async with control(tmp_path) as plane, held(plane) as case:
        answer = await case.answer(who)
        assert (answer.status_code, why in answer.json()["detail"]) == (status, True)
        assert plane.services.approvals.find(case.session, payment(2500).digest) is None


async def test_other_roles_and_agents_cannot_answer(tmp_path: Path) -> None:
    """R-H1: running the gateway, writing policy or reading the record is not approving."""
    async with control(tmp_path) as plane, held(plane) as case:
        for role in ("administrator", "security", "auditor", "owner"):
            async with plane.client(role) as client:
                for verb in ("approve", "deny"):
                    answer = await client.post(f"/v1/approvals/{case.task}/{verb}", json={"reason": "x"})
                    assert answer.status_code == 403
        key = await plane.services.keys.issue_agent_key("owner-bot", by="test")
        async with plane.client(key.secret) as client:
            assert (await client.post(f"/v1/approvals/{case.task}/approve", json={"reason": "x"})).status_code == 401


async def test_a_quorum_needs_different_people(tmp_path: Path) -> None:
    rule = ApprovalRule("large", "finance", quorum=2, four_eyes=frozenset({"user"}))
    async with control(tmp_path) as plane, held(plane, rule) as case:
        assert (await case.answer("carol")).json()["state"] == "pending"
        assert (await case.answer("carol")).status_code == 409
        assert (await case.answer("dave")).json()["state"] == "approved"


async def test_one_no_ends_it_and_the_agent_is_told_why(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, held(plane) as case:
        assert (await case.answer("carol", "deny")).json()["state"] == "denied"
        assert (await case.answer("dave")).status_code == 409
        refusal: Any = await plane.services.approvals.hold(passage(case.session, 2500, RULE))
        assert (refusal.code, "checked against the order" in refusal.detail) == ("forbidden", True)


async def test_the_answer_is_recorded_with_who_and_why(tmp_path: Path) -> None:
    """R-S5, R-C7: who authorised it has a specific answer."""
    async with control(tmp_path) as plane, held(plane) as case:
        await case.answer("carol")
        async with plane.client("auditor") as client:
            (entry,) = (await client.get("/v1/audit", params={"approval": case.task, "action": "approve"})).json()["items"]
            assert (entry["actor"], entry["boundary"], entry["decision"]) == ("carol", "human_automation", "allow")
            reason = await client.get(f"/v1/audit/{entry['id']}/parts/reason")
            assert reason.json()["content"] == "checked against the order"


async def test_an_approval_survives_a_restart(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, held(plane) as case:
        await case.answer("carol")
        task = case.task
    async with control(tmp_path) as plane, plane.client("approver") as client:
        assert (await client.get(f"/v1/approvals/{task}")).json()["state"] == "approved"


async def test_the_inbox_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SURFACE: `ostiary approval list|show|approve|deny ID [--reason]`."""
    async with terminal(tmp_path, capsys) as ostiary, held(ostiary.plane) as case:
        ostiary.plane.keys["carol"] = await ostiary.plane.key("carol", "approver")
        assert (await ostiary("approval", "list", "--json", role="carol")).lines[0]["id"] == case.task
        assert (await ostiary("approval", "show", case.task, "--json", role="carol")).json["quorum"] == 1
        assert (await ostiary("approval", "approve", case.task)).code == 1
        done = await ostiary("approval", "approve", case.task, "--reason", "order 7", role="carol")
        assert (done.code, "is approved" in done.err) == (0, True)
        assert (await ostiary("approval", "deny", case.task, role="carol")).code == 1
        assert (await ostiary("approval", "list", "--state", "all", "--json", role="carol")).lines[0]["state"] == "approved"
        assert (await ostiary("approval", "show", "0" * 32, role="carol")).code == 2
