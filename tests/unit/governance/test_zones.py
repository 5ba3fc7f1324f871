"""Zones in a declaration and over HTTP: strict, in one place only, pruned, shown before they change (R-P5, R-S2)."""

from pathlib import Path

import pytest

from ostiary.core.registry import Registry
from ostiary.core.subject import Status
from ostiary.governance.declaration import dependents
from tests.support.control import company, control
from tests.unit.governance.test_declaration import COMPANY, declared, refused

ZONES = "zones: {finance: {users: [alice], agents: [invoice-bot], servers: [payments], models: [gpt-4o], apis: [bank], sources: [crm]}}\n"


def test_a_zone_is_read_whole() -> None:
    """R-P5: everything that can stand in a zone is declared in it."""
    zone = declared(COMPANY + ZONES).registry.zones["finance"]
    assert [*zone.users, *zone.agents, *zone.servers] == ["alice", "invoice-bot", "payments"]
    assert [*zone.models, *zone.apis, *zone.sources] == ["gpt-4o", "bank", "crm"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zones: {finance: {server: [payments]}}", "unknown key `server`"),
        ("zones: {finance: {servers: [payment]}}", "servers of zone `finance`: there is no `payment` in servers; did you mean `payments`"),
        ("zones: {finance: {agents: [invoice-bott]}}", "did you mean `invoice-bot`"),
        ("zones: {finance: {tools: [payments/pay]}}", "unknown key `tools`"),
        ("zones: {finance: {servers: payments}}", "must be a list"),
        ("zones: {'a b': {}}", "cannot be a name in zones"),
        ("zones: {a: {servers: [mail]}, b: {servers: [mail]}}", "`mail` stands in zone `b` and in zone `a`"),
        ("zones: {a: {networks: [10.1.0.0/33]}}", "`10.1.0.0/33` in `networks` of zone `a` is no network"),
        ("zones: {a: {networks: [10.1.0.1/16]}}", "is no network"),
        ("zones: {a: {networks: [10.1.0.0/16]}, b: {networks: [10.1.0.0/16]}}", "`10.1.0.0/16` stands in zone `b` and in zone `a`"),
        ("zone: {}", "did you mean `zones`"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_name(text: str, said: str) -> None:
    """R-S2: a zone that means nothing, or puts something in two places, is refused before anything changes."""
    assert said in refused(f"{COMPANY}{text}\n")


def test_moving_and_pruning_show_in_the_difference() -> None:
    """R-P5: a member that moves is a change of both zones; a zone that is no longer declared goes only with prune."""
    first = declared(COMPANY + ZONES).registry
    moved = COMPANY + "zones: {finance: {agents: [invoice-bot]}, hr: {servers: [payments]}}\n"
    plan = declared(moved, first, {"policies/a.cedar": "// a", "policies/b/c.cedar": "// c"})
    assert [(each.verb, each.noun, each.name) for each in plan.differences] == [("change", "zones", "finance"), ("create", "zones", "hr")]
    assert plan.differences[0].fields == ("apis", "models", "servers", "sources", "users")
    gone = declared(COMPANY, first, {"policies/a.cedar": "// a", "policies/b/c.cedar": "// c"}, prune=True)
    assert [(each.verb, each.noun, each.name) for each in gone.differences] == [("retire", "zones", "finance")]
    assert gone.registry.zones == {}


def test_a_member_of_a_registered_zone_is_not_taken_into_another() -> None:
    """R-P5: also when the other zone was declared before, by somebody else."""
    first = declared(COMPANY + ZONES).registry
    assert "stands in zone `finance` and in zone `hr`" in refused(COMPANY + "zones: {hr: {servers: [payments]}}\n", registry=first)


def test_what_stands_in_a_zone_is_not_retired_before_it_left() -> None:
    """R-P5: else a thing of the same name registered later would stand there unseen."""
    first: Registry = declared(COMPANY + ZONES).registry
    assert "zone `finance`" in dependents("servers", "payments", first)
    assert dependents("apis", "bank", first) == ["zone `finance`"]
    assert dependents("agents", "invoice-bot", first) == [], "an agent can always be retired: its name is not taken again"
    assert first.agents["invoice-bot"].status is not Status.RETIRED


async def test_zones_are_registered_over_http_and_kept(tmp_path: Path) -> None:
    """R-S2, R-L5: each change is recorded, and a gateway opened again still has the zone."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        async with plane.client("administrator") as client:
            made = await client.put("/v1/zones/finance?why=apart", json={"servers": ["mail"], "agents": ["alice-bot"]})
            assert (made.status_code, made.json()["servers"]) == (200, ["mail"]), made.text
            wrong = await client.put("/v1/zones/hr", json={"servers": ["mail"]})
            assert (wrong.status_code, "stands in zone `finance`" in wrong.json()["detail"]) == (400, True)
            assert (await client.get("/v1/zones")).json()["items"][0]["name"] == "finance"
            assert (await client.delete("/v1/servers/mail")).status_code == 409
            assert (await client.get("/v1/entries?action=register_zone")).json()["items"][0]["resource"] == "zones/finance"
    async with control(tmp_path) as plane, plane.client("auditor") as client:
        assert (await client.get("/v1/zones/finance")).json()["agents"] == ["alice-bot"]
        assert (await client.put("/v1/zones/finance", json={})).status_code == 403
