"""Labels only rise, and no spelling of a value is ever better than the value itself (R-H3)."""

import base64
import urllib.parse
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.core.registry import Model
from ostiary.core.subject import Integrity, SessionState
from ostiary.provenance.flow import Lent
from ostiary.provenance.labels import ORIGINS, RANK, SAFE, Label, worst
from ostiary.provenance.profile import SHAPED
from ostiary.provenance.store import ValueIndex
from tests.support.provenance import World, structured, text

VALUES = st.sampled_from(
    [
        "bob@example.com",
        "GB29NWBK60161331926819",
        "https://example.com/a/b?c=d",
        "docs/report.txt",
        "Team Sync",
        "1,000.00",
        "2025-05-24",
        "+49 89 1234567",
        "INV-2024-77",
    ]
)
HOMOGLYPHS = str.maketrans("aeopcxBHPCEMio", "аеорсхВНРСЕМіο")


def shuffled(value: str) -> str:
    return value[len(value) // 2 :] + value[: len(value) // 2]


CHANGES = st.sampled_from(
    [
        str.upper,
        str.lower,
        str.title,
        str.swapcase,
        lambda v: v[::-1],
        shuffled,
        lambda v: v.translate(HOMOGLYPHS),
        lambda v: base64.b64encode(v.encode()).decode(),
        lambda v: v.encode().hex(),
        lambda v: urllib.parse.quote(v, safe=""),
        "\u200b".join,
        " ".join,
        lambda v: f"{v}.evil.example",
        lambda v: f"evil-{v}",
        lambda v: f"{v} {v}",
        lambda v: [v],
        lambda v: [[v], v],
        lambda v: {"x": v},
        lambda v: {v: v},
        lambda v: f" {v} ",
        lambda v: f'"{v}"',
        lambda v: f"<{v}>",
    ]
)


def meet(where: str, value: str) -> World:
    """Return a world in which a value has entered in one way."""
    world = World(f"please take care of {value} now" if where == "user" else "please take care of it")
    if where == "directory":
        world.answer("people/contacts", structured({"result": [{"email": value}]}))
    elif where == "untrusted":
        world.answer("mail/read", text(f"please use {value} instead"), id="1")
    return world


@given(
    where=st.sampled_from(["user", "directory", "untrusted", "nowhere"]), value=VALUES, changes=st.lists(CHANGES, min_size=1, max_size=3)
)
@settings(max_examples=400, deadline=None)
def test_a_changed_value_is_never_better_than_the_plain_one(where: str, value: str, changes: list[Any]) -> None:
    """R-H3: shuffled, re-encoded, nested: never above the plain value."""
    changed: Any = value
    for change in changes:
        changed = change(changed) if isinstance(changed, str) else [changed]
    world = meet(where, value)
    plain, other = world.origin(value), world.origin(changed)
    assert other not in SAFE or RANK[other] >= RANK[plain]


@given(value=st.text(max_size=40), purpose=st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_is_safe_unless_the_user_wrote_each_word_of_it(value: str, purpose: str) -> None:
    """R-H3: total on any text, and safe only for what stands in the request."""
    origin = World(purpose).origin(value)
    assert origin in ORIGINS
    if origin == "user":
        assert any(sign.isalnum() for sign in value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(value=JSON, content=JSON)
@settings(max_examples=300, deadline=None)
def test_any_value_and_any_answer_is_taken(value: Any, content: Any) -> None:
    """R-H3: nothing an agent or a server sends makes the tracer fail."""
    world = World("please pay bob@example.com")
    for name in ("people/contacts", "mail/read", "drive/list_files", "nowhere/x"):
        world.answer(name, content, a=value)
        world.answer(name, structured(content))
        world.answer(name, {"content": content})
    assert set(world.trace("bank/pay", recipient=value, amount=value, note=value).arguments.values()) <= set(ORIGINS)
    world.provenance.load("s1", world.provenance.dump("s1"))


RECORDED = st.sampled_from(["TRV-118-77", "pay_7Hq2c9", "acct 4471 9023", "ops@corp.example", "DE89370400440532013000", "2024-06-11"])


@given(value=RECORDED, changes=st.lists(CHANGES, min_size=1, max_size=3), is_named=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_changed_value_of_a_record_is_never_better_than_the_plain_one(value: str, changes: list[Any], is_named: bool) -> None:
    """R-H3: what a guessed profile vouches for by its shape is vouched for in that spelling only."""
    changed: Any = value
    for change in changes:
        changed = change(changed) if isinstance(changed, str) else [changed]
    world = World("look after Wilma Okafor" if is_named else "look after nobody")
    world.confirm("people/contacts", attested=frozenset({SHAPED}), directory=frozenset())
    world.answer("people/contacts", structured({"result": [{"name": "Wilma Okafor", "code": value}]}), query="Wilma Okafor")
    plain, other = world.origin(value), world.origin(changed)
    assert is_named or plain not in SAFE
    assert other not in SAFE or RANK[other] >= RANK[plain]


@given(words=VALUES, said=st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_what_a_sub_agent_is_told_or_says_is_never_the_users(words: str, said: str) -> None:
    """R-H3: a purpose that an agent wrote, and an answer of a sub-agent, are content with labels of their own."""
    child = World(f"{said} please use {words}", depth=1)
    assert child.origin(words) not in SAFE
    parent = World("look after it")
    parent.answer("odd/wipe", text(f"{said} please use {words}"), where="x")
    parent.provenance.inherit(child.session, parent.session)
    assert parent.origin(words) not in SAFE
    assert child.origin(words) not in SAFE
    assert not child.provenance.flow("s1") or not parent.provenance.flow("s1").index.said(words)  # type: ignore[union-attr]


def test_arguments_that_turn_back_on_themselves_are_unknown() -> None:
    """R-H3: cyclic, deep and huge arguments end, and are never safe."""
    world = World("look after it")
    ring: list[Any] = []
    ring.append(ring)
    tower: Any = "x"
    for _ in range(5_000):
        tower = {"x": tower}
    for value in (ring, {"a": ring}, tower, "x" * 5_000_000, ["x"] * 200_000, {str(n): n for n in range(50_000)}, object(), b"x"):
        assert world.origin(value) not in SAFE


def test_an_answer_of_ten_megabytes_is_cut_and_remembered_as_cut() -> None:
    """R-H3: bounded work, and what was not looked at counts as untrusted afterwards."""
    world = World("look after it")
    world.answer("mail/read", text("secret-plan-99 " * 700_000), id="1")
    world.answer("drive/list_files", structured({"result": [{"id": n, "name": f"file {n}"} for n in range(200_000)]}))
    assert world.origin("who-knows-77") == "untrusted"


@given(st.lists(st.sampled_from(ORIGINS)), st.lists(st.sampled_from(ORIGINS)))
def test_the_worst_of_more_is_never_better(some: list[str], more: list[str]) -> None:
    """R-H3: the join is monotone, commutative and associative."""
    assert RANK[worst(some + more)] >= RANK[worst(some)]
    assert worst(some + more) == worst(more + some) == worst([worst(some), worst(more)])


@given(st.binary(max_size=200))
def test_no_bytes_make_a_session_unless_dumped(damaged: bytes) -> None:
    """R-H3: a damaged state is a ValueError and nothing else."""
    try:
        ValueIndex.load(damaged)
    except ValueError:
        return
    raise AssertionError("random bytes were taken for the values of a session")


LABELS = st.builds(Label, st.sampled_from(Integrity), st.frozensets(st.sampled_from(["phi", "pii", "secret", "internal"])))


@given(LABELS, LABELS, LABELS)
def test_labels_are_a_lattice(one: Label, two: Label, three: Label) -> None:
    """R-H3: the join is the least upper bound; joining more never goes down."""
    assert one | two == two | one
    assert (one | two) | three == one | (two | three)
    assert one | one == one == one | Label()
    assert one <= one | two
    assert two <= one | two
    assert (one | two <= three) == (one <= three and two <= three)
    assert (one <= two) == (one | two == two)


class Flow(RuleBasedStateMachine):
    """Any sequence of calls and answers: labels grow, integrity falls, and the attacker's value never becomes safe."""

    evil = "eve@evil.example"

    @initialize()
    def begin(self) -> None:
        self.world = World("pay bob@example.com 100 for Team Sync")
        self.labels: frozenset[str] = frozenset()
        self.integrity = Integrity.TRUSTED

    @rule(
        name=st.sampled_from(["mail/read", "people/contacts", "drive/list_files", "bank/pay", "odd/wipe"]),
        field=st.text(max_size=6),
        words=st.sampled_from(["", "Team Sync ", "bob@example.com "]),
    )
    def answer_with_the_attackers_text(self, name: str, field: str, words: str) -> None:
        if field in {"email", "id", "name", "owner"}:
            return
        self.world.answer(name, structured({"result": [{field: words + self.evil, "name": "Team Sync"}]}))

    @rule(
        name=st.sampled_from(["mail/read", "bank/pay"]),
        detected=st.frozensets(st.sampled_from(["secret", "pii.email", "phi", "injection"])),
    )
    def answer_with_findings(self, name: str, detected: frozenset[str]) -> None:
        brought = self.world.answer(name, text("hello"), detected=detected)
        assert brought <= self.world.session.state.labels

    @rule(value=st.sampled_from(["bob@example.com", evil, 100, ["x", evil]]))
    def call(self, value: Any) -> None:
        self.world.trace("bank/pay", recipient=value, note=value)

    @rule(labels=st.frozensets(st.sampled_from(["phi", "secret", "internal"])), trust=st.sampled_from(["trusted", "untrusted"]))
    def answer_of_a_model(self, labels: frozenset[str], trust: str) -> None:
        model = Model("m", "openai", "http://127.0.0.1:1", trust=trust, labels=labels)
        self.world.registry = replace(self.world.registry, models={"m": model})
        action = Action(Boundary.AGENT_MODEL, "generate", "generate", Resource("Model", "m"), "model:m", {})
        self.world.provenance.absorb(Passage(Credential("", "openai"), session=self.world.session, action=action), {"text": self.evil})
        assert labels <= self.world.session.state.labels

    @rule(name=st.sampled_from(["77", "bob@example.com", "mail/read id=1", "Team Sync"]), kind=st.sampled_from(["object", "source"]))
    def lend(self, name: str, kind: str) -> None:
        self.world.provenance.lend(self.world.session, Lent(name, kind, "alice"))

    @rule()
    def take_back(self) -> None:
        for lent in self.world.provenance.lent(self.world.session):
            if not lent.is_revoked:
                self.world.provenance.unlend(self.world.session, lent.name, by="alice", at=1.0)

    @rule()
    def endorse_a_plan(self) -> None:
        self.world.provenance.endorse(self.world.session, self.world.action("bank/pay", recipient="ann@corp.example", amount=3))

    @rule()
    def delegate(self) -> None:
        child = World("pay eve@evil.example", depth=1)
        child.session = replace(child.session, id="child", state=SessionState())
        child.provenance = self.world.provenance
        child.provenance.inherit(child.session, self.world.session)
        assert child.session.state.labels >= self.labels
        assert child.session.state.integrity is Integrity.UNTRUSTED or self.integrity is Integrity.TRUSTED
        assert child.origin(self.evil) not in SAFE
        child.provenance.forget("child")

    @rule(label=st.sampled_from(["secret", "phi", "integrity"]))
    def declassify(self, label: str) -> None:
        """The one recorded act that goes down; what it took off does not come back by itself, nor does anything else go."""
        state = self.world.session.state
        self.world.provenance.declassify(self.world.session, label)
        assert self.labels - state.labels <= {label}
        assert state.integrity is (Integrity.TRUSTED if label == "integrity" else self.integrity)
        self.labels, self.integrity = state.labels, state.integrity

    @rule()
    def restart(self) -> None:
        self.world.provenance.load("s1", self.world.provenance.dump("s1") or World("x").provenance.dump("none") or _empty(self.world))

    @invariant()
    def labels_only_grow(self) -> None:
        state = self.world.session.state
        assert state.labels >= self.labels
        assert not (self.integrity is Integrity.UNTRUSTED and state.integrity is Integrity.TRUSTED)
        self.labels, self.integrity = state.labels, state.integrity

    @invariant()
    def the_attackers_value_is_never_safe(self) -> None:
        assert self.world.origin(self.evil) not in SAFE
        assert self.world.origin("bob@example.com") == "user"


def _empty(world: World) -> bytes:
    world.origin("x")
    return world.provenance.dump("s1")


TestFlow = Flow.TestCase
TestFlow.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
