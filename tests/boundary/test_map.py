"""The map of a running gateway: exact against its ledger, also after it was killed (R-S1, R-P5)."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.gateway import Running, company


def drawn(gateway: Running, *options: str) -> dict[str, Any]:
    ran = gateway.run("map", "--json", *options)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def by_resource(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["resource"]: row for row in found["crossings"] if row["first_at"] is not None}


def recorded(gateway: Running) -> dict[tuple[str, str], Counter[str]]:
    """What the ledger says, counted on its own."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for entry in gateway.operator.pages("/v1/entries", kind="intent"):
        found.setdefault((entry["boundary"], entry["resource"]), Counter())[entry["decision"]] += 1
    return found


def test_the_map_is_what_the_ledger_says_also_after_a_kill(tmp_path: Path) -> None:
    """R-S1: counts by crossing, states and findings; killed and started again, nothing is lost or counted twice."""
    with company(tmp_path) as gateway:
        token = gateway.session()
        narrow = gateway.session(scopes=["model:assistant"])
        for _ in range(3):
            assert gateway.pay(token).status == 200
        assert b"-32004" in gateway.pay(token, amount=5000).body
        assert gateway.chat(token).status == 200
        assert b"out_of_scope" in gateway.pay(narrow).body
        before = drawn(gateway)
        paid = by_resource(before)["Tool::payments/pay"]
        assert (paid["allowed"], paid["held"], paid["refused"], paid["state"]) == (3, 1, 1, "used")
        assert paid["codes"]["out_of_scope"] == 1
        assert (paid["agent"], paid["door"], paid["people"]) == ("bot", "agent_api", 1)
        assert before["entries"] == before["size"]
        unused = [each for each in before["findings"] if each["kind"] == "permitted_never_used"]
        assert [(each["agent"], each["about"]) for each in unused] == [("bot", "payments")]
        gateway.strike()
        gateway.start()
        after = drawn(gateway)
        assert by_resource(after).keys() >= by_resource(before).keys()
        assert by_resource(after)["Tool::payments/pay"] == paid
        assert gateway.leave() == 0
        gateway.start()
        assert gateway.pay(token).status == 200
        last = by_resource(drawn(gateway))
        assert last["Tool::payments/pay"]["allowed"] == 4
        assert last["Tool::payments/pay"]["first_at"] == paid["first_at"]
        for (door, resource), counts in recorded(gateway).items():
            if resource in last and door == last[resource]["door"]:
                row = last[resource]
                assert [row["allowed"], row["held"], row["refused"]] == [counts[each] for each in ("allow", "hold", "deny")], resource


def test_pictures_tables_and_zones_from_the_command_line(tmp_path: Path) -> None:
    """R-S1, R-P5: the same facts as a table, findings and a picture; a zone that is shut shows as refused."""
    with company(tmp_path) as gateway:
        token = gateway.session()
        assert b'"error"' not in gateway.pay(token).body
        assert gateway.run("zone", "register", "vault", "--server", "payments", "--why", "apart").returncode == 0
        shut = gateway.pay(token)
        assert b"would enter zone `vault`" in shut.body
        assert b"-32003" in shut.body
        reach = json.loads(gateway.run("agent", "reach", "bot", "--json").stdout)
        assert [item["resource"] for item in reach["items"]] == ["assistant"]
        row = by_resource(drawn(gateway))["Tool::payments/pay"]
        assert (row["state"], row["zone"], row["permitted"]) == ("gone", "vault", "no")
        assert gateway.run("zone", "register", "vault", "--server", "payments", "--agent", "bot", "--replace").returncode == 0
        assert b'"error"' not in gateway.pay(token).body, "in the same zone it works again"
        picture = gateway.run("map", "--mermaid").stdout
        assert picture.startswith("flowchart LR")
        assert '["payments"]' in picture
        assert "2 allowed" in picture
        table = gateway.run("map").stdout
        assert "Tool::payments/pay" in table
        findings = gateway.run("map", "--findings")
        assert "permitted_never_used" in findings.stdout
        assert "findings" in findings.stderr
        assert gateway.run("map", "--agent", "nobody").returncode == 2
        assert gateway.run("agent", "reach", "bot", "--mermaid").stdout.startswith("flowchart LR")
        assert "reaches" in gateway.run("user", "reach", "alice").stderr
        assert time.time() - by_resource(drawn(gateway))["Tool::payments/pay"]["last_at"] < 60
