"""Policy versions: recorded before live, kept, rolled back, and carried over a changing registry."""

import asyncio
from dataclasses import replace

import pytest

from ostiary.core.action import Action, Origins
from ostiary.core.decision import Context, Effect
from ostiary.core.entry import Family, Kind
from ostiary.core.errors import Corrupt, Invalid, InvalidPolicy, LedgerUnavailable, NotFound, Unavailable
from ostiary.core.registry import Registry, User
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.store import VERSIONS, PolicyStore
from tests.support.policy import NUMBER, SAFE, STRING, MemoryLedger, MemoryState, call, decide, registry, session, tool

READ = {"read.cedar": '@id("clerks-read") permit (principal in Role::"clerk", action in Action::"read", resource);\n'}
PAY = {"pay.cedar": '@id("payers-pay") permit (principal in Role::"payer", action == Action::"payments/pay", resource);\n'}
LIMIT = {
    **PAY,
    "limit.cedar": '@id("limit") forbid (principal, action in Action::"payments", resource)\n'
    'when { context.arguments has amount && context.arguments.amount.greaterThan(decimal("1000.0")) };\n',
}
FILE = call("files/read", path="a")
MONEY = call("payments/pay", account="AT1", amount=10)


class Company:
    """A store with its engine over memory, at a fixed time."""

    def __init__(self, over: Registry | None = None) -> None:
        self.state, self.ledger = MemoryState(), MemoryLedger()
        self.start(over or registry())

    def start(self, over: Registry) -> None:
        self.engine = PolicyEngine()
        self.store = PolicyStore(self.state, self.ledger, lambda: 1_000_000_000, self.engine)
        self.store.start(over)

    def effect(self, action: Action = FILE) -> Effect:
        return decide(self.engine, action).effect


async def test_a_change_is_recorded_with_who_why_and_diff() -> None:
    """R-L5: one change entry, before the version decides."""
    company = Company()
    assert company.effect() is Effect.DENY
    version = await company.store.apply(READ, "bob", "clerks need their mail")
    assert company.effect() is Effect.ALLOW
    (entry,) = company.ledger.entries
    assert (entry.family, entry.kind, entry.user, entry.verb) == (Family.CHANGE, Kind.EVENT, "bob", "apply")
    assert entry.policy_revision == version.revision == company.engine.revision
    parts = {part.name: part.content.decode() for part in entry.parts}
    assert parts["reason"] == "clerks need their mail"
    assert '+@id("clerks-read") permit' in parts["diff"]


async def test_traffic_goes_on_while_versions_are_made_ready_and_swapped() -> None:
    """R-P2: whatever is asked meanwhile is decided by one version or the other, whole; nothing waits for the validator."""
    many = [tool("mail", f"tool-{number}", {"to": STRING, f"x{number}": STRING}) for number in range(300)]
    company = Company(registry(*many))
    rules = "".join(
        f'@id("r-{number}") forbid (principal, action in Action::"call_tool", resource) when {{ context.session.depth > {number} }};'
        for number in range(200)
    )
    permitting = await company.store.apply({"pay.cedar": PAY["pay.cedar"] + rules}, "bob", "first")
    asked: list[tuple[str, Effect]] = []

    async def ask() -> None:
        while True:
            decision = decide(company.engine, MONEY)
            asked.append((decision.revision, decision.effect))
            await asyncio.sleep(0)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    refusing = await company.store.apply({"rules.cedar": rules}, "bob", "second")
    before = len(asked)
    await asyncio.sleep(0.01)
    asking.cancel()
    assert before > 100
    assert set(asked[:before]) == {(permitting.revision, Effect.ALLOW)}
    assert set(asked[before:]) == {(refusing.revision, Effect.DENY)}


async def test_nothing_changes_when_a_policy_is_wrong() -> None:
    """R-P2: refused with every problem, not recorded, not stored."""
    company = Company()
    await company.store.apply(READ, "bob", "first")
    with pytest.raises(InvalidPolicy):
        await company.store.apply({"x.cedar": "permit (principal, action, resource);"}, "bob", "second")
    assert company.effect() is Effect.ALLOW
    assert len(company.ledger.entries) == len(company.store.history()) == 1


