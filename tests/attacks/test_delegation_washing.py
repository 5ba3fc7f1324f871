"""An agent lends to itself, or to a friend, and lets one session do the reading and the other the acting, to keep labels apart."""

import pytest

from ostiary.core.decision import Refusal
from ostiary.core.subject import Integrity, Session
from ostiary.identity.credentials import Opened
from tests.support.identity import Identity, presented
from tests.unit.identity.test_delegation import ANYTHING, start


async def _asked(here: Identity, opened: Opened) -> Session:
    session = await here.sessions.authenticate(presented(opened.token))
    assert not isinstance(session, Refusal)
    return session


def _read_what_nobody_vouches_for(session: Session) -> None:
    session.state.labels |= {"phi"}
    session.state.integrity = Integrity.UNTRUSTED


def _met(session: Session) -> tuple[str, frozenset[str]]:
    return session.state.integrity.value, session.state.labels


@pytest.mark.parametrize("agent", ["bot", "helper"])
async def test_reading_below_and_acting_above_washes_nothing(agent: str) -> None:
    """R-K1: what a lent-on session met is on its parent at the next action, though no answer passed the gateway."""
    here = await start()
    parent = await here.opened(*ANYTHING)
    child = await here.lent_on(parent.session, "tool:mail/read", "agent:*", agent=agent)
    grandchild = await here.lent_on(child.session, agent="third")
    _read_what_nobody_vouches_for(await _asked(here, grandchild))
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset({"phi"}))
    await here.stop()


@pytest.mark.parametrize("agent", ["bot", "helper"])
async def test_lending_before_reading_washes_nothing(agent: str) -> None:
    """R-K1: a session lent on while all was well takes on what its parent met since, before it acts."""
    here = await start()
    parent = await here.opened(*ANYTHING)
    child = await here.lent_on(parent.session, "tool:mail/read", "agent:*", agent=agent)
    grandchild = await here.lent_on(child.session, agent="third")
    _read_what_nobody_vouches_for(await _asked(here, parent))
    assert _met(await _asked(here, grandchild)) == ("untrusted", frozenset({"phi"}))
    await here.stop()


async def test_a_closed_session_is_not_forgotten_with_what_it_met() -> None:
    """R-K1: closing the reader before acting helps nobody, nor does a restart."""
    here = await start()
    parent = await here.opened(*ANYTHING)
    child = await here.lent_on(parent.session, agent="bot")
    _read_what_nobody_vouches_for(await _asked(here, child))
    await here.sessions.close(child.session.id, by="")
    await here.stop()
    later = await start(here.memory)
    assert _met(await _asked(later, parent)) == ("untrusted", frozenset({"phi"}))
    await later.stop()


async def test_tasks_that_are_over_cost_their_caller_nothing() -> None:
    """R-P1: an agent that gives thousands of tasks away is not looked through at each of its actions; after a restart neither."""
    here = await start()
    parent = await here.opened(*ANYTHING)
    for _ in range(3):
        child = await here.lent_on(parent.session, "tool:mail/read", method="a2a")
        _read_what_nobody_vouches_for(await _asked(here, child))
        here.sessions.rejoin(child.session)
        await here.sessions.close(child.session.id, by="")
    still = await here.lent_on(parent.session, "tool:mail/read", method="a2a")
    assert [each.kept.id for each in here.sessions._live[parent.session.id].below] == [still.session.id]
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset({"phi"}))
    await here.stop()
    later = await start(here.memory)
    assert [each.kept.id for each in later.sessions._live[parent.session.id].below] == [still.session.id]
    assert await later.sessions.revoke(parent.session.id, by="root") == 1
    assert not later.sessions.is_open(still.session.id)
    await later.stop()


async def test_a_task_an_agent_gives_itself_washes_nothing() -> None:
    """R-K1: over the A2A door too an agent can lend to itself: no answer need come for it to know what it read."""
    here = await start()
    parent = await here.opened(*ANYTHING)
    child = await here.lent_on(parent.session, "tool:mail/read", "agent:*", agent="bot", method="a2a")
    below = await here.lent_on(child.session, agent="third")
    _read_what_nobody_vouches_for(await _asked(here, below))
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset({"phi"}))
    await here.stop()


async def test_a_task_over_the_a2a_door_labels_its_caller_when_its_answer_comes() -> None:
    """R-K1: there the gateway sees the answer; what a sub-agent reads for itself before is its own."""
    here = await start()
    parent = await here.opened(*ANYTHING)
    child = await here.lent_on(parent.session, "tool:mail/read", "agent:*", method="a2a")
    below = await here.lent_on(child.session, agent="third")
    _read_what_nobody_vouches_for(await _asked(here, below))
    assert _met(await _asked(here, parent)) == ("trusted", frozenset())
    here.sessions.rejoin(child.session)
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset({"phi"}))
    await here.stop()


async def test_what_a_person_took_off_does_not_come_back_from_a_session_that_is_over() -> None:
    """R-K1: a recorded act of a person stands; an open session that still carries the label brings it back."""
    here = await start()
    parent = await here.opened(*ANYTHING)
    child = await here.lent_on(parent.session, agent="bot")
    _read_what_nobody_vouches_for(await _asked(here, child))
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset({"phi"}))
    parent.session.state.labels -= {"phi"}
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset({"phi"}))
    await here.sessions.close(child.session.id, by="")
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset({"phi"}))
    parent.session.state.labels -= {"phi"}
    assert _met(await _asked(here, parent)) == ("untrusted", frozenset())
    await here.stop()
