"""Attack: a session lent for one payee and an amount is made to pay another, or more, by the shape of the arguments (R-B1)."""

from dataclasses import replace
from typing import Any

import pytest

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.decision import Refusal
from ostiary.core.errors import InvalidAction
from ostiary.identity.scopes import parse_scope, parse_scopes
from tests.support.identity import Identity, Memory, bot, company, crashed, identity, presented
from tests.support.ports import FixedPolicy

SCOPE = "tool:payments/pay?to=ACME*&amount=..1000"


def pay(tool: str = "payments/pay", **arguments: Any) -> Action:
    return Action(Boundary.AGENT_API, "call_tool", tool, Resource("Tool", tool), f"tool:{tool}", arguments)


async def lent(*scopes: str) -> tuple[Identity, Any]:
    here = await identity(Memory(registry=company(bot(), bot(name="helper"))), policy=FixedPolicy())
    return here, (await here.opened(*scopes)).session


@pytest.mark.parametrize(
    ("arguments", "is_lent"),
    [
        ({"to": "ACME", "amount": 1000}, True),
        ({"to": "ACME GmbH", "amount": 999.99, "memo": "free"}, True),
        ({"to": "ACME", "amount": -5}, True),
        ({"to": ["ACME", "ACME GmbH"], "amount": 1}, True),
        ({"to": "ACME", "amount": 1000.0000001}, False),
        ({"to": "ACME", "amount": 10**400}, False),
        ({"to": "ACME", "amount": float("nan")}, False),
        ({"to": "ACME", "amount": float("-inf")}, False),
        ({"to": "ACME", "amount": "1000"}, False),
        ({"to": "ACME", "amount": True}, False),
        ({"to": "ACME", "amount": None}, False),
        ({"to": "ACME", "amount": {"value": 1}}, False),
        ({"to": "ACME", "amount": [1, 5000]}, False),
        ({"to": "ACME", "amount": []}, False),
        ({"to": "ACME"}, False),
        ({"amount": 1}, False),
        ({}, False),
        ({"to": "acme", "amount": 1}, False),
        ({"to": "EVIL", "amount": 1}, False),
        ({"to": " ACME", "amount": 1}, False),
        ({"to": ["ACME", "EVIL"], "amount": 1}, False),
        ({"to": ["ACME", ["ACME", "EVIL"]], "amount": 1}, False),
        ({"to": [["ACME"], []], "amount": 1}, False),
        ({"to": {"name": "ACME"}, "amount": 1}, False),
        ({"to": "ACME, EVIL", "amount": 1}, False),
        ({"to": "ACME;EVIL", "amount": 1}, False),
        ({"to": "ACME <eve@evil.example>", "amount": 1}, False),
        ({"to": "ACME\nBcc: eve@evil.example", "amount": 1}, False),
        ({"to": "ACME/../EVIL", "amount": 1}, False),
        ({"to": "\uff21CME", "amount": 1}, False),
        ({"To": "ACME", "to": "EVIL", "amount": 1}, False),
        ({"to": ["ACME"] * 2000, "amount": 1}, False),
    ],
)
async def test_only_what_was_lent_is_in_scope(arguments: dict[str, Any], is_lent: bool) -> None:
    here, session = await lent(SCOPE)
    refusal = here.sessions.in_scope(session, pay(**arguments))
    assert (refusal is None) == is_lent
    assert here.sessions.reaches(session, pay())
    if refusal is not None:
        assert refusal.code == "out_of_scope"
    await here.stop()


@pytest.mark.parametrize(
    ("pattern", "value", "is_lent"),
    [
        ("path=/home/alice/*", "/home/alice/notes.txt", True),
        ("path=/home/alice/*", "/home/alice/../bob/keys", False),
        ("path=/home/alice/*", "/home/alice/..", False),
        ("path=/home/alice/*", "/home/alice/..\\bob", False),
        ("path=/home/alice/*", "/home/alice/a..b", True),
        ("path=*@corp.example", "eve@evil.example,a@corp.example", False),
        ("path=*@corp.example", "bob@corp.example", True),
        ("path=*@corp.example", "bob@corp.example.evil.example", False),
        ("path=*@corp.example", "a" * 3000 + "@corp.example", False),
        ("path=a*b", "ab", True),
        ("path=ab*b", "ab", False),
        ("path=a*b*c", "a-b-b-c", True),
        ("path=a*b*c", "a,b-c", False),
        ("path=a*b*c", "a-b\u2028c", False),
        ("path=5..5", 5, True),
        ("path=5..5", "5", False),
        ("path=5", 5, False),
        ("path=0.1..0.1", 0.1, True),
        ("path=1%2E%2E2", "1..2", True),
    ],
)
async def test_stars_and_ranges_take_no_more_than_they_say(pattern: str, value: Any, is_lent: bool) -> None:
    here, session = await lent(f"tool:files/read?{pattern}")
    assert (here.sessions.in_scope(session, pay("files/read", path=value)) is None) == is_lent
    await here.stop()


