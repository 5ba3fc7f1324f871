"""From what each link was told to one decision: who is refused, why, and what would change it."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ostiary.core.action import Action, Origins
from ostiary.core.decision import Approval, ApprovalRule, Decision, Effect
from ostiary.core.quick import quick
from ostiary.core.subject import Principal, PrincipalKind, Session
from ostiary.policy.obligations import add_up
from ostiary.policy.slicing import Link
from ostiary.policy.source import Policy

log = logging.getLogger("ostiary.policy")

_FAILED = re.compile(r"\Aerror while evaluating policy `([^`]+)`")
_FROM = {
    "untrusted": "from somebody's text",
    "model": "from the model itself",
    "lent": "from a source the user lent trust",
    "derived": "from a computation",
    "attested": "from a system of record",
    "directory": "from a trusted list",
    "user": "from the user",
}
ORIGINS = frozenset(_FROM)
"""Every origin that an argument can have."""


@quick
@dataclass(frozen=True, slots=True)
class Verdict:
    """What one link of the chain was told."""

    link: Principal
    is_allowed: bool
    policies: tuple[Policy, ...] = ()
    """The policies that decided: permits of an allow, forbids of a deny."""
    errors: tuple[str, ...] = ()
    permits: tuple[Policy, ...] = ()
    """Of a requestable deny: what permits it once the forbids are lifted."""
    is_requestable: bool = False
    entering: frozenset[str] = frozenset()
    """The zones that stand in the way: nothing that permits the action names them."""


def combine(revision: str, verdicts: Sequence[Verdict], action: Action, origins: Origins, known: frozenset[str]) -> Decision:
    """Return the decision over all links: the narrowest wins, an error beats everything."""
    if any(verdict.errors for verdict in verdicts):
        return _failed(revision, verdicts)
    if not verdicts:
        return Decision(Effect.DENY, "not_granted", revision=revision, remedy=_grant(action))
    refused = [verdict for verdict in verdicts if not verdict.is_allowed and not verdict.is_requestable]
    if refused:
        standing = [policy for verdict in verdicts if not verdict.is_allowed for policy in verdict.policies]
        return _deny(revision, refused, standing, action, origins)
    permits = [policy for verdict in verdicts for policy in (verdict.policies if verdict.is_allowed else verdict.permits)]
    demanded = [obligation for policy in permits for obligation in policy.obligations]
    obligations = add_up(*demanded) if demanded else ()
    if strange := [obligation.name for obligation in obligations if obligation.name not in known]:
        why = f"nothing here can carry out the obligation `{strange[0]}`"
        return Decision(Effect.DENY, "unavailable", _ids(permits), (why,), revision, remedy="an operator must mend the policy")
    held = [policy for verdict in verdicts if verdict.is_requestable for policy in verdict.policies]
    if held:
        rules = _rules(held)
        named = _named(held, origins)
        reasons = (*_because(held), *(came_from(name, origins) for name in named))
        return Decision(Effect.HOLD, "held", _ids(held), reasons, revision, obligations, rules, _ask(rules), named)
    return Decision(Effect.ALLOW, "", _ids(permits), _because(permits), revision, obligations)


def hold_to(decision: Decision, before: Sequence[Verdict], approval: Approval, session: Session) -> Decision:
    """Return an allow that an approval made possible, or the hold it still is when it is not the approval asked for.

    `before` is what the links are told without it. A policy's `unless` may be looser than its annotations; the stricter
    of both holds.
    """
    lifted = [policy for verdict in before if not verdict.is_allowed for policy in verdict.policies]
    unmet = [policy for policy in lifted if policy.approval is not None and not _is_met(policy.approval, approval.each, session)]
    if not unmet:
        return decision
    rules = _rules(unmet)
    return replace(
        decision, effect=Effect.HOLD, code="held", policies=_ids(unmet), reasons=_because(unmet), approvals=rules, remedy=_ask(rules)
    )


def join(told: Sequence[tuple[Approval, Verdict]]) -> Verdict:
    """Return what a link is told when several groups have approved, from what each one's yes by itself makes of it.

    A forbid is lifted by the yes of its own group alone; what refuses under any of them refuses.
    """
    verdicts = [verdict for _, verdict in told]
    if (
        firm := next((verdict for verdict in verdicts if verdict.errors or not (verdict.is_allowed or verdict.is_requestable)), None)
    ) is not None:
        return firm
    groups = {given.group for given, _ in told}
    standing = {
        policy.id: policy
        for given, verdict in told
        for policy in (() if verdict.is_allowed else verdict.policies)
        if policy.approval is None or policy.approval.group == given.group or policy.approval.group not in groups
    }
    permits = {policy.id: policy for each in verdicts for policy in (each.policies if each.is_allowed else each.permits)}
    if standing:
        return replace(
            verdicts[0], is_allowed=False, policies=tuple(standing.values()), permits=tuple(permits.values()), is_requestable=True
        )
    return replace(verdicts[0], is_allowed=True, policies=tuple(permits.values()), permits=(), is_requestable=False)


def _is_met(rule: ApprovalRule, approvals: Sequence[Approval], session: Session) -> bool:
    """Say whether one is of the rule's group, by enough people, and none of them barred."""
    user, owners = session.subject.user, session.subject.owners
    barred = {"user": {user.name} if user else owners, "owner": owners}
    kept_out = frozenset[str]().union(*(barred[who] for who in rule.four_eyes))
    return any(each.group == rule.group and each.by.isdisjoint(kept_out) and len(each.by) >= rule.quorum for each in approvals)


