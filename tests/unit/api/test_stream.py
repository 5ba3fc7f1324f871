"""The live stream: every entry once, in order, from where a reader left off (R-P3)."""

import json
from pathlib import Path
from typing import Any

import httpx2

from tests.support.control import Control, control
from tests.support.listening import listening


async def read(plane: Control, address: str, count: int, **options: Any) -> list[dict[str, Any]]:
    """Read `count` events of the stream."""
    events: list[dict[str, Any]] = []
    headers = {"authorization": f"Bearer {plane.keys['auditor']}", **options.get("headers", {})}
    async with (
        httpx2.AsyncClient(timeout=10) as client,
        client.stream("GET", f"http://{address}/v1/stream", params=options.get("params", {}), headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == count:
                    return events
    return events


async def test_a_reader_resumes_where_it_left_off(tmp_path: Path) -> None:
    """R-P3: nothing twice, nothing missed, over a lost connection."""
    async with control(tmp_path) as plane, listening(plane.api) as address:
        for number in range(5):
            await plane.services.secrets.set(f"s{number}", "x", by="test")
        first = await read(plane, address, 3, params={"after": -1})
        assert [event["index"] for event in first] == [0, 1, 2]
        rest = await read(plane, address, 4, headers={"last-event-id": "2"})
        assert [event["index"] for event in rest] == [3, 4, 5, 6]


async def test_a_malformed_position_is_refused(tmp_path: Path) -> None:
    async with control(tmp_path) as plane, plane.client("auditor") as client:
        for value in ("-1", "x", "1e3", "9" * 30):
            assert (await client.get("/v1/stream", headers={"last-event-id": value})).status_code == 422
        assert (await client.get("/v1/stream?after=-2")).status_code == 422
