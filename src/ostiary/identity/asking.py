"""What policy says of lending: a person opening a session can be forbidden it; an agent lending on needs to be allowed it."""

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import Context, Decision, Effect, Refusal, refuse
from ostiary.core.ports import PolicyEngine
from ostiary.core.subject import Session
from ostiary.identity.keeper import SessionDocument

UNDECIDED = Decision(Effect.ALLOW)
"""What stands for a decision where there is nothing to ask, or somebody asked before."""


def opening(policy: PolicyEngine | None, session: Session, now: float) -> Refusal | None:
    """Return the refusal of a policy that forbids this session; that none expressly permits it is no obstacle."""
    if policy is None:
        return None
    action = _action("open", "open_session", session.subject.actor.name, session.purpose, session.scopes)
    decision = policy.decide(session, action, Origins(), Context(at=now))
    if decision.effect is Effect.ALLOW or _is_unmentioned(decision):
        return None
    if decision.code == "not_granted":
        remedy = "nobody is asked to approve that a session is opened: an operator can change the policy"
        return refuse("forbidden", "a policy forbids this session", policies=decision.policies, remedy=remedy)
    return _refusal(decision, "a policy forbids this session")


def delegating(policy: PolicyEngine | None, parent: Session, child: SessionDocument, now: float) -> Decision | Refusal:
    """Return the decision that lets `parent` lend on: every link of its chain must be permitted to `delegate` to the agent.

    An agent that lends to itself gives nothing away, so for that it is enough that nothing forbids it.
    """
    if policy is None:
        return refuse("not_granted", "no policy permits to lend on")
    action = delegation(child.agent, child.purpose, child.scopes)
    names = dict.fromkeys(action.arguments, "model")
    decision = policy.decide(parent, action, Origins(names, "model", frozenset(), frozenset(names)), Context(at=now))
    if decision.effect is Effect.ALLOW or (child.agent == parent.subject.actor.name and _is_unmentioned(decision)):
        return decision
    return _refusal(decision, "a policy forbids lending to this agent")


def delegation(agent: str, purpose: str, scopes: tuple[str, ...]) -> Action:
    """Return the action of lending part of a session to an agent."""
    return _action("delegate", "delegate", agent, purpose, scopes)


def _action(verb: str, name: str, agent: str, purpose: str, scopes: tuple[str, ...]) -> Action:
    arguments = {"purpose": purpose, "scopes": list(scopes)}
    scope = f"agent:{agent}" if name == "delegate" else ""
    return Action(Boundary.USER_AGENT, verb, name, Resource("Agent", agent), scope, arguments)


def _is_unmentioned(decision: Decision) -> bool:
    """Say whether nothing permits it and nothing forbids it either: a forbid that an approval would lift stands all the same."""
    return decision.effect is Effect.DENY and decision.code == "not_granted" and not decision.policies


def _refusal(decision: Decision, why: str) -> Refusal:
    code = "forbidden" if decision.effect is Effect.HOLD else decision.code or "forbidden"
    return refuse(code, "; ".join(decision.reasons) or why, policies=decision.policies, remedy=decision.remedy)
