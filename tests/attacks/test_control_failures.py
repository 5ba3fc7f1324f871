"""Attack: make a part of the control plane fail. It refuses, changes nothing, and tells nothing of itself (R-P2)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from ostiary.api import create_api
from ostiary.core.errors import LedgerUnavailable
from ostiary.core.subject import Status
from tests.support.control import Control, company, control


class Broken:
    """A part whose every use fails in a way nobody foresaw."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("/root/secret-path hunter2")


def with_broken(plane: Control, **parts: Any) -> httpx2.AsyncClient:
    """A client of the same control plane with parts replaced."""
    api = create_api(replace(plane.services, **parts))
    headers = {"authorization": f"Bearer {plane.keys['administrator']}"}
    transport = httpx2.ASGITransport(app=api, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


async def test_what_nobody_foresaw_is_unavailable_and_says_nothing(tmp_path: Path) -> None:
    """No traceback, no path, no message of the failure."""
    async with control(tmp_path) as plane:
        broken: Any = Broken()
        for part, path in (("reader", "/v1/audit"), ("engine", "/v1/policies"), ("secrets", "/v1/secrets"), ("control", "/v1/me")):
            async with with_broken(plane, **{part: broken}) as client:
                answer = await client.get(path)
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                assert "hunter2" not in answer.text
                assert answer.headers["x-ostiary-decision"] == answer.json()["decision"]


async def test_no_record_no_change(tmp_path: Path) -> None:
    """R-P4, R-L5: with a ledger that cannot write, every change is refused and nothing is different afterwards."""
    async with control(tmp_path) as plane:
        await plane.register(*company())
        before, history = plane.registry, plane.services.policies.history()
        declaration = {"declarations": {"c.yaml": "users: {eve: {}}"}}
        async with plane.client("administrator") as client:
            assert (await client.get("/v1/me")).status_code == 200
            await plane.services.ledger.close()  # type: ignore[attr-defined]
            answers = [
                await client.put("/v1/groups/g", json={"tools": []}),
                await client.delete("/v1/agents/alice-bot"),
                await client.post("/v1/declaration", json=declaration),
                await client.put("/v1/secrets/s", json={"value": "x"}),
                await client.post("/v1/policies/apply", json={"files": {}, "why": "x"}),
                await client.post("/v1/agents/alice-bot/keys", json={}),
                await client.post("/v1/operators", json={"name": "eve", "roles": ["administrator"]}),
            ]
        assert {answer.status_code for answer in answers} == {503}
        assert plane.registry is before
        assert plane.registry.agents["alice-bot"].status is Status.ACTIVE
        assert plane.services.policies.history() == history
        assert plane.services.secrets.list() == []


async def test_a_reader_that_cannot_be_recorded_sees_nothing(tmp_path: Path) -> None:
    """R-G2: sealed parts and exports are given out only when it is on record that they were."""

    class Mute:
        async def append(self, entry: Any) -> Any:
            raise LedgerUnavailable("the ledger cannot write")

    async with control(tmp_path) as plane:
        await plane.services.secrets.set("s", "x", by="test", why="a sealed reason")
        entry = plane.services.reader.search(action="set_secret")[0]
        mute: Any = Mute()
        async with with_broken(plane, ledger=mute) as client:
            client.headers["authorization"] = f"Bearer {plane.keys['auditor']}"
            await client.get("/v1/me")
            for answer in (
                await client.get(f"/v1/audit/{entry['id']}/parts/reason"),
                await client.post("/v1/audit/export", json={"parts": True}),
            ):
                assert answer.status_code == 503
                assert "a sealed reason" not in answer.text
