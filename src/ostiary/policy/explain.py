"""May X do Y to Z: the answer, and the lines of policy that say so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ostiary.core.action import Action
from ostiary.core.decision import Decision
from ostiary.core.errors import Invalid
from ostiary.core.subject import Session
from ostiary.policy import cedar, context
from ostiary.policy.cases import Case
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.slicing import Link
from ostiary.policy.snapshot import Snapshot
from ostiary.policy.verdict import crossing


@dataclass(frozen=True, slots=True)
class Line:
    """A policy that says so, where it stands, and for which links of the chain."""

    policy: str
    effect: str
    file: str
    line: int
    text: str
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer for people. `effect` is `allow`, `deny`, `hold`, or `depends` on arguments that were not given."""

    effect: str
    sentence: str
    lines: tuple[Line, ...]
    decision: Decision | None = None


def explain(engine: PolicyEngine, case: Case) -> Explanation:
    """Answer a case by the snapshot that decides now. Raises Invalid and NotFound for names that mean nothing."""
    if not case.chain:
        raise Invalid("say who asks: `user:alice`, `agent:invoice-bot`")
    found = engine.snapshot
    action, session = case.asked(found.schema), case.session(found.registry)
    if case.arguments is None:
        return _without_arguments(engine, found, session, action, case)
    decision = engine.decide(session, action, case.traced, case.about)
    sentence = _sentence(decision.effect.value, session, action, "; ".join((*decision.reasons, decision.remedy)))
    return Explanation(decision.effect.value, sentence, _deciding(found, session, action, decision.policies), decision)


def _without_arguments(engine: PolicyEngine, found: Snapshot, session: Session, action: Action, case: Case) -> Explanation:
    """Answer with arguments, origins and content open; certain only where they do not matter."""
    links = found.chain(session.subject.chain, action).links
    answers = [_partly(found, session, link, action, case) for link in links]
    certain = not any(answer.is_open or answer.errors for answer in answers)
    reasons = [name for answer in answers for name in answer.reasons]
    forbids = [name for name in reasons if found.policies[name].effect == "forbid"]
    if not engine.may_see(session, action):
        effect, names = "deny", forbids
    elif not certain:
        effect, names = "depends", [*reasons, *(name for answer in answers for name in answer.residuals)]
    else:
        effect, names = ("hold", forbids) if forbids else ("allow", reasons)
    why = "" if names else _lacking(links)
    return Explanation(effect, _sentence(effect, session, action, why), _deciding(found, session, action, names))


def _lacking(links: Sequence[Link]) -> str:
    """Say why nothing answers for a chain: a zone that nobody names, or no permit."""
    if all(link.slice.permits for link in links) and (shut := [(link.principal, link.entering) for link in links if not link.permits]):
        return "; ".join(crossing(shut))
    return "no policy permits it to every link of the chain"


def _partly(found: Snapshot, session: Session, link: Link, action: Action, case: Case) -> cedar.Answer:
    facts = context.Facts(session, case.about, case.origins, {}, ())
    built = context.unknown(link.slice.plan, facts, approval=False)
    question = cedar.Question(link.uid, action.name, (action.resource.type, action.resource.id), built)
    return cedar.evaluate_partly(link.slice.whole, found.graph.handle, question)


def _deciding(found: Snapshot, session: Session, action: Action, names: Iterable[str]) -> tuple[Line, ...]:
    lines = []
    chain = found.chain(session.subject.chain, action).links
    for name in dict.fromkeys(names):
        policy = found.policies[name]
        links = tuple(f"{link.principal.kind}:{link.principal.name}" for link in chain if name in link.slice.policies)
        lines.append(Line(policy.id, policy.effect, policy.file, policy.line, policy.text, links))
    return tuple(lines)


def _sentence(effect: str, session: Session, action: Action, why: str) -> str:
    who = " for ".join(f"{link.kind} `{link.name}`" for link in reversed(session.subject.chain))
    said = {
        "allow": "may",
        "deny": "may not",
        "hold": "may, once a person approves,",
        "depends": "may, depending on arguments and where they come from,",
    }[effect]
    return f"{who} {said} do `{action.name}` on `{action.resource}`" + (f": {why}" if why else "")
