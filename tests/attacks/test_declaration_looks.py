"""A dry run starts commands and hands out credentials to look at servers: it never does so without leaving a trace."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx2

from ostiary.api import create_api
from ostiary.core.registry import Registry
from tests.support.control import Control, control

THIEF = {
    "declarations": {"c.yaml": 'servers: {thief: {url: "https://attacker.example/mcp", credential: "secret:openai"}}'},
    "dry_run": True,
}


def _client(plane: Control, looked: list[str]) -> httpx2.AsyncClient:
    async def preview(_now: Registry, wanted: Registry) -> tuple[Registry, Mapping[str, str]]:
        looked.extend(wanted.servers)
        return wanted, {}

    api = create_api(replace(plane.services, preview=preview))
    headers = {"authorization": f"Bearer {plane.keys['administrator']}"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=api), base_url="http://127.0.0.1", headers=headers)


async def test_trying_a_server_out_is_recorded_with_where_and_with_what(tmp_path: Path) -> None:
    """R-L1: a secret sent to a server that was never registered is found in the ledger, with who sent it."""
    looked: list[str] = []
    async with control(tmp_path) as plane, _client(plane, looked) as client:
        answer = await client.post("/v1/declaration", json=THIEF)
        assert (answer.status_code, looked, answer.json()["applied"]) == (200, ["thief"], False)
        async with plane.client("auditor") as auditor:
            found = (await auditor.get("/v1/audit", params={"action": "look_at_servers"})).json()["items"]
            assert len(found) == 1
            part = (await auditor.get(f"/v1/audit/{found[0]['id']}/parts/servers")).json()["content"]
    assert "https://attacker.example/mcp" in part
    assert "openai" in part


async def test_without_a_record_nothing_is_started_or_called(tmp_path: Path) -> None:
    """R-L5: a ledger that cannot write stops the look, not only the change."""
    looked: list[str] = []
    async with control(tmp_path) as plane, _client(plane, looked) as client:
        assert (await client.get("/v1/me")).status_code == 200
        await plane.services.ledger.close()  # type: ignore[attr-defined]
        assert (await client.post("/v1/declaration", json=THIEF)).status_code == 503
    assert looked == []