async def test_no_record_no_change() -> None:
    """R-L5: when the ledger cannot write, the old version keeps deciding and nothing is stored."""
    company = Company()
    company.ledger.fails = True
    with pytest.raises(LedgerUnavailable):
        await company.store.apply(READ, "bob", "first")
    assert company.effect() is Effect.DENY
    assert company.state.documents == {}
    assert company.store.history() == ()


async def test_no_store_no_change() -> None:
    """R-L5: when the store cannot write, the old version keeps deciding, also after a restart."""
    company = Company()
    company.state.fails = True
    with pytest.raises(Unavailable):
        await company.store.apply(READ, "bob", "first")
    assert company.effect() is Effect.DENY
    company.start(registry())
    assert company.effect() is Effect.DENY


@pytest.mark.parametrize(("by", "why"), [("", "because"), ("bob", ""), ("bob", "  ")])
async def test_a_change_needs_who_and_why(by: str, why: str) -> None:
    """R-L5: no anonymous or unexplained change."""
    company = Company()
    with pytest.raises(Invalid):
        await company.store.apply(READ, by, why)
    assert company.ledger.entries == []


async def test_versions_survive_a_restart() -> None:
    """R-L5: the version activated last decides again, with the same revision."""
    company = Company()
    version = await company.store.apply(READ, "bob", "first")
    company.start(registry())
    assert company.effect() is Effect.ALLOW
    assert company.store.current == version
    assert company.engine.revision == version.revision


async def test_rollback_is_one_command_and_a_change_of_its_own() -> None:
    """R-L5: an old version's files decide again; history keeps all three steps."""
    company = Company()
    first = await company.store.apply(READ, "bob", "first")
    await company.store.apply(PAY, "bob", "second")
    assert company.effect() is Effect.DENY
    back = await company.store.rollback(first.revision[:12], "alice", "the second was wrong")
    assert back.revision == first.revision
    assert company.effect() is Effect.ALLOW
    assert [each.verb for each in company.store.history()] == ["rollback", "apply", "apply"]
    assert [each.by for each in company.store.history()] == ["alice", "bob", "bob"]
    diff = company.ledger.entries[-1].parts[0].content.decode()
    assert "--- pay.cedar" in diff
    assert "+++ read.cedar" in diff


@pytest.mark.parametrize("revision", ["", "ffff", "../x"])
async def test_an_unknown_version_is_not_found(revision: str) -> None:
    """R-L5: rollback to what never was changes nothing."""
    company = Company()
    await company.store.apply(READ, "bob", "first")
    with pytest.raises(NotFound):
        await company.store.rollback(revision, "bob", "back")
    assert company.effect() is Effect.ALLOW


async def test_a_stored_version_that_is_not_its_hash_stops_the_start() -> None:
    """R-L5: versions are immutable."""
    company = Company()
    version = await company.store.apply(READ, "bob", "first")
    body = company.state.documents[VERSIONS, version.revision]
    company.state.documents[VERSIONS, version.revision] = body.replace(b"clerk", b"payer")
    with pytest.raises(Corrupt):
        company.start(registry())


async def test_a_schema_change_that_fits_is_a_new_version() -> None:
    """R-L5: the revision covers policies and schema, and the change is recorded."""
    company = Company()
    first = await company.store.apply(LIMIT, "bob", "first")
    assert await company.store.refresh(registry(tool("files", "list", {"path": STRING}, profile=SAFE))) == ()
    assert company.engine.revision != first.revision
    assert company.store.current.revision == company.engine.revision
    assert [each.verb for each in company.store.history()] == ["refresh", "apply"]
    assert company.ledger.entries[-1].parts[0].content.decode() == "+ Action files/list path\n"
    assert company.effect(MONEY) is Effect.ALLOW


async def test_the_same_registry_again_changes_nothing() -> None:
    """R-L5: refreshing is idempotent."""
    company = Company()
    first = await company.store.apply(LIMIT, "bob", "first")
    await company.store.refresh(registry())
    assert company.engine.revision == first.revision
    assert len(company.ledger.entries) == 1


RENAMED = tool("payments", "pay", {"account": STRING, "total": NUMBER}, ("account",))


