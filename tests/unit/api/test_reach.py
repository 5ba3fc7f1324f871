"""Reach over HTTP and on the command line: whole, by role, as a table and as a picture (R-P5, R-H1)."""

from pathlib import Path

import pytest

from ostiary.cli import diagram
from ostiary.core.registry import Zone
from ostiary.governance.registrar import RegistryChange
from tests.support.control import company, control
from tests.support.policy import STRING, tool

POLICY = '@id("everybody-mails") permit (principal, action in Action::"mail", resource);'


async def test_reach_by_role(tmp_path: Path) -> None:
    """R-P5, R-H1: an owner sees their own agent's reach, without the names of people; nobody else's."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        mail = tool("mail", "send", {"to": STRING})
        await plane.services.registrar.change([RegistryChange("tools", mail.id, mail)], by="test")
        await plane.services.registrar.change([RegistryChange("zones", "office", Zone("office", servers=frozenset({"mail"})))], by="test")
        await plane.services.policies.apply(
            {"a.cedar": POLICY.replace("resource)", 'resource in Zone::"office")')}, "test", "test", plane.registry
        )
        async with plane.client("auditor") as client:
            found = (await client.get("/v1/agents/alice-bot/reach")).json()
            (item,) = found["items"]
            assert (item["resource"], item["zone"], item["enters"], item["effect"]) == ("mail/send", "office", True, "allow")
            assert item["scopes"] == ["tool:mail/send"]
            assert item["ways"][0]["policies"] == ["everybody-mails"]
            assert "alice" in item["ways"][0]["through"]
            person = (await client.get("/v1/users/alice/reach")).json()
            assert person["items"][0]["ways"][0]["through"] == ["alice-bot", "owner-bot"]
            assert (await client.get("/v1/users/nobody/reach")).status_code == 404
        async with plane.client(await plane.key("alice", "owner")) as client:
            own = (await client.get("/v1/agents/alice-bot/reach")).json()["items"][0]["ways"][0]
            assert (own["through"], own["total"] > 0) == ([], True)
            assert (await client.get("/v1/agents/bob-bot/reach")).status_code == 404
            assert (await client.get("/v1/users/alice/reach")).status_code == 403


@pytest.mark.parametrize(
    "name",
    ['a"]; click x "javascript:1', "a\nb --> c", "`<b>`", "#quot;", "%%{init: {'themeCSS': 'x'}}%%", "&lt;b&gt;", "\u202eevil", "x" * 5000],
)
def test_a_name_never_becomes_syntax_of_the_picture(name: str) -> None:
    """R-P5: tools are named by strangers."""
    text = diagram.quoted(name)
    assert not set(text) & set('"<>`%\n\u202e')
    assert len(text) <= 120


def test_a_picture_is_bounded() -> None:
    """R-P5: past so many nodes the rest is counted."""
    items = [
        {"action": "generate", "kind": "Model", "resource": f"m{n}", "zone": f"z{n % 3}", "effect": "allow", "scopes": [], "ways": []}
        for n in range(500)
    ]
    text = diagram.reach({"name": "bot", "zones": [], "items": items})
    assert text.startswith("flowchart LR")
    assert "301 more are not drawn" in text
    assert text.count("subgraph") == 3


def test_a_picture_says_what_is_where() -> None:
    """R-P5: by zone, with what may be done."""
    base = {"scopes": [], "ways": [], "kind": "Tool"}
    items = [
        {**base, "action": "payments/pay", "resource": "payments/pay", "zone": "finance", "effect": "hold"},
        {**base, "action": "payments/list", "resource": "payments/list", "zone": "finance", "effect": "allow"},
        {**base, "action": "mail/send", "resource": "mail/send", "zone": "", "effect": "depends"},
    ]
    assert diagram.reach({"name": "invoice-bot", "zones": ["finance"], "items": items}).splitlines() == [
        "flowchart LR",
        '  subgraph z0["finance"]',
        '    n0(["invoice-bot"])',
        '    n2["payments"]',
        "  end",
        '  subgraph z1["in no zone"]',
        '    n1["mail"]',
        "  end",
        '  n0 -->|"depends: send"| n1',
        '  n0 -->|"allow: list"| n2',
        '  n0 -.->|"hold: pay"| n2',
    ]