async def test_members_of_objects_and_items_of_arrays() -> None:
    here, session = await lent("tool:payments/pay?parts.to.account=AT1")
    good = {"to": {"account": "AT1"}}
    for parts, is_lent in ((good, True), ([good, good], True), ([good, {"to": {"account": "AT2"}}], False), ([good, {}], False)):
        assert (here.sessions.in_scope(session, pay(parts=parts)) is None) == is_lent, parts
    flat: dict[str, Any] = {"parts.to.account": "AT1"}
    assert here.sessions.in_scope(session, replace(pay(), arguments=flat)) is not None
    await here.stop()


async def test_a_wider_scope_beside_it_counts_and_another_narrow_one_adds() -> None:
    here, session = await lent("tool:payments/pay?to=ACME", "tool:payments/pay?to=GLOBEX&amount=..5")
    tried: list[tuple[dict[str, Any], bool]] = [
        ({"to": "ACME", "amount": 900}, True),
        ({"to": "GLOBEX", "amount": 5}, True),
        ({"to": "GLOBEX", "amount": 6}, False),
    ]
    for arguments, is_lent in tried:
        assert (here.sessions.in_scope(session, pay(**arguments)) is None) == is_lent
    await here.stop()
    here, session = await lent("tool:payments/*", "tool:payments/pay?to=ACME")
    assert session.scopes == ("tool:payments/*",)
    assert here.sessions.in_scope(session, pay(to="EVIL")) is None
    await here.stop()


async def test_a_child_asking_for_more_gets_the_part_that_was_lent() -> None:
    """R-P2: intersected as sets of values, not as strings."""
    here, session = await lent(SCOPE, "agent:helper")
    child = (await here.lent_on(session, "tool:payments/*?amount=..5000", "tool:*/*?to=*GmbH&amount=10..")).session
    assert child.scopes == ("tool:payments/pay?amount=..1000&to=ACME*",)
    other = (await here.lent_on(session, "tool:*/*?to=*GmbH&amount=10..")).session
    assert other.scopes == ("tool:payments/pay?amount=10..1000&to=ACME*GmbH",)
    assert (await here.not_lent_on(session, "tool:payments/pay?to=EVIL")).code == "out_of_scope"
    assert (await here.not_lent_on(session, "tool:payments/pay?amount=1001..")).code == "out_of_scope"
    assert (await here.not_lent_on(session, "tool:payments/pay?to=5..6")).code == "out_of_scope"
    token = (await here.lent_on(other, "tool:payments/pay", agent="helper")).token
    await here.stop()
    later = await identity(crashed(here.memory))
    found = await later.sessions.authenticate(presented(token))
    assert not isinstance(found, Refusal)
    assert later.sessions.in_scope(found, pay(to="ACME GmbH", amount=10)) is None
    assert later.sessions.in_scope(found, pay(to="ACME GmbH", amount=9)) is not None
    await later.stop()


async def test_giving_a_server_what_it_asked_for_during_a_call_is_part_of_that_call() -> None:
    here, session = await lent(SCOPE)
    reply = replace(pay(method="elicitation/create"), name="answer_request", resource=Resource("Server", "payments"))
    assert here.sessions.in_scope(session, reply) is None
    await here.stop()


@pytest.mark.parametrize(
    "said",
    [
        "", "to", "=x", "to=", "to=..", "to=5..1", "a=1&a=2", "to=%zz", "to=%2a", "to=%2A", "to=%FF", "to=a b", 'to="x"', "to=a*b*c*d",
        "to=" + "x" * 400, "a.=1", ".a=1", "*=1", "to=\u00e9", "to=" + "*a" * 40, "&".join(f"a{n}=1" for n in range(9)),
        "a.b.c.d.e.f.g.h.i=1", "to=1e5..", "to=%0",
    ],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused(said: str) -> None:
    if said == "to=1e5..":
        assert parse_scope(f"tool:a/b?{said}") == f"tool:a/b?{said}"
        return
    with pytest.raises(InvalidAction):
        parse_scope(f"tool:a/b?{said}")


def test_only_tools_have_arguments() -> None:
    for scope in ("model:gpt?x=1", "agent:planner?x=1", "source:crm?x=1"):
        with pytest.raises(InvalidAction):
            parse_scope(scope)
    assert parse_scopes(["resource:files/file:///a?b=*"]) == ("resource:files/file:///a?b=*",)


@pytest.mark.parametrize(
    ("path", "is_lent"),
    [
        ("/public/report", True),
        ("/public/100%25/report", True),
        ("/public/a..b", True),
        ("/public/%2e%2e/private", False),
        ("/public/.%2E/private", False),
        ("/public/x%2f..%2fprivate", False),
        ("/public/x%5c%2e.%5cprivate", False),
        ("/public/%252e%252e/private", False),
        ("/public/%25252525252e", False),
    ],
)
async def test_a_step_up_is_one_percent_encoded_too(path: str, is_lent: bool) -> None:
    """R-B1: who is lent what lies below one address does not leave it by an encoding that the server behind undoes."""
    here, session = await lent("tool:web/get?path=/public/*", "tool:web/fetch?path=https://corp.example/public/*")
    for tool, value in (("web/get", path), ("web/fetch", f"https://corp.example{path}")):
        assert (here.sessions.in_scope(session, pay(tool, path=value)) is None) is is_lent
    await here.stop()
