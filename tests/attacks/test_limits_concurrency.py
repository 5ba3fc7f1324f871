"""Rates and budgets hold under concurrency, clock games and floods of keys; a refused action costs nothing."""

import asyncio

import pytest

from ostiary.controls import limits
from ostiary.controls.limits import Limits, Meter, Rate
from ostiary.core.action import Resource
from ostiary.core.decision import Decision, Effect, Obligation
from ostiary.core.errors import InvalidConfig
from ostiary.core.registry import Api, Model, Registry, Server
from ostiary.core.subject import Limits as Budget
from tests.support.controls import Held, Ticks, controls, passage, registry, session

RATED = Held(
    Registry(
        models={"gpt": Model("gpt", "openai", "http://x", rate="10/s")},
        servers={"mail": Server("mail", rate="3/min")},
        apis={"bank": Api("bank", "https://x", rate="2/s")},
    )
)
GPT = Resource("Model", "gpt")


async def test_budget_is_exact_when_spent_concurrently() -> None:
    """R-K3: of 200 concurrent actions a budget of 50 admits 50."""
    kept, one = Limits(RATED, Ticks()), session("s", Budget(actions=50))

    async def act() -> bool:
        await asyncio.sleep(0)
        admitted = kept.admit(one, Resource("Tool", "files/read")) is None
        await asyncio.sleep(0)
        return admitted

    outcomes = await asyncio.gather(*(act() for _ in range(200)))
    assert sum(outcomes) == 50
    assert one.state.actions == 50


def test_rate_admits_its_count_and_then_one_each_step() -> None:
    """R-K3: ten a second."""
    clock = Ticks()
    kept, one = Limits(RATED, clock), session()
    assert [kept.admit(one, GPT) for _ in range(10)] == [None] * 10
    refusal = kept.admit(one, GPT)
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("rate_limited", 429)
    assert refusal.retry_after_s == pytest.approx(0.1)
    clock.forward(refusal.retry_after_s or 0)
    assert kept.admit(one, GPT) is None
    assert kept.admit(one, GPT) is not None
    clock.forward(3600)
    assert [kept.admit(one, GPT) for _ in range(11)].count(None) == 10


def test_waiting_as_told_is_enough() -> None:
    """R-K3: the time a refusal gives is true."""
    clock = Ticks()
    kept, one = Limits(RATED, clock), session()
    for _ in range(40):
        refusal = kept.admit(one, Resource("Tool", "mail/send"))
        if refusal is not None:
            clock.forward((refusal.retry_after_s or 0) + 0.001)
            assert kept.admit(one, Resource("Tool", "mail/send")) is None


def test_upstreams_are_shared_and_sessions_are_not() -> None:
    """R-K3: another session does not get a second helping of an upstream; a session's own rate is its own."""
    clock = Ticks()
    kept = Limits(RATED, clock, principal="4/s", session="2/s")
    a, b, c = session("a", agent="x"), session("b", agent="x"), session("c", agent="y")
    tool = Resource("Tool", "files/read")
    assert [kept.admit(a, tool) is None for _ in range(3)] == [True, True, False]
    assert [kept.admit(b, tool) is None for _ in range(3)] == [True, True, False]
    assert kept.admit(session("d", agent="x"), tool) is not None
    assert kept.admit(c, tool) is None
    shared = Limits(RATED, clock)
    assert [shared.admit(session(str(n)), Resource("Operation", "bank/GET /a")) is None for n in range(3)] == [True, True, False]


def test_refused_action_takes_from_nothing() -> None:
    """R-K3: being refused by one limit does not use up another, nor the budget."""
    clock = Ticks()
    kept = Limits(RATED, clock, session="100/s")
    one = session("s", Budget(actions=100))
    for _ in range(20):
        kept.admit(one, Resource("Tool", "mail/send"))
    assert one.state.actions == 3
    assert [kept.admit(one, Resource("Tool", "files/read")) is None for _ in range(97)].count(True) == 97


def test_content_refusal_counts_no_action() -> None:
    """R-K3: only what is admitted counts."""
    set_ = controls()
    made = passage({"body": "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz12A"}, of=session("s", Budget(actions=1)))
    assert set_.inspect(made) is None
    assert set_.shape(made) is not None
    assert made.acting[0].state.actions == 0


def test_clock_set_back_gives_nothing() -> None:
    """R-K3: time that goes backwards opens no door."""
    clock = Ticks()
    kept, one = Limits(RATED, clock), session()
    for _ in range(10):
        kept.admit(one, GPT)
    clock.ns -= 10**12
    assert kept.admit(one, GPT) is not None


def test_flood_of_keys_is_bounded_and_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-K3: many sessions cannot fill the memory, nor push out counters that still hold somebody back."""
    monkeypatch.setattr(limits, "MAX_KEYS", 100)
    clock = Ticks()
    meter, rate = Meter(clock), Rate(1, 60.0)
    taken = [meter.take([(f"k{n}", rate)]) for n in range(150)]
    assert taken[:100] == [None] * 100
    assert all(item is not None for item in taken[100:])
    assert len(meter) == 100
    clock.forward(61)
    assert meter.take([("new", rate)]) is None
    assert len(meter) == 1


def test_spend_budget_stops_the_next_action() -> None:
    """R-K3: spent is spent."""
    kept, one = Limits(RATED, Ticks()), session("s", Budget(spend=1_000_000))
    assert kept.admit(one, GPT) is None
    one.state.spent += 1_000_000
    refusal = kept.admit(one, GPT)
    assert refusal is not None
    assert refusal.code == "budget_spent"


def test_a_restart_is_no_new_budget() -> None:
    """R-K3: what was used comes back with the session, so a new process refuses what the old one would have."""
    one = session("s", Budget(actions=5))
    one.state.actions = 5
    assert Limits(RATED, Ticks()).admit(one, GPT) is not None


@pytest.mark.parametrize("text", ["", "10", "0/s", "-1/s", "10/fortnight", "1.5/s", "10/s/s", "9999999999/s", "１０/s"])
def test_rates_that_mean_nothing_are_refused(text: str) -> None:
    """R-K3: a rate that is not understood is an error, not no limit."""
    with pytest.raises(InvalidConfig):
        Rate.parse(text)


def test_broken_declared_rate_refuses_the_action() -> None:
    """R-K3: nor does it open the upstream."""
    kept = Limits(Held(Registry(models={"gpt": Model("gpt", "openai", "http://x", rate="fast")})), Ticks())
    with pytest.raises(InvalidConfig):
        kept.admit(session(), GPT)


@pytest.mark.parametrize(
    ("name", "values"), [("record", "witnessed"), ("notify", "security"), ("cap", "speed=1"), ("cap", "rows=many"), ("erase", "x")]
)
def test_obligation_nobody_carries_out_refuses(name: str, values: str) -> None:
    """R-S3: an obligation is carried out or the action is refused."""
    set_, made = controls(registry()), passage({"a": "b"})
    made.decision = Decision(Effect.ALLOW, obligations=(Obligation(name, (values,)),))
    refusal = set_.shape(made)
    assert refusal is not None
    assert refusal.code == "unavailable"
    assert made.acting[0].state.actions == 0
