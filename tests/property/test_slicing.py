"""Slice, pruned and whole agree: for any policies and any request, the engine's question gets the answer of the full one."""

import json
import re
from dataclasses import replace
from typing import Any

from cedarpy import _internal as cedar_internal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.core.action import Action, Origins, Resource
from ostiary.core.decision import Context, Effect
from ostiary.core.registry import Zone
from ostiary.core.subject import Integrity, Principal, Session, SessionState
from ostiary.policy import cedar, context
from ostiary.policy import engine as deciding
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.entities import Uid
from ostiary.policy.slicing import share
from ostiary.policy.verdict import Verdict
from ostiary.policy.version import PolicyVersion
from tests.support.policy import approval, call, registry, session

OVER = registry(
    zones={
        "finance": Zone("finance", agents=frozenset({"invoice-bot"}), servers=frozenset({"payments"})),
        "hr": Zone("hr", users=frozenset({"bob"}), agents=frozenset({"helper"}), servers=frozenset({"files"})),
    }
)
PRINCIPALS = [
    "principal",
    'principal in Role::"payer"',
    'principal in Role::"finance"',
    'principal == User::"alice"',
    "principal is Agent",
    'principal is Agent in Role::"clerk"',
    'principal == Agent::"helper"',
    "principal is User",
]
ACTIONS = [
    "action",
    'action in Action::"payments"',
    'action == Action::"payments/pay"',
    'action in Action::"external"',
    'action in Action::"read"',
    'action in [Action::"mail/send", Action::"files/read"]',
    'action in Action::"call_tool"',
]
RESOURCES = [
    "resource",
    'resource in Server::"payments"',
    "resource is Tool",
    'resource == Tool::"files/read"',
    'resource is Tool in Group::"payments"',
    'resource in Zone::"finance"',
    'resource is Tool in Zone::"hr"',
]
CONDITIONS = [
    'context.arguments has amount && context.arguments.amount.greaterThan(decimal("100.0"))',
    'context.arguments has memo && context.arguments.memo like "*x*"',
    'resource in Zone::"hr"',
    'resource in Zone::"finance" || principal in Zone::"finance"',
    'principal in Zone::"hr"',
    'context.origins has account && context.origins.account == "user"',
    '["user", "directory"].contains(context.control.origin)',
    'principal == User::"alice"',
    'principal in Role::"clerk"',
    "resource is Tool && resource.external",
    "context.control.unsafe.isEmpty()",
    'context.session.labels.contains("phi")',
    'context.session.integrity == "trusted"',
    "context.session.actions + 9223372036854775800 > 5",
    "context.session.actions > 3",
    'context.session has user && context.session.user == User::"alice"',
    'context.session.age > duration("150s")',
    'context.session.spent.lessThan(decimal("2.0"))',
    'context.detected.containsAny(["secret", "pii.email"])',
    'context.authn.method == "session_token"',
    'context.authn.age < duration("1h")',
    "context.request.ip.isLoopback()",
    'context.request.at < datetime("1970-01-01T00:03:21Z")',
    "context.request.size < 100",
    'context has approval && context.approval.group == "finance"',
    'context has approval && context.approval.by.contains(User::"bob")',
    "context has approval",
    'if context has approval then context.approval.reason == "ordered" else context.session.depth == 0',
]

PAYING = {
    "action",
    'action in Action::"payments"',
    'action == Action::"payments/pay"',
    'action in Action::"external"',
    'action in Action::"call_tool"',
}
"""Scopes with an action that has the guarded arguments: elsewhere the guards are refused at load."""


def clauses(scope: str) -> st.SearchStrategy[list[tuple[str, list[str], str]]]:
    fitting = (
        CONDITIONS
        if scope in PAYING
        else [each for each in CONDITIONS if not each.startswith("context.arguments") and not each.startswith("context.origins")]
    )
    parts = st.lists(st.sampled_from(fitting), min_size=1, max_size=3)
    return st.lists(st.tuples(st.sampled_from(["when", "unless"]), parts, st.sampled_from(["&&", "||"])), max_size=2)