async def test_a_tool_that_loses_the_argument_a_limit_looks_at_denies() -> None:
    """R-P2: `amount` became `total`: the limit would never fire, so the tool denies and the rest goes on."""
    company = Company()
    first = await company.store.apply({**LIMIT, **READ}, "bob", "first")
    findings = await company.store.refresh(registry(RENAMED))
    assert any("limit" in finding and "amount" in finding for finding in findings)
    assert company.engine.findings == findings
    moved = call("payments/pay", account="AT1", total=10)
    decision = company.engine.decide(session(), moved, Origins(), Context(200.0))
    assert (decision.effect, decision.code, decision.policies) == (Effect.DENY, "unavailable", ("limit",))
    assert not company.engine.may_see(session(), moved)
    assert company.effect(FILE) is Effect.ALLOW
    assert company.store.current.revision == first.revision
    assert company.ledger.entries[-1].verb == "refresh"


async def test_the_finding_survives_a_restart_and_ends_with_a_mended_policy() -> None:
    """R-P2: what the policies were checked with is kept; a version written for the new tool lifts the block."""
    company = Company()
    await company.store.apply(LIMIT, "bob", "first")
    company.start(registry(RENAMED))
    moved = call("payments/pay", account="AT1", total=10)
    assert company.engine.findings
    assert company.engine.decide(session(), moved, Origins(), Context(200.0)).code == "unavailable"
    await company.store.apply({name: text.replace("amount", "total") for name, text in LIMIT.items()}, "bob", "follows the tool")
    assert company.engine.findings == ()
    assert company.engine.decide(session(), moved, Origins(), Context(200.0)).effect is Effect.ALLOW


async def test_an_argument_lost_while_another_tool_keeps_it_still_blocks() -> None:
    """R-P2: the guard stays valid because of a sibling, so Cedar would say nothing."""
    sibling = tool("payments", "transfer", {"amount": NUMBER})
    company = Company(registry(sibling))
    await company.store.apply(LIMIT, "bob", "first")
    findings = await company.store.refresh(registry(sibling, RENAMED))
    assert any("lost its argument `amount`" in finding for finding in findings)
    moved = call("payments/pay", account="AT1", total=10)
    assert company.engine.decide(session(), moved, Origins(), Context(200.0)).code == "unavailable"


async def test_a_server_that_is_not_there_yet_does_not_stop_the_start() -> None:
    """R-P2: a policy that names a missing tool keeps deciding for the others."""
    company = Company()
    await company.store.apply({**PAY, **READ}, "bob", "first")
    gone = {name: each for name, each in registry().tools.items() if name != "payments/pay"}
    company.start(registry(tools=gone))
    assert company.engine.findings
    assert company.effect(FILE) is Effect.ALLOW
    assert decide(company.engine, MONEY).code == "not_granted"
    await company.store.refresh(registry())
    assert company.engine.findings == ()
    assert company.effect(MONEY) is Effect.ALLOW


async def test_a_registry_that_cannot_be_recorded_decides_all_the_same() -> None:
    """R-P6: a role taken away is gone at the next action, even while the ledger cannot write."""
    company = Company()
    await company.store.apply(READ, "bob", "first")
    before = registry()
    users = {**before.users, "alice": replace(before.users["alice"], roles=frozenset())}
    company.ledger.fails = True
    with pytest.raises(LedgerUnavailable):
        await company.store.refresh(registry(RENAMED, users=users))
    assert company.effect() is Effect.DENY
    company.ledger.fails = False
    await company.store.refresh(registry(RENAMED))
    assert company.effect() is Effect.ALLOW
    assert company.store.current.revision == company.engine.revision


async def test_a_registry_that_cannot_be_used_denies_everything() -> None:
    """R-P2: nobody is decided by roles that are no longer true."""
    company = Company()
    await company.store.apply(READ, "bob", "first")
    broken = {**registry().users, "eve": User("eve", attributes={"level": 5})}  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="conform"):
        await company.store.refresh(registry(users=broken))
    assert company.engine.decide(session(), FILE, Origins(), Context(200.0)).code == "unavailable"
    assert not company.engine.may_see(session(), FILE)
    await company.store.refresh(registry())
    assert company.effect() is Effect.ALLOW
