"""What one link of a chain could be told about every resource, whatever the session, the arguments and where they come from.

For questions about all there is (`reach`, the map), where asking Cedar one by one would take minutes: which policies can
matter is a comparison of bits, and equal questions are asked once. Works on a snapshot of its own memory, beside the loop.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from cedarpy import pst

from ostiary.policy import cedar
from ostiary.policy.context import UNKNOWN, Plan
from ostiary.policy.entities import Uid
from ostiary.policy.reading import walk
from ostiary.policy.slicing import Slice, actions_of, covers
from ostiary.policy.snapshot import Snapshot
from ostiary.policy.source import Policy
from ostiary.policy.values import entity, extension

CONTROL_PLANE = frozenset({"open_session", "administer", "approve"})
"""Actions that no agent does at a door."""
_SCOPES: Mapping[str, tuple[str, ...]] = {
    "read_resource": ("resource",),
    "get_prompt": ("prompt",),
    "complete": ("prompt", "resource"),
    "answer_request": ("tool", "prompt", "resource"),
}
"""Actions on a server and the kinds of scope that lend them."""


class Target(NamedTuple):
    """One thing that can be done to one resource, and what a session must have been lent for it."""

    action: str
    resource: Uid
    scopes: tuple[str, ...]
    """One of them is enough."""


class Outlook(NamedTuple):
    """What policies could say to one link: names of permits and forbids. Without any of `permits`, always no."""

    permits: frozenset[str] = frozenset()
    """Those that could permit it in some session."""
    certain: frozenset[str] = frozenset()
    """Those that permit it in any, once the forbids below are lifted."""
    forbids: frozenset[str] = frozenset()
    """Those that a person must lift, or that stand in the way depending on what is asked."""
    is_held: bool = False
    """A person must lift one in any case."""
    is_open: bool = False
    """A forbid may or may not stand in the way."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A set of policies with what of a question its answers depend on."""

    slice: Slice
    reads: frozenset[str]


class Outlooks:
    """Answers for every registered principal and target of a snapshot. Not thread-safe; make one for each use."""

    def __init__(self, found: Snapshot) -> None:
        self._found = found
        self._policies = [policy for policy in found.policies.values() if not policy.is_shadow]
        self.targets = tuple(_targets(found))
        self._on: dict[Target, int] = {}
        self._of: dict[Uid, int] = {}
        self._kinds: dict[int, _Kind] = {}
        self._known: dict[tuple[Any, ...], Outlook] = {}
        self._actions = [actions_of(policy, found.schema) for policy in self._policies]

    def look(self, principal: Uid, user: str, target: Target) -> Outlook:
        """Return what a principal could be told in sessions that `user` lends; of nobody when empty."""
        bits = self._principal(principal) & self._target(target)
        if not bits:
            return Outlook()
        kind = self._kinds.get(bits)
        if kind is None:
            kind = self._kinds[bits] = _kind([policy for number, policy in enumerate(self._policies) if bits >> number & 1])
        lender = user if _reads_user(kind.slice.plan) else None
        key = (
            bits,
            lender,
            principal if "principal" in kind.reads else None,
            target.resource if "resource" in kind.reads else None,
            target.action if "action" in kind.reads else None,
        )
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._ask(kind.slice, principal, user, target)
        return known

    def is_shut(self, principal: Uid, target: Target) -> bool:
        """Say whether a principal is permitted nothing on a target whoever lends: for leaving most of them out at once."""
        bits = self._principal(principal) & self._target(target)
        if not bits:
            return True
        found = self.look(principal, "", target)
        return not found.permits and not _reads_user(self._kinds[bits].slice.plan)

    def refuses_lending(self, agent: str, user: str) -> bool:
        """Say whether a policy forbids, whatever is asked for, that a user opens a session of an agent."""
        target = Target("open_session", ("Agent", agent), ())
        chain = [("User", user), ("Agent", agent)] if user else [("Agent", agent)]
        return any(self.look(uid, user, target).is_held for uid in chain)

    def _principal(self, uid: Uid) -> int:
        bits = self._of.get(uid)
        if bits is None:
            within = self._found.graph.within(uid)
            bits = self._of[uid] = _bits(self._policies, lambda policy: covers(policy.node.principal, uid, within))
        return bits

    def _target(self, target: Target) -> int:
        bits = self._on.get(target)
        if bits is None:
            within, uid = self._found.graph.within(target.resource), target.resource
            bits = 0
            for number, (policy, actions) in enumerate(zip(self._policies, self._actions, strict=True)):
                if target.action in actions and covers(policy.node.resource, uid, within):
                    bits |= 1 << number
            self._on[target] = bits
        return bits

    def _ask(self, slice_: Slice, principal: Uid, user: str, target: Target) -> Outlook:
        """Ask Cedar with everything open but who lends; with and without an approval, where one is looked at."""
        handle, permits = self._found.graph.handle, slice_.permits
        if not permits and target.action not in CONTROL_PLANE:
            return Outlook()
        could: set[str] = set()
        certain: frozenset[str] = frozenset()
        forbids: set[str] = set()
        for approved in (False, True) if any(name == "approval" for name, _ in slice_.plan) else (False,):
            question = cedar.Question(principal, target.action, target.resource, _built(slice_.plan, user, approved=approved))
            firm = cedar.evaluate_partly(slice_.firm, handle, question)
            if firm.errors or not permits.issuperset(firm.reasons):
                continue
            could |= permits.intersection((*firm.reasons, *firm.residuals))
            forbids |= {name for name in firm.residuals if name not in permits}
            certain = certain if approved else permits.intersection(firm.reasons)
        question = cedar.Question(principal, target.action, target.resource, _built(slice_.plan, user, approved=False))
        whole = cedar.evaluate_partly(slice_.whole, handle, question)
        held = {name for name in whole.reasons if name not in permits}
        doubtful = {name for name in whole.residuals if name not in permits}
        is_open = bool(forbids or doubtful or whole.errors)
        return Outlook(frozenset(could), certain, frozenset(forbids | held | doubtful), bool(held), is_open)


