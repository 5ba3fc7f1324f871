"""Decides: every link of the chain is asked, and all must be allowed. Never allows when anything was wrong."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ostiary.core.action import Action, Origins
from ostiary.core.decision import Context, Decision, Effect
from ostiary.core.errors import EngineUnavailable, InvalidAction
from ostiary.core.registry import Registry
from ostiary.core.subject import Principal, Session
from ostiary.policy import cedar, context
from ostiary.policy.entities import Uid
from ostiary.policy.obligations import Means
from ostiary.policy.slicing import Chain, Link, Slice, share
from ostiary.policy.snapshot import Snapshot, prepare
from ostiary.policy.verdict import Verdict, combine, hold_to, hold_to_zones, join
from ostiary.policy.version import PolicyVersion

log = logging.getLogger("ostiary.policy")


class PolicyEngine:
    """The policy decision point (`core.ports.PolicyEngine`). Until something is loaded, nothing is allowed."""

    def __init__(self, means: Means | None = None, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._snapshot: Snapshot | None = None
        self.means = means or Means()
        """What obligations can be carried out with: a version that demands more is refused, and a decision denied."""
        self._obligations = self.means.obligations
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
        self.swap(prepare(registry, policies, self._snapshot, self.means))

    def swap(self, ready: Snapshot) -> None:
        """Decide by `ready` from now on; requests under way keep the snapshot they began with."""
        self._snapshot = ready

    def halt(self) -> None:
        """Allow nothing until something is loaded again."""
        self._snapshot = None

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
            shape = found.shape(action)
            if shape is None or not shape.is_accepted or action.name in found.fitting.blocked or not found.knows(session.subject.chain):
                return False
            facts = context.Facts(session, Context(self._clock_ns() / 1e9), Origins(), {}, ())
            return all(_might(each, session.subject.chain, action, facts) for each in _with_lent_roles(found, session))
        except Exception:
            log.exception("the policy engine failed, so a listing leaves the action out")
            return False

    def _decide(self, found: Snapshot, session: Session, action: Action, origins: Origins, about: Context) -> Decision:
        revision = found.version.revision
        shape = found.shape(action)
        if shape is None or not found.knows(session.subject.chain):
            return combine(revision, [], action, origins, self._obligations)
        if not shape.is_accepted:
            return Decision(Effect.DENY, "quarantined", revision=revision, remedy="an operator must accept the tool's definition")
        if (unfit := found.fitting.blocked.get(action.name)) is not None:
            why = f"`{action.name}` changed, and policy {', '.join(unfit)} no longer fits it"
            return Decision(Effect.DENY, "unavailable", unfit, (why,), revision, remedy="an operator must mend the policy")
        facts = context.Facts(
            session, about, origins, shape.fields.convert(action.arguments), action.arguments.keys(), found.graph.networks
        )
        asked = [(each, each.chain(session.subject.chain, action)) for each in _with_lent_roles(found, session)]
        decision = self._over(asked, action, facts)
        watching = found.watched(session.subject.chain, action)
        return decision if watching is None else self._watched([(found, watching), *asked[1:]], action, facts, decision)

    def _over(self, asked: Sequence[tuple[Snapshot, Chain]], action: Action, facts: context.Facts) -> Decision:
        """Decide by the policies that matter to each link of a chain."""
        approval, session = facts.context.approval, facts.session
        revision = asked[0][0].version.revision
        decision = combine(revision, _ask_all(asked, action, facts), action, facts.origins, self._obligations)
        if approval is None or decision.effect is not Effect.ALLOW:
            return decision
        bare = context.Facts(session, replace(facts.context, approval=None), facts.origins, facts.arguments, facts.given, facts.networks)
        return hold_to(decision, _ask_all(asked, action, bare), approval, session)

    def _watched(self, asked: Sequence[tuple[Snapshot, Chain]], action: Action, facts: context.Facts, decision: Decision) -> Decision:
        """Note on a decision what it would have been with the policies that only watch; it stays what it is."""
        try:
            would = self._over(asked, action, facts)
        except Exception:
            log.exception("a policy that only watches failed; as one that decides it would have denied")
            return replace(decision, shadow=Effect.DENY.value)
        if would.effect is decision.effect and set(would.policies) == set(decision.policies):
            return decision
        return replace(decision, shadow=would.effect.value, shadow_policies=would.policies)


def _with_lent_roles(found: Snapshot, session: Session) -> tuple[Snapshot, ...]:
    """Return what decides for a session. One that was lent fewer roles is asked with all of them and with those: a role can forbid too."""
    return (found,) if session.roles is None else (found, found.narrowed(session.subject.chain, session.roles))


def _ask_all(asked: Sequence[tuple[Snapshot, Chain]], action: Action, facts: context.Facts) -> list[Verdict]:
    """Ask for every link; once for each group that has approved, as a policy sees one approval at a time."""
    approval = facts.context.approval
    if approval is None or not approval.also:
        return [verdict for found, chain in asked for verdict in ask(found, chain, action, facts)]
    told = []
    for each in approval.each:
        about = context.Facts(
            facts.session, replace(facts.context, approval=each), facts.origins, facts.arguments, facts.given, facts.networks
        )
        told.append([(each, verdict) for found, chain in asked for verdict in ask(found, chain, action, about)])
    return [join(of_link) for of_link in zip(*told, strict=True)]


def ask(found: Snapshot, chain: Chain, action: Action, facts: context.Facts) -> list[Verdict]:
    """Ask for every link; where one question answers for all of them, once."""
    whole = found.evaluate(chain.union, _question(chain.links[-1].uid, chain.union, action, facts)) if chain.union else None
    return [hold_to_zones(_ask(found, link, action, facts, whole), link) for link in chain.links]


def _ask(found: Snapshot, link: Link, action: Action, facts: context.Facts, whole: cedar.Answer | None) -> Verdict:
    """Ask for one link, and when it is refused, whether only forbids that a person can lift stand in the way."""
    answer = share(whole, link.slice) or found.evaluate(link.slice, _question(link.uid, link.slice, action, facts))
    policies = tuple(link.slice.policies[name] for name in answer.reasons)
    if answer.errors or answer.is_allowed or not any(policy.approval for policy in policies):
        return Verdict(link.principal, answer.is_allowed and not answer.errors, policies, answer.errors)
    firm = cedar.evaluate(link.slice.firm, found.graph.handle, _question(link.uid, link.slice, action, facts))
    permits = tuple(link.slice.policies[name] for name in firm.reasons) if firm.is_allowed else ()
    return Verdict(link.principal, False, policies, firm.errors, permits, is_requestable=firm.is_allowed and not firm.errors)


def _question(uid: Uid, slice_: Slice, action: Action, facts: context.Facts) -> cedar.Question:
    return cedar.Question(uid, action.name, (action.resource.type, action.resource.id), context.build(slice_.plan, facts))


def _might(found: Snapshot, links: Sequence[Principal], action: Action, facts: context.Facts) -> bool:
    chain = found.chain(links, action)
    if chain.union is not None and not _could(found, chain.union, chain.links, action, facts):
        return False
    # What is unknown to the union can hide that a policy of one link cannot be evaluated at all.
    return all(_could(found, link.slice, (link,), action, facts) for link in chain.links)


def _could(found: Snapshot, slice_: Slice, links: Sequence[Link], action: Action, facts: context.Facts) -> bool:
    """Say whether some arguments, origins and approval would let these links through."""
    if not all(link.permits for link in links):
        return False
    for approved in (False, True) if any(name == "approval" for name, _ in slice_.plan) else (False,):
        built = context.unknown(slice_.plan, facts, approval=approved)
        answer = found.preview(slice_, cedar.Question(links[-1].uid, action.name, (action.resource.type, action.resource.id), built))
        holding = slice_.permits.intersection((*answer.reasons, *answer.residuals))
        is_forbidden = not slice_.permits.issuperset(answer.reasons)
        if not answer.errors and not is_forbidden and all(link.permits & holding for link in links):
            return True
    return False


def _unavailable(why: str, revision: str = "") -> Decision:
    return Decision(Effect.DENY, "unavailable", (), (why,), revision, remedy="an operator must look at the policy engine")