def _failed(revision: str, verdicts: Sequence[Verdict]) -> Decision:
    errors = dict.fromkeys(error for verdict in verdicts for error in verdict.errors)
    log.error("a policy could not be evaluated: %s", "; ".join(errors))
    failed = tuple(dict.fromkeys(name for error in errors for name in _FAILED.findall(error)))
    why = f"{' and '.join(f'`{name}`' for name in failed) or 'a policy'} could not be evaluated, so nothing is allowed"
    return Decision(Effect.DENY, "unavailable", failed, (why,), revision, remedy="an operator must mend the policy")


def hold_to_zones(verdict: Verdict, link: Link) -> Verdict:
    """Return what a link was told, or its refusal when it enters a zone that nothing which permits it names."""
    if not link.entering or not (verdict.is_allowed or verdict.is_requestable):
        return verdict
    permits = verdict.policies if verdict.is_allowed else verdict.permits
    if any(policy.id in link.permits for policy in permits):
        return verdict
    forbids = () if verdict.is_allowed else verdict.policies
    return replace(verdict, is_allowed=False, is_requestable=False, policies=forbids, permits=(), entering=link.entering)


def crossing(links: Iterable[tuple[Principal, frozenset[str]]]) -> tuple[str, str]:
    """Return why zones stand in the way of some links, and what would change it."""
    found = list(links)
    who = " and ".join("the user" if link.kind is PrincipalKind.USER else f"{link.kind} `{link.name}`" for link, _ in found)
    zones = sorted(frozenset().union(*(zones for _, zones in found)))
    named = " and ".join(f"`{zone}`" for zone in zones)
    spelled = " or ".join(f'`resource in Zone::"{zone}"`' for zone in zones)
    return (
        f"{who} would enter zone {named}, and no policy that permits it names that zone",
        f"an operator can write {spelled} into a policy that permits it, or put who acts and what is acted on into one zone",
    )


def _deny(revision: str, refused: Sequence[Verdict], standing: Sequence[Policy], action: Action, origins: Origins) -> Decision:
    """Return the refusal of what nothing permits to some link, or something forbids; `standing` are all forbids that apply."""
    if all(verdict.entering for verdict in refused):
        why, remedy = crossing((verdict.link, verdict.entering) for verdict in refused)
        return Decision(Effect.DENY, "forbidden", (), (why,), revision, remedy=remedy)
    forbids = [policy for verdict in refused for policy in verdict.policies if policy.approval is None]
    if not forbids:
        return Decision(Effect.DENY, "not_granted", _ids(standing), revision=revision, remedy=_grant(action))
    ids, reasons = _ids(forbids), _because(forbids)
    if named := _named(forbids, origins):
        reasons = (*reasons, *(came_from(name, origins) for name in named))
        return Decision(Effect.DENY, "untrusted_argument", ids, reasons, revision, remedy=_acceptable(named, origins), arguments=named)
    return Decision(
        Effect.DENY, "forbidden", ids, reasons, revision, remedy=f"no approval lifts {', '.join(ids)}: its reason says when it applies"
    )


def _named(forbids: Iterable[Policy], origins: Origins) -> tuple[str, ...]:
    """Return the arguments whose origin these policies may have looked at."""
    return tuple(sorted(origins.unsafe)) if origins.unsafe and any(policy.reads_origin for policy in forbids) else ()


def came_from(name: str, origins: Origins) -> str:
    """Say where an argument came from, and in which answer its value was seen."""
    seen = origins.sources.get(name, "")
    where = f", seen in the answer of `{seen}`" if "/" in seen else f": {seen}" if seen.startswith(("one of", "a deed")) else ""
    return f"`{name}` came {_FROM.get(origins.arguments.get(name, 'untrusted'), 'from elsewhere')}{where}"


def _acceptable(named: Sequence[str], origins: Origins) -> str:
    """Name each argument, where it came from, and what would make it acceptable."""
    found = "; ".join(came_from(name, origins) for name in named)
    lend = any("/" in origins.sources.get(name, "") for name in named)
    ways = ["the user names it in their own request", "it stands in a trusted list"]
    ways += ["the user lends trust to where it stands (ostiary session lend)"] if lend else []
    return f"argument {found}: acceptable when {', or '.join(ways)}"


def _grant(action: Action) -> str:
    """Say what is missing; the same words whether or not the thing exists."""
    return f"a policy must permit `{action.name}` to each of the user and agents acting: an operator can add one"


def _ask(rules: Sequence[ApprovalRule]) -> str:
    return "; ".join(dict.fromkeys(f"{_count(rule.quorum)} of `{rule.group}` must approve it" for rule in rules))


def _count(quorum: int) -> str:
    return "a member" if quorum == 1 else f"{quorum} members"


def _rules(held: Iterable[Policy]) -> tuple[ApprovalRule, ...]:
    return tuple({policy.id: policy.approval for policy in held if policy.approval is not None}.values())


def _ids(policies: Iterable[Policy]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(policy.id for policy in policies))


def _because(policies: Iterable[Policy]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(policy.because for policy in policies if policy.because))