def _kind(policies: list[Policy]) -> _Kind:
    nodes = [part.name for policy in policies for part in walk(policy.node.clauses) if isinstance(part, pst.Var)]
    return _Kind(Slice(policies), frozenset(nodes))


def _reads_user(plan: Plan) -> bool:
    return any(name == "session" and not callable(members) and any(m == "user" for m, _ in members) for name, members in plan)


def _built(plan: Plan, user: str, *, approved: bool) -> str:
    """Return the context with nothing known but who lends."""
    found: dict[str, Any] = {}
    for name, members in plan:
        if name == "session" and not callable(members):
            record = {member: extension(UNKNOWN, f"session.{member}") for member, _ in members if member != "user"}
            lent = {"user": entity("User", user)} if user and any(member == "user" for member, _ in members) else {}
            found[name] = {**record, **lent}
        elif name != "approval" or approved:
            found[name] = extension(UNKNOWN, name)
    return msgspec.json.encode(found).decode()


def _bits(policies: Iterable[Policy], is_in: Callable[[Policy], bool]) -> int:
    bits = 0
    for number, policy in enumerate(policies):
        if is_in(policy):
            bits |= 1 << number
    return bits


def _targets(found: Snapshot) -> Iterable[Target]:
    """Yield everything an agent can do at a door: accepted tools, and each other action on all that is registered."""
    for name, shape in sorted(found.schema.actions.items()):
        if name in found.fitting.blocked or name in CONTROL_PLANE or not shape.is_accepted:
            continue
        if shape.is_tool:
            yield Target(name, ("Tool", name), (f"tool:{name}",))
            continue
        for kind in shape.resources:
            for each in sorted(found.graph.registered(kind)):
                yield Target(name, (kind, each), _scopes(name, kind, each))


def _scopes(action: str, kind: str, name: str) -> tuple[str, ...]:
    if kind == "Server":
        return tuple(f"{scope}:{name}/*" for scope in _SCOPES.get(action, ()))
    scope, head = ("api", name.partition("/")[0]) if kind == "Operation" else (kind.lower(), name)
    return (f"{scope}:{head}", f"{scope}:{head}/*") if scope in ("api", "source") else (f"{scope}:{head}",)
