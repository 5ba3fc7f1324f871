"""Decides: every link of the chain is asked, and all must be allowed. Never allows when anything was wrong."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ostiary.core.action import Action, Origins
from ostiary.core.decision import Context, Decision, Effect
from ostiary.core.errors import EngineUnavailable, InvalidAction
from ostiary.core.registry import Registry
from ostiary.core.subject import Principal, Session
from ostiary.policy import cedar, context
from ostiary.policy.checks import Review, review
from ostiary.policy.entities import REGISTERED, EntityGraph, Uid, principal_uid
from ostiary.policy.obligations import OBLIGATIONS
from ostiary.policy.reading import mentions
from ostiary.policy.schema import ActionShape, PolicySchema, generate
from ostiary.policy.slicing import Index, Slice, actions_of
from ostiary.policy.source import Policy, Problem
from ostiary.policy.verdict import Verdict, combine
from ostiary.policy.version import PolicyVersion

log = logging.getLogger("ostiary.policy")
MAX_MEMO, MAX_MEMO_BYTES, MAX_SLICES = 4096, 1024, 50_000


@dataclass(frozen=True)
class Snapshot:
    """All that decides, of one revision. Replaced whole; nothing in it changes what is decided."""

    registry: Registry
    version: PolicyVersion
    schema: PolicySchema
    graph: EntityGraph
    policies: Mapping[str, Policy]
    index: Index
    blocked: Mapping[str, tuple[str, ...]]
    """Actions that changed under a policy which no longer fits them, with those policies."""
    unfit: tuple[str, ...]
    """Why policies no longer fit."""
    findings: tuple[str, ...]
    warnings: tuple[Problem, ...]
    slices: dict[tuple[str, ...], tuple[Uid, Slice]]
    answers: dict[tuple[Slice, cedar.Question], cedar.Answer]
    """What Cedar said to exactly this question, every input of it in the key: principal, action, resource, policies, context."""

    @property
    def is_fitting(self) -> bool:
        """Say whether every policy fits the schema."""
        return not self.unfit

    def slice(self, link: Principal, action: Action) -> tuple[Uid, Slice]:
        """Return the policies that matter when `link` asks for `action`."""
        key = (link.kind, link.name, action.name, action.resource.type, action.resource.id)
        found = self.slices.get(key)
        if found is None:
            if len(self.slices) > MAX_SLICES:
                self.slices.clear()
            uid = principal_uid(link)
            found = uid, self.index.find(uid, action.name, (action.resource.type, action.resource.id))
            self.slices[key] = found
        return found

    def evaluate(self, slice_: Slice, question: cedar.Question) -> cedar.Answer:
        """Ask Cedar, unless this snapshot was asked the very same question before."""
        key = (slice_, question)
        answer = self.answers.get(key)
        if answer is None:
            answer = cedar.evaluate(slice_.whole, self.graph.handle, question)
            if len(question.context) <= MAX_MEMO_BYTES:
                if len(self.answers) >= MAX_MEMO:
                    self.answers.clear()
                self.answers[key] = answer
        return answer


class PolicyEngine:
    """The policy decision point (`core.ports.PolicyEngine`). Until something is loaded, nothing is allowed."""

    def __init__(self, *, obligations: frozenset[str] = frozenset(OBLIGATIONS), clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._snapshot: Snapshot | None = None
        self._obligations = obligations
        self._clock_ns = clock_ns

    @property
    def snapshot(self) -> Snapshot:
        """Everything that decides now. Raises EngineUnavailable before the first load."""
        if self._snapshot is None:
            raise EngineUnavailable("no policy version is loaded, so nothing is allowed")
        return self._snapshot

    @property
    def is_loaded(self) -> bool:
        """Say whether a version decides."""
        return self._snapshot is not None

    @property
    def revision(self) -> str:
        """The hash of the version that decides."""
        return self.snapshot.version.revision

    @property
    def findings(self) -> tuple[str, ...]:
        """What an operator should look at: policies that no longer fit, names that cannot be used."""
        return self.snapshot.findings

    def load(self, registry: Registry, policies: PolicyVersion) -> None:
        """Swap in a version over a registry snapshot. Raises InvalidPolicy, and nothing changes, when it was never valid."""
        self.swap(snapshot(registry, policies))

    def swap(self, ready: Snapshot) -> None:
        """Decide by `ready` from now on; requests under way keep the snapshot they began with."""
        self._snapshot = ready

    def decide(self, session: Session, action: Action, origins: Origins, context: Context) -> Decision:
        """Decide for every link of the session's chain; all must be allowed."""
        found = self._snapshot
        if found is None:
            return _unavailable("no policy version is loaded, so nothing is allowed")
        revision = found.version.revision
        try:
            return self._decide(found, session, action, origins, context)
        except InvalidAction as error:
            return Decision(Effect.DENY, "invalid_arguments", (), (error.detail,), revision, remedy=error.remedy or "")
        except Exception:
            log.exception("the policy engine failed, so the action was refused")
            return _unavailable("the policy engine failed", revision)

    def may_see(self, session: Session, action: Action) -> bool:
        """Say whether a call could be allowed or held, for listings: arguments and origins unknown."""
        found = self._snapshot
        if found is None:
            return False
        try:
            shape = askable(found, action)
            if shape is None or not shape.is_accepted or action.name in found.blocked or not session.subject.chain:
                return False
            facts = context.Facts(session, Context(self._clock_ns() / 1e9), Origins(), {}, ())
            return all(found.graph.has(principal_uid(link)) and _could(found, link, action, facts) for link in session.subject.chain)
        except Exception:
            log.exception("the policy engine failed, so a listing leaves the action out")
            return False

    def _decide(self, found: Snapshot, session: Session, action: Action, origins: Origins, about: Context) -> Decision:
        revision = found.version.revision
        shape = askable(found, action)
        if shape is None or not all(found.graph.has(principal_uid(link)) for link in session.subject.chain):
            return combine(revision, [], action, origins, self._obligations)
        if not shape.is_accepted:
            return Decision(Effect.DENY, "quarantined", revision=revision, remedy="an operator must accept the tool's definition")
        if (unfit := found.blocked.get(action.name)) is not None:
            why = f"`{action.name}` changed, and policy {', '.join(unfit)} no longer fits it"
            return Decision(Effect.DENY, "unavailable", unfit, (why,), revision, remedy="an operator must mend the policy")
        facts = context.Facts(session, about, origins, shape.fields.convert(action.arguments), action.arguments.keys())
        verdicts = [ask(found, link, action, facts) for link in session.subject.chain]
        return combine(revision, verdicts, action, origins, self._obligations)


