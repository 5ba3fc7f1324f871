"""The ledger as it grows: server-sent events that resume where a reader left off."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse

from ostiary.api.entries import sees_people, with_purpose
from ostiary.api.route import Caller, Given, may, router
from ostiary.api.services import Services
from ostiary.core.decision import Refusal
from ostiary.core.errors import InvalidAction
from ostiary.core.ports import Credential

routes = router("")

POLL_S = 0.25
QUIET_S = 15.0
BATCH = 500
MAX_STREAMS = 64


class _Open:
    """How many streams are open: each costs a poll."""

    count = 0


@routes.get(
    "/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "One event an entry; its id is the entry's index.",
        }
    },
)
async def stream(
    *,
    request: Request,
    services: Given,
    caller: Annotated[Caller, may("tail", "audit")],
    after: Annotated[int | None, Query(ge=-1, le=2**53, description="Begin after this index; by default with what comes now.")] = None,
    last_event_id: Annotated[str | None, Header(max_length=20, pattern=r"^[0-9]+$")] = None,
) -> StreamingResponse:
    """Follow the ledger. Ends when the caller's key is revoked."""
    if _Open.count >= MAX_STREAMS:
        raise InvalidAction(f"{MAX_STREAMS} streams are open already", code="rate_limited", status=429)
    size = await asyncio.to_thread(lambda: services.reader.size)
    start = int(last_event_id) if last_event_id is not None else after if after is not None else size - 1
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    credential = Credential(token, "control", request.client.host if request.client else "127.0.0.1")
    events = _events(request, services, credential, start, resolve=sees_people(caller))
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _events(request: Request, services: Services, credential: Credential, at: int, *, resolve: bool) -> AsyncIterator[bytes]:
    _Open.count += 1
    try:
        yield b": following\n\n"
        quiet = 0.0
        while not await request.is_disconnected():
            if isinstance(await services.control.authenticate(credential), Refusal):
                yield b"event: end\ndata: the key was revoked\n\n"
                return
            rows = await asyncio.to_thread(services.reader.tail, at, limit=BATCH, resolve=resolve)
            for row in rows:
                at = row["index"]
                shown = with_purpose(services, row) if resolve else row
                yield b"id: %d\nevent: entry\ndata: %b\n\n" % (at, json.dumps(shown, separators=(",", ":")).encode())
            if len(rows) < BATCH:
                await asyncio.sleep(POLL_S)
            quiet = 0.0 if rows else quiet + POLL_S
            if quiet >= QUIET_S:
                quiet = 0.0
                yield b": nothing new\n\n"
    finally:
        _Open.count -= 1