@st.composite
def policies(draw: st.DrawFn) -> str:
    texts = []
    for number in range(draw(st.integers(1, 8))):
        effect = draw(st.sampled_from(["permit", "forbid"]))
        action = draw(st.sampled_from(ACTIONS))
        scope = f"{draw(st.sampled_from(PRINCIPALS))}, {action}, {draw(st.sampled_from(RESOURCES))}"
        requestable = '@approval("finance") ' if effect == "forbid" and draw(st.booleans()) else ""
        body = "".join(f" {word} {{ {f' {joint} '.join(f'({each})' for each in parts)} }}" for word, parts, joint in draw(clauses(action)))
        texts.append(f'@id("p-{number}") {requestable}{effect} ({scope}){body};')
    return "\n".join(texts)


ACTION_CASES: list[tuple[str, dict[str, st.SearchStrategy[Any]]]] = [
    ("payments/pay", {"account": st.text(max_size=5), "amount": st.sampled_from([0, 99.9999, 100, 100.5, 5000])}),
    ("mail/send", {"to": st.text(max_size=5)}),
    ("files/read", {"path": st.text(max_size=5)}),
    ("payments/refund", {"payment": st.text(max_size=5)}),
]


@st.composite
def requests(draw: st.DrawFn) -> tuple[Session, Action, Origins, Context]:
    name, required = draw(st.sampled_from(ACTION_CASES))
    arguments = {key: draw(value) for key, value in required.items()}
    if name == "payments/pay" and draw(st.booleans()):
        arguments["memo"] = draw(st.sampled_from(["x", "y"]))
    state = SessionState(
        draw(st.sampled_from(Integrity)),
        frozenset(draw(st.sets(st.sampled_from(["phi", "pii"])))),
        draw(st.sampled_from([0, 4, 8])),
        draw(st.integers(0, 3)),
        draw(st.sampled_from([0, 1_999_999, 2_000_000])),
    )
    links = draw(
        st.sampled_from([("user:alice", "agent:invoice-bot"), ("user:bob", "agent:helper"), ("agent:invoice-bot",), ("user:alice",)])
    )
    opened = replace(session(*links, over=OVER), state=state)
    origin = draw(st.sampled_from(["user", "directory", "model", "untrusted"]))
    origins = Origins({next(iter(arguments)): origin}, origin, frozenset(draw(st.sets(st.sampled_from(sorted(arguments))))))
    about = Context(
        200.0,
        draw(st.sampled_from([5, 500])),
        draw(st.sampled_from(["127.0.0.1", "10.0.0.1", "::1"])),
        frozenset(draw(st.sets(st.sampled_from(["secret", "pii.email"])))),
        draw(st.sampled_from([None, approval(), approval("security")])),
    )
    return opened, call(name, Resource("Tool", name), **arguments), origins, about


def engine(text: str) -> PolicyEngine:
    found = PolicyEngine()
    found.load(OVER, PolicyVersion({"a.cedar": text}))
    return found


STANDS = {"agent:invoice-bot": "finance", "user:bob": "hr", "agent:helper": "hr", "payments": "finance", "files": "hr"}


def is_named(text: str, verdict: Verdict, zone: str) -> bool:
    """Say, from the text alone, whether a permit that decided names a zone as the resource's: in its scope or in a `when`."""
    permits = {policy.id for policy in (verdict.policies if verdict.is_allowed else verdict.permits)}
    lines = [re.sub(r"unless {[^}]*}", "", line) for line in text.splitlines() if line.split('"')[1] in permits]
    return any(f'resource in Zone::"{zone}"' in line or f'resource is Tool in Zone::"{zone}"' in line for line in lines)


def enters(opened: Session, link: Principal, action: Action) -> str:
    """Return the zone a link enters, by the table above."""
    target = STANDS.get(action.name.partition("/")[0], "")
    own = STANDS.get(f"{link.kind}:{link.name}", "")
    return target if own != target and (own or link is opened.subject.actor) else ""


def asked_as(uid: Uid, action: Action, built: str) -> cedar.Question:
    return cedar.Question(uid, action.name, (action.resource.type, action.resource.id), built)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(policies(), st.lists(requests(), min_size=1, max_size=4))