def snapshot(registry: Registry, version: PolicyVersion) -> Snapshot:
    """Return a version made ready to decide over a registry. Raises InvalidPolicy when it cannot be."""
    schema = generate(registry)
    graph = EntityGraph(registry, schema)
    found = review(version.files, schema, graph)
    unfit = _unfit(found, version, schema)
    live = PolicyVersion(version.files, schema.revision, schema.fingerprints)
    reasons = tuple(f"policy `{policy.id}` no longer fits: {why}" for policy, why in unfit)
    deciding = [policy for policy in found.policies if not policy.is_shadow]
    return Snapshot(
        registry,
        live,
        schema,
        graph,
        {policy.id: policy for policy in found.policies},
        Index(deciding, schema, graph),
        _blocked(unfit, version, schema),
        reasons,
        (*schema.findings, *reasons),
        found.warnings,
        {},
        {},
    )


def askable(found: Snapshot, action: Action) -> ActionShape | None:
    """Return the action's shape; None when there is none such, it is not done to that resource, or that is not registered."""
    shape = found.schema.actions.get(action.name)
    if shape is None or action.resource.type not in shape.resources:
        return None
    if shape.is_tool and action.resource.id != action.name:
        return None
    uid = (action.resource.type, action.resource.id)
    return shape if uid[0] not in REGISTERED or found.graph.has(uid) else None


