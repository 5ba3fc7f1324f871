"""The control API answers any request as its own description says: no server error, no undocumented status, no loose body."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from ostiary.api import create_api
from tests.support.control import PERMIT_OPENING, company, control
from tests.support.listening import listening

EXAMPLES = 8
"""Requests an operation; all of them together stay well under 90 seconds."""


class _Place:
    url = ""
    key = ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Place]:
    """A control plane with a company in it, listening on a thread of its own."""
    ready, found = threading.Event(), _Place()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve(folder: Path) -> None:
        async with control(folder) as plane, listening(plane.api) as address:
            await plane.register(*company())
            await plane.services.policies.apply({"a.cedar": PERMIT_OPENING}, "test", "test")
            found.url = f"http://{address}"
            found.key = await plane.key("tester", "administrator", "security", "auditor", "approver")
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(tmp_path_factory.mktemp("plane")),))
    thread.start()
    assert ready.wait(20)
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def _description() -> dict[str, Any]:
    """What the API says of itself; nothing of a running one is needed for it."""
    nothing: Any = None
    return create_api(nothing).openapi()


schema = schemathesis.openapi.from_dict(_description()).exclude(path="/v1/stream")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
def test_every_operation_answers_as_described(case: Any, place: _Place) -> None:
    """R-P2: strict in, documented out."""
    if case.operation.path == "/v1/operators/{id}" and case.method == "DELETE":
        return
    case.call_and_validate(
        base_url=place.url,
        headers={"authorization": f"Bearer {place.key}"},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
            negative_data_rejection,
            unsupported_method,
        ],
    )
