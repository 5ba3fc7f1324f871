"""Attack: whoever holds a stolen token keeps its session from idling to its end by holding a connection, and doing nothing (R-B1)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from ostiary.identity.credentials import Opened
from ostiary.protocols.mcp import legacy
from tests.support.a2a_world import World, world
from tests.support.mcp_shaped import MODERN
from tests.support.mcp_upstream import CAPABILITIES, VERSION

OLD = "2025-11-25"
WAIT_S = 15.0


@asynccontextmanager
async def _stream(here: World, opened: Opened, *, is_modern: bool) -> AsyncIterator[httpx.Response]:
    """Open the stream on which a client hears of changes."""
    accepted = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    async with here.http(opened.token, **accepted) as http:
        if is_modern:
            listen = {"notifications": {"toolsListChanged": True}, "_meta": {VERSION: MODERN, CAPABILITIES: {}}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": listen}
            headers = {"mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}
            async with http.stream("POST", "/mcp", content=json.dumps(body), headers=headers) as answer:
                yield answer
        else:
            begun = await _initialize(http)
            headers = {"mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": OLD}
            async with http.stream("GET", "/mcp", headers=headers) as answer:
                yield answer


async def _initialize(http: httpx.AsyncClient) -> httpx.Response:
    params = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("is_modern", [True, False])
async def test_a_stream_that_only_listens_is_idle(tmp_path: Path, is_modern: bool) -> None:
    """R-B1: the session ends, and with it the stream."""
    async with world(tmp_path) as here:
        opened = await here.lend(scopes=("tool:*/*",), idle_s=1)
        async with asyncio.timeout(WAIT_S), _stream(here, opened, is_modern=is_modern) as answer:
            assert answer.status_code == 200
            async for _ in answer.aiter_lines():
                pass
        assert not here.gateway.services.sessions.is_open(opened.session.id)


async def test_sweeping_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B1: that others come and the gateway cleans up is no act of a session that sleeps."""
    monkeypatch.setattr(legacy, "SWEEP_S", -1.0)
    async with world(tmp_path) as here:
        asleep = await here.lend(scopes=("tool:*/*",), idle_s=600)
        accepted = {"accept": "application/json, text/event-stream"}
        async with here.http(asleep.token, **accepted) as http:
            await _initialize(http)
        live = here.gateway.services.sessions._live[asleep.session.id]
        live.seen_at -= 300
        seen_at = live.seen_at
        async with here.http(**accepted) as http:
            await _initialize(http)
        assert live.seen_at == seen_at


async def test_what_an_agent_tells_is_no_act_of_its_callers_session(tmp_path: Path) -> None:
    """R-B1: looking whether a session stands, before something is sent on its behalf, does not wake it."""
    async with world(tmp_path) as here:
        opened = await here.lend(idle_s=600)
        live = here.gateway.services.sessions._live[opened.session.id]
        live.seen_at -= 300
        seen_at = live.seen_at
        assert here.gateway.a2a._enforcement.stands(opened.session)
        assert live.seen_at == seen_at
