"""Attack: a header that stands twice, so that what stands before us reads one and we the other (R-B5, R-S1)."""

from pathlib import Path

import pytest

from tests.support.a2a_raw import RawAgent, message
from tests.support.a2a_world import world
from tests.support.listening import raw

TWICE = [
    ("/a2a/planner", "X-Ostiary-Scopes", "tool:mail/read", "tool:*/*"),
    ("/a2a/planner", "A2A-Version", "0.3", "1.0"),
    ("/a2a/planner", "Authorization", "Bearer x", "Bearer y"),
    ("/mcp", "Last-Event-ID", "0-1", "0-2"),
]


@pytest.mark.parametrize(("path", "name", "first", "second"), TWICE)
async def test_what_decides_stands_once(tmp_path: Path, path: str, name: str, first: str, second: str) -> None:
    """R-B5: refused before anybody is asked who they are; nothing reaches an agent."""
    agent = RawAgent(lambda _: {"message": message()["message"]})
    async with world(tmp_path, planner=agent) as here:
        lines = [f"POST {path} HTTP/1.1", f"Host: {here.address}", "Content-Length: 2", "Content-Type: application/json"]
        lines += [f"{name}: {first}", f"{name.lower()}: {second}", "Connection: close", "", "{}"]
        answer = await raw(here.address, "\r\n".join(lines).encode())
        assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
        assert b"stands twice" in answer
        assert agent.requests == []
