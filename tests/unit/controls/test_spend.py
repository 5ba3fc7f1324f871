"""A budget of money: reserved before, charged after, never overdrawn by calls that run at once (R-B1)."""

from typing import Any

import pytest

from ostiary.controls.spend import Spend
from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.core.registry import Model, Registry
from ostiary.core.subject import Limits, Principal, PrincipalKind, Session, Subject


class Source:
    """A registry with a dear model and a free one."""

    registry = Registry(models={
        "dear": Model("dear", "openai", "u", input_price=1_000_000, output_price=2_000_000),
        "free": Model("free", "openai", "u"),
    })  # fmt: skip


def session(spend: int | None = 10_000) -> Session:
    return Session("s", Subject((Principal("a", PrincipalKind.AGENT, "a"),)), (), "p", 0, 1, Limits(spend=spend))


def call(where: Session, model: str = "dear", **arguments: Any) -> Passage:
    action = Action(Boundary.AGENT_MODEL, "generate", "generate", Resource("Model", model), f"model:{model}", {"messages": [], **arguments})
    return Passage(Credential("t", "openai"), session=where, action=action)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 60}},
        {"input_tokens": 80, "output_tokens": 50, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 13},
    ],
)
def test_what_the_upstream_says_is_charged(usage: dict[str, int]) -> None:
    spend, where = Spend(Source()), session()
    passage = call(where, max_tokens=100)
    assert spend.reserve(passage) is None
    spend.charge(passage, {"usage": usage})
    assert where.state.spent == passage.cost == 100 * 1 + 50 * 2


def test_calls_at_once_cannot_overdraw() -> None:
    spend, where = Spend(Source()), session(1000)
    passages = [call(where, max_tokens=200) for _ in range(5)]
    admitted = [passage for passage in passages if spend.reserve(passage) is None]
    assert len(admitted) == 2
    refusal = spend.reserve(passages[-1])
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("budget_spent", 429)
    for passage in admitted:
        spend.charge(passage, {"usage": {"prompt_tokens": 10, "completion_tokens": 200}})
    assert where.state.spent == 820
    assert spend.reserve(call(where, max_tokens=200)) is not None
    assert spend.reserve(call(where, max_tokens=50)) is None


def test_several_answers_are_set_aside_together() -> None:
    spend, where = Spend(Source()), session(1000)
    assert spend.reserve(call(where, max_tokens=200, n=5)) is not None
    assert spend.reserve(call(where, max_tokens=200, n=2)) is None


def test_what_never_ran_costs_nothing_and_frees_what_was_set_aside() -> None:
    spend, where = Spend(Source()), session(500)
    passage = call(where, max_tokens=200)
    assert spend.reserve(passage) is None
    assert spend.reserve(call(where, max_tokens=200)) is not None
    spend.charge(passage, None)
    assert where.state.spent == 0
    assert spend.reserve(call(where, max_tokens=200)) is None


@pytest.mark.parametrize("content", [{}, {"choices": [{"text": "x" * 3000}]}, {"usage": {"prompt_tokens": -5, "completion_tokens": True}}])
def test_an_upstream_that_does_not_say_is_charged_by_size(content: dict[str, Any]) -> None:
    spend, where = Spend(Source()), session()
    passage = call(where)
    passage.action = call(where, prompt="y" * 300).action
    spend.charge(passage, content)
    assert where.state.spent >= 100


def test_a_free_model_and_a_session_without_a_budget_are_not_held_up() -> None:
    spend = Spend(Source())
    assert spend.reserve(call(session(0), "free")) is None
    where = session(None)
    assert spend.reserve(call(where)) is None
    spend.charge(call(where), {"usage": {"prompt_tokens": 5, "completion_tokens": 5}})
    assert where.state.spent == 15


def test_an_unbounded_answer_needs_room_for_one() -> None:
    assert Spend(Source()).reserve(call(session(5000))) is not None
    assert Spend(Source()).reserve(call(session(9000))) is None
