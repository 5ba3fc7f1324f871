"""Listing a session's tasks: from what the gateway knows to be its own, asked of the agent one by one, never from the agent's list."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ostiary.boundaries.tasks import TaskRecord, Tasks
from ostiary.protocols.a2a import errors
from ostiary.protocols.a2a.errors import A2aError, violation

Fetch = Callable[[TaskRecord, int | None], Awaitable[dict[str, Any] | None]]
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 100
AT_ONCE: Final = 8


async def listed(tasks: Tasks, session: str, agent: str, wanted: Mapping[str, Any], fetch: Fetch) -> dict[str, Any]:
    """Return one page of a session's tasks, the most recently changed first (section 3.1.4). Raises A2aError."""
    size, start = _page(wanted)
    await _refreshed([record for record in tasks.of(session, agent) if not record.is_ended][-MAX_PAGE:], 0, fetch)
    found = [record for record in tasks.of(session, agent) if _fits(record, wanted)]
    found.sort(key=lambda record: record.at, reverse=True)
    page = found[start : start + size]
    shown = [task for task in await _refreshed(page, wanted.get("historyLength"), fetch) if task is not None]
    if not wanted.get("includeArtifacts"):
        shown = [{name: value for name, value in task.items() if name != "artifacts"} for task in shown]
    after = start + size
    return {"tasks": shown, "nextPageToken": str(after) if after < len(found) else "", "pageSize": size, "totalSize": len(found)}


async def _refreshed(records: list[TaskRecord], history: int | None, fetch: Fetch) -> list[dict[str, Any] | None]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(record: TaskRecord) -> dict[str, Any] | None:
        async with gate:
            return await fetch(record, history)

    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(record)) for record in records]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in running]


def _fits(record: TaskRecord, wanted: Mapping[str, Any]) -> bool:
    since: str = wanted.get("statusTimestampAfter", "")
    if record.at < since or wanted.get("status", record.state) != record.state:
        return False
    return bool(wanted.get("contextId", record.context) == record.context)


def _page(wanted: Mapping[str, Any]) -> tuple[int, int]:
    size = wanted.get("pageSize", DEFAULT_PAGE)
    if not 1 <= size <= MAX_PAGE:
        raise _wrong("pageSize", f"must be between 1 and {MAX_PAGE} inclusive, got {size}")
    if wanted.get("historyLength", 0) < 0:
        raise _wrong("historyLength", f"must not be negative, got {wanted['historyLength']}")
    token = wanted.get("pageToken", "0")
    if not (token.isascii() and token.isdigit() and len(token) < 7):
        raise _wrong("pageToken", "is none of this gateway")
    return size, int(token)


def _wrong(field: str, description: str) -> A2aError:
    return A2aError(errors.INVALID_PARAMS, f"`{field}` {description}", (violation(field, description),))
