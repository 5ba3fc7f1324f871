"""The official MCP client, direct and through the gateway, over HTTP and child-process servers: the same tests, the same answers."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    LoggingMessageNotificationParams,
    PromptReference,
    Root,
    TextContent,
)

from ostiary.core.registry import Server
from tests.support.mcp_upstream import SHARED, everything_server, gateway

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning", "ignore::DeprecationWarning")

Target = Callable[..., Any]
ROUTES = [(route, mode) for route in ("direct-http", "http", "all-http", "stdio") for mode in ("legacy", "auto")] + [
    ("direct-stdio", "auto")
]
STDIO = [sys.executable, "-c", "from mcp_everything_server.server import mcp; mcp.run('stdio')"]
ENVIRONMENT = {"PYTHONPATH": str(SHARED / "targets/mcp-everything-server"), "PYTHONDONTWRITEBYTECODE": "1"}


@asynccontextmanager
async def _route(name: str) -> AsyncIterator[tuple[Target, str]]:
    """Yield how to make a client for a route, and what tool names begin with there."""
    if name == "direct-stdio":
        server = StdioServerParameters(command=STDIO[0], args=STDIO[1:], env=ENVIRONMENT)
        yield lambda **kw: Client(server, **kw), ""
        return
    if name == "stdio":
        async with gateway(Server("ev", command=tuple(STDIO), environment=ENVIRONMENT)) as running:
            yield _over_http(running.mcp("ev"), running.token), ""
        return
    async with everything_server() as upstream:
        if name == "direct-http":
            yield _over_http(upstream.url, "none"), ""
            return
        async with gateway(Server("ev", url=upstream.url)) as running:
            is_all = name == "all-http"
            yield _over_http(running.mcp() if is_all else running.mcp("ev"), running.token), "ev__" if is_all else ""


def _over_http(url: str, token: str) -> Target:
    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Client]:
        headers = {"authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http), **options) as client,
        ):
            yield client

    return make


Check = Callable[[Target, str, str], Awaitable[None]]


async def _lists_and_calls(make: Target, mode: str, prefix: str) -> None:
    async with make(mode=mode) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert f"{prefix}test_simple_text" in names
        assert len(names) > 20
        result = await client.call_tool(f"{prefix}test_simple_text", {})
        assert result.content[0].text == "This is a simple text response for testing."
        mixed = await client.call_tool(f"{prefix}test_multiple_content_types", {})
        assert [item.type for item in mixed.content] == ["text", "image", "resource"]


async def _errors(make: Target, mode: str, prefix: str) -> None:
    async with make(mode=mode) as client:
        failed = await client.call_tool(f"{prefix}test_error_handling", {})
        assert failed.is_error
        assert "test_error_handling" in failed.content[0].text


async def _progress(make: Target, mode: str, prefix: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with make(mode=mode) as client:
        await client.call_tool(f"{prefix}test_tool_with_progress", {}, progress_callback=heard)
        await asyncio.sleep(0.1)
    assert [(progress, total) for progress, total, _ in seen] == [(0, 100), (50, 100), (100, 100)]
    assert seen[1][2] == "Completed step 50 of 100"


async def _logging(make: Target, mode: str, prefix: str) -> None:
    seen: list[Any] = []

    async def heard(params: LoggingMessageNotificationParams) -> None:
        seen.append(params.data)

    options = {"log_level": "info"} if mode != "legacy" else {}
    async with make(mode=mode, logging_callback=heard, **options) as client:
        if mode == "legacy":
            await client.set_logging_level("info")
        await client.call_tool(f"{prefix}test_tool_with_logging", {})
        await asyncio.sleep(0.1)
    assert seen == ["Tool execution started", "Tool processing data", "Tool execution completed"]


async def _resources(make: Target, mode: str, prefix: str) -> None:
    async with make(mode=mode) as client:
        listed = {str(resource.uri) for resource in (await client.list_resources()).resources}
        text = next(uri for uri in listed if uri.endswith("test://static-text"))
        read = await client.read_resource(text)
        assert read.contents[0].text == "This is the content of the static text resource."
        assert str(read.contents[0].uri) == text
        template = (await client.list_resource_templates()).resource_templates[0].uri_template
        assert (await client.read_resource(template.replace("{id}", "7"))).contents[0].text.startswith('{"id": "7"')
        with pytest.raises(MCPError) as unknown:
            await client.read_resource(text.replace("static-text", "nowhere"))
        assert unknown.value.error.code in {-32602, -32002, 0}


async def _prompts_and_completion(make: Target, mode: str, prefix: str) -> None:
    async with make(mode=mode) as client:
        names = {prompt.name for prompt in (await client.list_prompts()).prompts}
        assert f"{prefix}test_prompt_with_arguments" in names
        prompt = await client.get_prompt(f"{prefix}test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        assert prompt.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"
        done = await client.complete(
            PromptReference(type="ref/prompt", name=f"{prefix}test_prompt_with_arguments"), {"name": "arg1", "value": "x"}
        )
        assert done.completion.values == []


async def _cancellation(make: Target, mode: str, prefix: str) -> None:
    async with make(mode=mode, read_timeout_seconds=20) as client:
        call = asyncio.create_task(client.call_tool(f"{prefix}test_tool_with_logging", {}))
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        again = await client.call_tool(f"{prefix}test_simple_text", {})
        assert not again.is_error


async def _sampled(context: Any, params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="Paris, said the model"), model="m")


async def _elicited(context: Any, params: Any) -> ElicitResult:
    schema = params.requested_schema
    return ElicitResult(action="accept", content=dict.fromkeys(schema["properties"], "Ann"))


async def _rooted(context: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root.model_validate({"uri": "file:///tmp/one"})])


async def _questions(make: Target, mode: str, prefix: str) -> None:
    async with make(mode=mode, sampling_callback=_sampled, elicitation_callback=_elicited, list_roots_callback=_rooted) as client:
        if mode == "legacy":
            sampled = await client.call_tool(f"{prefix}test_sampling", {"prompt": "What is the capital?"})
            assert sampled.content[0].text == "LLM response: Paris, said the model"
            asked = await client.call_tool(f"{prefix}test_elicitation", {"message": "Your answer?"})
            assert asked.content[0].text == 'User response: action=accept, content={"response":"Ann"}'
            return
        hello = await client.call_tool(f"{prefix}test_input_required_result_elicitation", {})
        assert hello.content[0].text == "Hello, Ann!"
        both = await client.call_tool(f"{prefix}test_input_required_result_multiple_inputs", {})
        assert both.content[0].text == "All inputs received."
        rounds = await client.call_tool(f"{prefix}test_input_required_result_multi_round", {})
        assert rounds.content[0].text == "Ann likes Ann."


CHECKS: dict[str, Check] = {
    "lists and calls": _lists_and_calls,
    "errors": _errors,
    "progress": _progress,
    "logging": _logging,
    "resources": _resources,
    "prompts and completion": _prompts_and_completion,
    "cancellation": _cancellation,
    "questions": _questions,
}


@pytest.mark.parametrize(("route", "mode"), ROUTES)
async def test_the_official_client_gets_the_same_answers(route: str, mode: str) -> None:
    """R-B5: the client that agents use works through the door as it does without it."""
    failures = {}
    async with _route(route) as (make, prefix):
        for name, check in CHECKS.items():
            try:
                await check(make, mode, prefix)
            except* Exception as errors:
                failures[name] = repr(errors.exceptions)
    assert failures == {}
