"""Keys: only a hash is kept, rotated with overlap, revoked at once, recorded (R-S2, R-L1)."""

import pytest

from ostiary.core.decision import Refusal
from ostiary.core.errors import LedgerUnavailable
from ostiary.identity.keys import AGENT, OPERATOR
from tests.support.identity import crashed, identity, presented


async def test_only_a_hash_is_kept_and_a_prefix_shown() -> None:
    here = await identity()
    issued = await here.keys.issue_agent_key("bot", by="operator")
    assert issued.secret.startswith(issued.prefix)
    kept = b"".join(here.memory.documents.values())
    assert issued.secret.encode() not in kept
    assert issued.secret.removeprefix("osk_").encode() not in kept
    key = here.keys.verify(issued.secret, AGENT)
    assert not isinstance(key, Refusal)
    assert (key.holder, key.created_by) == ("bot", "operator")
    await here.stop()


async def test_a_key_of_one_kind_is_none_of_the_other() -> None:
    here = await identity()
    agent = await here.keys.issue_agent_key("bot", by="operator")
    operator = await here.keys.issue_operator_key("carol", frozenset({"auditor"}), by="operator")
    assert isinstance(here.keys.verify(agent.secret, OPERATOR), Refusal)
    assert isinstance(here.keys.verify(operator.secret, AGENT), Refusal)
    assert isinstance(await here.control.authenticate(presented(agent.secret, "control")), Refusal)
    assert isinstance(await here.sessions.authenticate(presented(operator.secret)), Refusal)
    await here.stop()


async def test_rotation_overlaps_and_then_ends() -> None:
    here = await identity()
    old = await here.keys.issue_agent_key("bot", by="operator")
    new = await here.keys.rotate(old.id, by="operator", overlap_s=60)
    assert not isinstance(here.keys.verify(old.secret, AGENT), Refusal)
    assert not isinstance(here.keys.verify(new.secret, AGENT), Refusal)
    here.memory.clock.at_s += 61
    found = here.keys.verify(old.secret, AGENT)
    assert isinstance(found, Refusal)
    assert found.code == "expired"
    assert not isinstance(here.keys.verify(new.secret, AGENT), Refusal)
    await here.stop()


async def test_revocation_is_at_once_and_for_good() -> None:
    here = await identity()
    issued = await here.keys.issue_operator_key("carol", frozenset({"auditor"}), by="operator")
    assert not isinstance(await here.control.authenticate(presented(issued.secret, "control")), Refusal)
    await here.keys.revoke(issued.id, by="operator", reason="left")
    later = await identity(crashed(here.memory))
    for each in (here, later):
        assert isinstance(await each.control.authenticate(presented(issued.secret, "control")), Refusal)
        await each.stop()


async def test_nothing_is_issued_or_revoked_unrecorded() -> None:
    here = await identity()
    issued = await here.keys.issue_agent_key("bot", by="operator")
    here.memory.is_recording = False
    with pytest.raises(LedgerUnavailable):
        await here.keys.issue_agent_key("bot", by="operator")
    here.memory.is_recording = True
    assert len(here.keys.list(AGENT)) == 1
    actions = [entry.action for entry in here.memory.entries]
    assert actions.count("issue_agent_key") == 1
    await here.keys.revoke(issued.id, by="operator")
    assert here.memory.entries[-1].action == "revoke_agent_key"
    await here.stop()


@pytest.mark.parametrize("secret", ["", "osk_", "osk_" + "a" * 43, "osk_" + "\ud800", "x" * 100_000])
async def test_no_key(secret: str) -> None:
    here = await identity()
    found = here.keys.verify(secret, AGENT)
    assert isinstance(found, Refusal)
    assert found.code == "no_session"
    await here.stop()
