"""The whole gateway is killed, and left: what its sessions know afterwards is never more trusted, and after a good end the same."""

import sqlite3
from pathlib import Path
from typing import Any

from tests.support.gateway import MODERN, Running, company, rpc


def read_payees(gateway: Running, token: str) -> None:
    """Let the session read the trusted directory."""
    headers = MODERN | {"Mcp-Method": "tools/call", "Mcp-Name": "list_payees"}
    answer = gateway.ask("POST", "/mcp/payments", rpc("tools/call", {"name": "list_payees", "arguments": {}}), token, headers)
    assert "result" in answer.json, answer.json


def flow(gateway: Running, session: str) -> dict[str, Any]:
    """What the session knows, as an auditor sees it."""
    found: dict[str, Any] = gateway.operator.get(f"/v1/sessions/{session}/flow")
    return found


def test_over_kills_and_good_ends(tmp_path: Path) -> None:
    """R-K1, R-P6: killed at work it comes back untrusted and forgetful, with no value better than before; left in order, the same."""
    with company(tmp_path) as gateway:
        body = {"agent": "bot", "user": "alice", "scopes": ["tool:payments/*"], "purpose": "Pay 4 EUR to DE89370400440532013000."}
        opened = gateway.operator.post("/v1/sessions", body)
        session, token = opened["id"], opened["token"]
        read_payees(gateway, token)
        before = flow(gateway, session)
        assert any(value["origin"] == "directory" for value in before["values"])
        assert not before["forgetful"]
        assert gateway.leave() == 0
        gateway.start()
        assert flow(gateway, session) == before
        for _ in range(3):
            read_payees(gateway, token)
            known = {tuple(each.items()) for each in flow(gateway, session)["values"]}
            gateway.strike()
            gateway.start()
            after = flow(gateway, session)
            assert after["integrity"] == "untrusted"
            assert after["forgetful"]
            assert {tuple(each.items()) for each in after["values"]} <= known
            assert gateway.operator.get(f"/v1/sessions/{session}")["integrity"] == "untrusted"
        gateway.operator.post(f"/v1/sessions/{session}/revoke", {"reason": "done"})
        assert gateway.leave() == 0
        with sqlite3.connect(gateway.data / "state.db") as store:
            assert list(store.execute("SELECT id FROM document WHERE kind = 'provenance/flow'")) == []
        assert "Traceback" not in gateway.log, gateway.log[-3000:]
