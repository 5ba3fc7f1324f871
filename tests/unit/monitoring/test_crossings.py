"""The observed half of the map: exact, the same however often it stops, and bounded whatever agents make up (R-S1)."""

import tracemalloc
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.ledger.leaf import Leaf
from ostiary.monitoring import crossings
from ostiary.monitoring.crossings import MAX_PROBED, OTHER, Crossing, Crossings, Key, _Saved

AGENT = "spiffe://ostiary.local/agent/"


def leaf(agent: str = "bot", resource: str = "Tool::mail/send", decision: str = "allow", at: int = 1_000, **more: object) -> Leaf:
    usual = {"action": resource.partition("::")[2], "boundary": "agent_api", "kind": "intent", "family": "action"}
    code = {"deny": "not_granted", "hold": "held"}.get(decision, "")
    fixed = {"id": "0" * 32, "ledger": "l", "n": 0, "node": "n", "v": 1, "actor": AGENT + agent, "resource": resource}
    return msgspec.convert({**usual, **fixed, "decision": decision, "code": code, "at": at, **more}, Leaf)


def sums(found: Crossings) -> dict[Key, Crossing]:
    return found.found


def restored(found: Crossings) -> Crossings:
    saved = msgspec.json.decode(found.encode(), type=_Saved)
    return Crossings(saved.covered, saved.crossings)


def test_a_crossing_adds_up() -> None:
    """R-S1: who, which door, to what, how often, with which labels and decisions, first and last."""
    found = Crossings()
    found.add(leaf(at=5, on_behalf_of=("person:ab", AGENT + "planner"), policies=("mail-is-sent",), labels=("pii.email",)))
    found.add(leaf(at=9, decision="deny"))
    found.add(leaf(at=7, decision="hold"))
    found.add(leaf(at=11, kind="outcome", code="upstream_failed", labels=("phi",)))
    found.add(leaf(at=12, family="identity", kind="event"))
    found.add(leaf(at=13, actor="person:ab"))
    (crossing,) = sums(found).values()
    assert (crossing.allowed, crossing.held, crossing.refused, crossing.failed) == (1, 1, 1, 1)
    assert (crossing.first, crossing.last) == (5, 9)
    assert (crossing.labels, crossing.policies) == (["pii.email", "phi"], ["mail-is-sent"])
    assert (crossing.people, crossing.via) == (["person:ab"], ["planner"])
    assert crossing.codes == {"not_granted": 1, "held": 1, "upstream_failed": 1}
    assert found.covered == 6


KINDS = st.sampled_from(["intent", "intent", "outcome", "event"])
LEAVES = st.lists(
    st.builds(
        lambda agent, number, decision, at, kind: leaf(agent, f"Tool::s/{number}", decision, at, kind=kind),
        st.sampled_from(["a", "b"]), st.integers(0, 90), st.sampled_from(["allow", "deny", "deny", "hold"]), st.integers(0, 1000), KINDS,
    ),
    max_size=150,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(LEAVES, st.sets(st.integers(0, 150)))
def test_stopping_anywhere_changes_nothing(leaves: list[Leaf], stops: set[int]) -> None:
    """R-S1: kept and carried on from any entry, the sums are those of never having stopped."""
    whole, broken = Crossings(), Crossings()
    for number, each in enumerate(leaves):
        if number in stops:
            broken = restored(broken)
        whole.add(each)
        broken.add(each)
    assert sums(whole) == sums(broken)
    asked = Counter(each.decision for each in leaves if each.kind == "intent")
    assert sum(each.allowed for each in sums(whole).values()) == asked["allow"], "nothing is lost, whatever is put together"
    assert sum(each.refused for each in sums(whole).values()) == asked["deny"]


def test_made_up_names_are_one_crossing() -> None:
    """R-S1: a hostile agent cannot make the map grow, nor crowd out what others do."""
    found = Crossings()
    found.add(leaf("honest"))
    one = leaf("hostile", decision="deny")
    tracemalloc.start()
    for number in range(40_000):
        found.add(msgspec.structs.replace(one, action=f"s/{number}", resource=f"Tool::s/{number}"))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(sums(found)) == 1 + MAX_PROBED + 1
    assert sums(found)[Key("hostile", "agent_api", OTHER, OTHER)].refused == 40_000 - MAX_PROBED
    assert used < 1_000_000
    found.add(leaf("honest", "Tool::mail/other", decision="deny"))
    found.add(leaf("hostile", "Tool::mail/send"))
    assert Key("honest", "agent_api", "mail/other", "Tool::mail/other") in sums(found)
    assert sums(found)[Key("hostile", "agent_api", "mail/send", "Tool::mail/send")].allowed == 1


def test_a_name_that_was_refused_and_then_allowed_makes_room() -> None:
    """R-S1: only names that were never allowed count against the bound."""
    found = Crossings()
    for number in range(MAX_PROBED):
        found.add(leaf(resource=f"Tool::s/{number}", decision="deny"))
    found.add(leaf(resource="Tool::s/0"))
    found.add(leaf(resource="Tool::s/new", decision="deny"))
    assert Key("bot", "agent_api", "s/new", "Tool::s/new") in sums(found)
    assert Key("bot", "agent_api", OTHER, OTHER) not in sums(found)


def test_all_of_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-S1: many agents with many allowed things end in a bucket each, and these in one."""
    found = Crossings()
    monkeypatch.setattr(crossings, "MAX_CROSSINGS", 100)
    for number in range(2_000):
        found.add(leaf(f"a{number % 500}", f"Tool::s/{number}"))
    assert len(sums(found)) <= 202
    assert sum(each.allowed for each in sums(found).values()) == 2_000
    assert Key(OTHER, "agent_api", OTHER, OTHER) in sums(found)
