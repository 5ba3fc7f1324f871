"""Reach and decide agree: nothing a request could be allowed or held for is missing, and what is certain is certain."""

from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ostiary.core.action import Action, Origins
from ostiary.core.decision import Context, Effect
from ostiary.core.subject import PrincipalKind, Session
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.reach import Reaches, Touch, Way
from ostiary.policy.version import PolicyVersion
from tests.property.test_slicing import OVER, policies, requests

ALL = ("tool:*/*",)
WORLD = replace(OVER, agents={name: replace(agent, autonomous=True, scopes=ALL) for name, agent in OVER.agents.items()})


def way(touched: dict[str, Touch], action: str, user: str) -> Way | None:
    found = touched.get(action)
    return next((each for each in found.ways if (user in each.through if user else not each.through)), None) if found else None


@settings(
    max_examples=100,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(policies(), st.lists(requests(), min_size=4, max_size=12))
def test_reach_agrees_with_every_decision(text: str, asked: list[tuple[Session, Action, Origins, Context]]) -> None:
    """R-P5: for any policies, session, arguments, origins and approval."""
    engine = PolicyEngine()
    engine.load(WORLD, PolicyVersion({"a.cedar": text}))
    open_ = {(agent, user) for agent in WORLD.agents for user in ("", *WORLD.users)}
    reaches = Reaches(engine.snapshot, lambda _agent, _scopes: True, open_)
    touched = {name: {t.target.action: t for t in reaches.of_agent(agent)} for name, agent in WORLD.agents.items()}
    people = {name: {t.target.action: t for t in reaches.of_user(user)} for name, user in WORLD.users.items()}
    for opened, action, origins, about in asked:
        actor, user = opened.subject.actor, opened.subject.user
        if actor.kind is not PrincipalKind.AGENT:
            continue
        decision = engine.decide(opened, action, origins, about)
        found = way(touched[actor.name], action.name, user.name if user else "")
        if decision.effect is not Effect.DENY:
            assert found is not None
            assert set(decision.policies) <= set(found.policies) or decision.effect is Effect.HOLD
            assert user is None or way(people[user.name], action.name, actor.name) is not None
        if found is not None and found.effect == "allow":
            assert decision.effect is Effect.ALLOW or decision.code == "unavailable"
        if found is not None and found.effect == "hold" and about.approval is None:
            assert decision.effect is Effect.HOLD
