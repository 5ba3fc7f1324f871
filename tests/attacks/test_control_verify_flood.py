"""An auditor who verifies again and again: one check of the whole ledger at a time, and actions are not kept waiting by it."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from ostiary.api import create_api
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.ids import new_id
from ostiary.ledger.recorder import LARGE
from tests.support.control import control


async def test_checks_of_the_whole_ledger_come_one_at_a_time(tmp_path: Path) -> None:
    """R-L4: the second is told to wait, and after the first has ended it is served."""
    begun, gate = threading.Event(), threading.Event()
    async with control(tmp_path) as plane:
        real = plane.services.verify

        def slow() -> Any:
            begun.set()
            gate.wait(60)
            return real()

        headers = {"authorization": f"Bearer {plane.keys['auditor']}"}
        transport = httpx2.ASGITransport(app=create_api(replace(plane.services, verify=slow)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            first = asyncio.create_task(client.post("/v1/audit/verify"))
            await asyncio.to_thread(begun.wait, 60)
            assert (await client.post("/v1/audit/verify")).status_code == 429
            gate.set()
            assert (await first).json()["ok"] is True
            assert (await client.post("/v1/audit/verify")).status_code == 200


async def test_a_large_action_is_recorded_while_every_other_thread_is_taken(tmp_path: Path) -> None:
    """R-L1: sealing large parts has a thread of its own, so that no reader stops actions."""
    gate = threading.Event()
    async with control(tmp_path) as plane:
        taken = [asyncio.create_task(asyncio.to_thread(gate.wait, 60)) for _ in range(64)]
        await asyncio.sleep(0)
        part = Part("arguments", b"a" * (LARGE + 1))
        entry = Entry(new_id(), Family.ACTION, Kind.EVENT, plane.services.clock.now_ns(), action="large", parts=(part,))
        try:
            async with asyncio.timeout(50):
                await plane.services.ledger.append(entry)
        finally:
            gate.set()
            await asyncio.gather(*taken)