def ask(found: Snapshot, link: Principal, action: Action, facts: context.Facts) -> Verdict:
    """Ask for one link, and when it is refused, whether only forbids that a person can lift stand in the way."""
    uid, slice_ = found.slice(link, action)
    question = cedar.Question(uid, action.name, (action.resource.type, action.resource.id), context.build(slice_.plan, facts))
    answer = found.evaluate(slice_, question)
    policies = tuple(slice_.policies[name] for name in answer.reasons)
    if answer.errors or answer.is_allowed or not policies:
        return Verdict(link, answer.is_allowed and not answer.errors, policies, answer.errors)
    if not any(policy.approval for policy in policies):
        return Verdict(link, False, policies)
    firm = cedar.evaluate(slice_.firm, found.graph.handle, question)
    permits = tuple(slice_.policies[name] for name in firm.reasons) if firm.is_allowed else ()
    return Verdict(link, False, policies, firm.errors, permits, is_requestable=firm.is_allowed and not firm.errors)


def _could(found: Snapshot, link: Principal, action: Action, facts: context.Facts) -> bool:
    """Say whether some arguments, origins and approval would let this link through."""
    uid, slice_ = found.slice(link, action)
    if not any(policy.effect == "permit" for policy in slice_.policies.values()):
        return False
    for approved in (False, True) if any(name == "approval" for name, _ in slice_.plan) else (False,):
        built = context.unknown(slice_.plan, facts, approval=approved)
        question = cedar.Question(uid, action.name, (action.resource.type, action.resource.id), built)
        answer = cedar.evaluate_partly(slice_.firm, found.graph.handle, question)
        if not answer.errors and (answer.is_allowed or answer.is_open):
            return True
    return False


def _unfit(found: Review, version: PolicyVersion, schema: PolicySchema) -> list[tuple[Policy, str]]:
    """Return the policies that fitted the schema they were applied with and do not fit this one."""
    lost = [(policy, f"`{action}` lost its argument `{name}`") for policy, action, name in _lost(found.policies, version, schema)]
    if not found.is_sound and (found.is_broken or version.schema in ("", schema.revision)):
        raise found.error()
    return [*((policy, str(problem)) for policy, problem in found.misfits), *lost]


def _lost(policies: Sequence[Policy], version: PolicyVersion, schema: PolicySchema) -> Iterator[tuple[Policy, str, str]]:
    """Yield each argument that a policy looks at and that an action it covers had when the version was applied."""
    for policy in policies:
        named = {path[1] for path in mentions(policy.node) if path[:1] == ("arguments",) and len(path) > 1}
        for action in sorted(actions_of(policy, schema)) if named else ():
            before = version.actions.get(action, ("",))[1:]
            for name in sorted(named.intersection(before).difference(schema.actions[action].fields.shapes)):
                yield policy, action, name


def _blocked(unfit: Sequence[tuple[Policy, str]], version: PolicyVersion, schema: PolicySchema) -> dict[str, tuple[str, ...]]:
    """Return the changed actions that an unfit policy covers: nobody knows what it would say of them."""
    blocked: dict[str, tuple[str, ...]] = {}
    for policy in {policy.id: policy for policy, _ in unfit}.values():
        for name in actions_of(policy, schema):
            shape = schema.actions[name]
            if shape.is_tool and version.actions.get(name, ("",))[0] != shape.digest:
                blocked[name] = (*blocked.get(name, ()), policy.id)
    return blocked


def _unavailable(why: str, revision: str = "") -> Decision:
    return Decision(Effect.DENY, "unavailable", (), (why,), revision, remedy="an operator must look at the policy engine")