def test_slice_and_pruned_equal_the_whole(text: str, asked: list[tuple[Session, Action, Origins, Context]]) -> None:
    """R-P2: per link the same answer, the same deciding policies, the same errors, also when asked twice."""
    found = engine(text).snapshot
    everything = cedar_internal.PolicySet.from_str(text)
    for opened, action, origins, about in [*asked, *asked]:
        shape = found.schema.actions[action.name]
        facts = context.Facts(opened, about, origins, shape.fields.convert(action.arguments), action.arguments.keys())
        full = context.build(context.plan([()]), facts)
        chain = found.chain(opened.subject.chain, action)
        together = (
            found.evaluate(chain.union, asked_as(chain.links[-1].uid, action, context.build(chain.union.plan, facts)))
            if chain.union
            else None
        )
        for _, uid, slice_, _, _ in chain.links:
            resource = (action.resource.type, action.resource.id)
            pruned = found.evaluate(slice_, asked_as(uid, action, context.build(slice_.plan, facts)))
            shared = share(together, slice_)
            if shared is not None and not shared.errors:
                assert (shared.is_allowed, sorted(shared.reasons), shared.errors) == (
                    pruned.is_allowed,
                    sorted(pruned.reasons),
                    pruned.errors,
                )
            request = {
                "principal": {"type": uid[0], "id": uid[1]},
                "action": {"type": "Action", "id": action.name},
                "resource": {"type": resource[0], "id": resource[1]},
                "context": full,
            }
            whole = json.loads(cedar_internal.is_authorized(request, everything, found.graph.handle, found.schema.handle))
            said = whole["diagnostics"]
            assert pruned.is_allowed == (whole["decision"] == "Allow")
            assert sorted(pruned.reasons) == sorted(said["id_annotations_by_reason"][name] for name in said["reason"])
            assert len(pruned.errors) == len(said["errors"])
        if together:
            alone = [
                found.evaluate(slice_, asked_as(uid, action, context.build(slice_.plan, facts))) for _, uid, slice_, _, _ in chain.links
            ]
            assert bool(together.errors) == any(answer.errors for answer in alone)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(policies(), requests())
def test_a_decision_is_never_wider_than_its_links(text: str, asked: tuple[Session, Action, Origins, Context]) -> None:
    """R-P2, R-P5, R-B4: an allow means every link was allowed and nobody enters a zone unnamed; a hold means every link is permitted but for requestable forbids."""
    opened, action, origins, about = asked
    found = engine(text)
    found._clock_ns = lambda: round(about.at * 1e9)  # a listing and a call of the same moment: a session's age is known to both
    decision = found.decide(opened, action, origins, about)
    shape = found.snapshot.schema.actions[action.name]
    facts = context.Facts(opened, about, origins, shape.fields.convert(action.arguments), action.arguments.keys())
    chain = found.snapshot.chain(opened.subject.chain, action)
    verdicts = [deciding._ask(found.snapshot, link, action, facts, None) for link in chain.links]
    entering = [enters(opened, verdict.link, action) for verdict in verdicts]
    is_shut = any(zone and not is_named(text, verdict, zone) for verdict, zone in zip(verdicts, entering, strict=True))
    if decision.effect is Effect.ALLOW or about.approval is None:
        assert (decision.effect is Effect.ALLOW) == (all(verdict.is_allowed for verdict in verdicts) and not is_shut)
    if decision.effect is Effect.HOLD:
        assert decision.approvals
        assert all(verdict.is_allowed or all(policy.approval for policy in verdict.policies) for verdict in verdicts)
        assert not is_shut
    if decision.effect is not Effect.DENY:
        assert found.may_see(opened, call(action.name)), "a listing must show what a call is allowed or held for"
    if found.may_see(opened, call(action.name)):
        unknown = context.Facts(opened, about, Origins(), {}, ())
        for link in found.snapshot.chain(opened.subject.chain, action).links:
            assert deciding._could(found.snapshot, link.slice, (link,), action, unknown), "a listing is no wider than any link"
