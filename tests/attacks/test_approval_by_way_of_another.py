"""Attack: somebody who may not approve what their own agent does lets it ask another agent to do it (R-B4, R-G3)."""

from dataclasses import replace

import pytest

from ostiary.core.errors import Invalid
from ostiary.core.subject import Principal, PrincipalKind, Subject
from tests.unit.governance.test_approvals import held, made, session


def _chain(user: str | None) -> tuple[Principal, ...]:
    """Carol's planner lends to Owen's bot."""
    planner = Principal("spiffe://t/agent/planner", PrincipalKind.AGENT, "planner", owner="carol")
    *lender, bot = session(user=user).subject.chain
    return (*lender, planner, bot)


@pytest.mark.parametrize("user", ["alice", None])
@pytest.mark.parametrize("who", ["carol", "carol2", "owen"])
async def test_no_owner_of_the_chain_has_the_second_pair_of_eyes(user: str | None, who: str) -> None:
    """R-G3: nor by a second name of theirs; the vote is refused, and takes nobody else's place."""
    inbox = made().approvals()
    asking = replace(session(user=user), subject=Subject(_chain(user)))
    task = await held(inbox, where=asking)
    with pytest.raises(Invalid, match=r"own the agent|lent the rights"):
        await inbox.approve(task, by=who, reason="my own agent's wish")
    await inbox.approve(task, by="dan", reason="looked at")
    assert inbox.show(task)[1] == "approved"
