"""The ledger as a state machine: whatever happens in whatever order, a receipt stays true and checkpoints only grow."""

import asyncio
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ostiary.core.canonical import canonical
from ostiary.core.entry import Kind, Part
from ostiary.core.errors import InvalidAction, LedgerUnavailable
from ostiary.ledger import Ledger, LedgerReader
from ostiary.ledger.leaf import MAX_LEAF, decode, is_exact
from ostiary.ledger.note import Verifier
from ostiary.ledger.proof import InclusionProof
from ostiary.ledger.recorder import Recorder
from ostiary.ledger.tree import Tree, leaf_hash
from ostiary.ledger.vault import Vault
from ostiary.ledger.verify import verify_source
from tests.support.ledger import ORIGIN, QUICK, FailingStore, MemoryStore, ledger_keys, make_entry

TEXT = st.text(max_size=40)


class LedgerMachine(RuleBasedStateMachine):
    """One ledger in memory, run, failed, restarted, verified."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore()
        self.receipts: dict[int, tuple[str, bytes]] = {}
        self.notes: list[bytes] = []
        self.open: set[str] = set()
        self.ledger: Ledger | None = None
        self.start()

    def start(self, failing: tuple[str, int, bool] | None = None) -> None:
        store: Any = self.store if failing is None else FailingStore(self.store, failing[0], failing[1], is_after=failing[2])
        self.ledger = Ledger(store, ledger_keys(), origin=ORIGIN, node="n1", pace=QUICK)
        self.loop.run_until_complete(self.ledger.start())
        self.open.clear()

    def append(self, **fields: Any) -> None:
        assert self.ledger is not None
        entry = make_entry(**fields)
        try:
            receipt = self.loop.run_until_complete(self.ledger.append(entry))
        except LedgerUnavailable:
            assert not self.ledger.state.is_ok
            return
        assert receipt.index not in self.receipts
        self.receipts[receipt.index] = (entry.id, receipt.leaf_hash)
        if entry.kind is Kind.INTENT and entry.decision == "allow":
            self.open.add(entry.id)
        self.open.discard(entry.intent)

    @precondition(lambda self: self.ledger is not None)
    @rule(person=st.sampled_from(["alice", "bob", "zoë"]), text=TEXT, is_allowed=st.booleans())
    def intend(self, person: str, text: str, is_allowed: bool) -> None:
        decision = "allow" if is_allowed else "deny"
        self.append(on_behalf_of=(person,), decision=decision, parts=(Part("arguments", text.encode(errors="replace")),))

    @precondition(lambda self: self.ledger is not None and self.open)
    @rule()
    def settle(self) -> None:
        self.append(kind=Kind.OUTCOME, intent=min(self.open), decision="allow")

    @precondition(lambda self: self.ledger is not None)
    @rule(count=st.integers(2, 300))
    def many(self, count: int) -> None:
        assert self.ledger is not None
        entries = [make_entry(parts=()) for _ in range(count)]
        ledger = self.ledger

        async def together() -> list[Any]:
            return await asyncio.gather(*map(ledger.append, entries), return_exceptions=True)

        found = self.loop.run_until_complete(together())
        for entry, answer in zip(entries, found, strict=True):
            if isinstance(answer, BaseException):
                assert isinstance(answer, LedgerUnavailable)
            else:
                self.receipts[answer.index] = (entry.id, answer.leaf_hash)

    @precondition(lambda self: self.ledger is not None)
    @rule()
    def seal(self) -> None:
        assert self.ledger is not None
        try:
            self.notes.append(self.loop.run_until_complete(self.ledger.seal()))
        except LedgerUnavailable:
            assert not self.ledger.state.is_ok

    @precondition(lambda self: self.ledger is not None)
    @rule()
    def close(self) -> None:
        assert self.ledger is not None
        self.loop.run_until_complete(self.ledger.close())
        self.ledger = None

    @precondition(lambda self: self.ledger is None)
    @rule()
    def restart(self) -> None:
        self.start()

    @precondition(lambda self: self.ledger is None)
    @rule(method=st.sampled_from(["commit", "release"]), nth=st.integers(2, 6), is_after=st.booleans())
    def restart_on_a_failing_store(self, method: str, nth: int, is_after: bool) -> None:
        try:
            self.start((method, nth, is_after))
        except LedgerUnavailable:
            assert self.ledger is not None
            self.loop.run_until_complete(self.ledger.close())
            self.ledger = None

    @precondition(lambda self: self.ledger is None and self.receipts)
    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.receipts)))
        entry_id, node = self.receipts[index]
        reader = LedgerReader(self.store.source())
        sealed = Verifier.parse(self.store.head["vkey"]).open(self.store.newest or b"")[0].size
        if index < sealed:
            proof = InclusionProof.decode(reader.prove(entry_id))
            leaf = self.store.entries[index]
            assert leaf_hash(leaf) == node
            assert proof.check(leaf, Verifier.parse(self.store.head["vkey"])).size == sealed

    @invariant()
    def receipts_stay_true(self) -> None:
        for index, (entry_id, node) in getattr(self, "receipts", {}).items():
            assert leaf_hash(self.store.entries[index]) == node
            assert decode(self.store.entries[index]).id == entry_id

    @invariant()
    def every_checkpoint_ever_seen_is_a_prefix(self) -> None:
        if not getattr(self, "notes", None):
            return
        roots, tree = [Tree().root()], Tree()
        for leaf in self.store.entries:
            tree.append(leaf_hash(leaf))
            roots.append(tree.root())
        for note in self.notes:
            checkpoint, _ = Verifier.parse(self.store.head["vkey"]).open(note)
            assert roots[checkpoint.size] == checkpoint.root

    def teardown(self) -> None:
        if getattr(self, "ledger", None) is not None:
            self.close()
        self.start()
        self.close()
        found = verify_source(self.store.source(), checkpoint=self.notes[-1] if self.notes else None, keys=ledger_keys())
        assert found.ok, found.problems
        intents = [decode(leaf) for leaf in self.store.entries if decode(leaf).kind == "intent"]
        outcomes = [decode(leaf).intent for leaf in self.store.entries if decode(leaf).kind == "outcome"]
        assert sorted(outcomes) == sorted(leaf.id for leaf in intents if leaf.decision == "allow")
        self.loop.close()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))

WORDS = st.text(max_size=60)
VALUES = st.one_of(WORDS, st.integers(), st.floats(), st.none(), st.binary(max_size=20), st.lists(WORDS, max_size=3).map(tuple))
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "boundary",
            "actor",
            "user",
            "owner",
            "session",
            "verb",
            "action",
            "resource",
            "digest",
            "intent",
            "decision",
            "code",
            "policy_revision",
            "approval",
            "id",
        ]
    ),
    st.one_of(WORDS, WORDS, WORDS, VALUES),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(
    fields=FIELDS,
    lists=st.dictionaries(st.sampled_from(["labels", "policies", "on_behalf_of"]), st.lists(WORDS, max_size=5).map(tuple)),
    origins=st.dictionaries(WORDS, WORDS, max_size=5),
    numbers=st.dictionaries(st.sampled_from(["at_ns", "upstream_status", "duration_us"]), st.one_of(st.integers(), st.floats())),
)
def test_whatever_is_recorded_is_of_the_profile_and_the_rest_is_refused(
    fields: dict[str, Any], lists: dict[str, Any], origins: dict[str, str], numbers: dict[str, Any]
) -> None:
    """R-L2: any values: a leaf in the one canonical form within its bounds, with nothing outside the plain alphabet, or a refusal."""
    recorder = Recorder(ORIGIN, "n1", Vault(ledger_keys(), MemoryStore().source()))
    try:
        recorded = recorder.record(make_entry(**{**fields, **lists, **numbers, "origins": origins}))
    except InvalidAction:
        return
    assert len(recorded.leaf) <= MAX_LEAF
    assert is_exact(recorded.leaf)
    assert canonical(json.loads(recorded.leaf)) == recorded.leaf
    assert recorded.leaf.isascii()
    assert not set(recorded.leaf) & set(b" \\@<>\n")
