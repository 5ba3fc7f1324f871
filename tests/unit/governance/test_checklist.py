"""The checklist before an agent runs: what holds, what does not, what to do (R-G1, R-G6)."""

from dataclasses import replace

import pytest

from ostiary.core.registry import Agent, Registry, User
from ostiary.core.subject import Status
from ostiary.governance.checklist import check

ALICE = User("alice")
BOT = Agent("bot", "alice", "pays", roles=frozenset({"payer"}), status=Status.ACTIVE)
BOT = replace(BOT, reviewed=BOT.manifest)


def missing(
    agent: Agent = BOT, users: tuple[User, ...] = (ALICE,), *, recording: bool = True, policies: dict[str, str] | None = None
) -> list[str]:
    registry = Registry(users={user.name: user for user in users}, agents={agent.name: agent})
    found = check(registry, agent, is_recording=recording, policies=policies or {})
    assert all(item.remedy for item in found.missing())
    assert found.is_passed is not bool(found.missing())
    return [item.name for item in found.missing()]


def test_an_agent_with_everything_passes() -> None:
    """R-G1."""
    assert missing() == []


@pytest.mark.parametrize(
    ("agent", "lacks"),
    [
        (replace(BOT, owner="nobody"), ["owner"]),
        (replace(BOT, purpose="  "), ["purpose"]),
        (replace(BOT, reviewed=""), ["manifest"]),
        (replace(BOT, prompt_digest="f" * 64), ["manifest"]),
        (replace(BOT, roles=frozenset()), ["permissions"]),
        (replace(BOT, autonomous=True), ["permissions"]),
        (replace(BOT, status=Status.RETIRED), ["identity"]),
    ],
)
def test_each_thing_it_lacks_is_named(agent: Agent, lacks: list[str]) -> None:
    """R-G1: identity, owner, purpose, manifest, permissions; R-G6: no owner, no run."""
    assert missing(agent) == lacks


def test_what_it_is_made_of_must_exist() -> None:
    agent = replace(BOT, model="gpt", servers=("mail",))
    assert missing(replace(agent, reviewed=agent.manifest)) == ["resources"]


def test_an_owner_who_left_does_not_count() -> None:
    """R-G6."""
    assert missing(users=(replace(ALICE, status=Status.RETIRED),)) == ["owner"]


def test_nothing_runs_unrecorded() -> None:
    """R-G1, R-P4."""
    assert missing(recording=False) == ["recording"]


def test_a_policy_that_names_it_scopes_it() -> None:
    agent = replace(BOT, roles=frozenset())
    assert missing(agent, policies={"a.cedar": 'permit (principal == Agent::"bot", action, resource);'}) == []
    assert missing(agent, policies={"a.cedar": 'permit (principal == Agent::"bot2", action, resource);'}) == ["permissions"]
