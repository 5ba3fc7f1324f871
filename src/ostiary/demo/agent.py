"""An ordinary agent on the official OpenAI and MCP SDKs: it knows nothing of Ostiary but two addresses and a token.

`python -m ostiary.demo.agent URL PROMPT` lets it work, with the token in `$SESSION_TOKEN`.
"""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from openai import AsyncOpenAI

MAX_TURNS = 6


@dataclass(slots=True)
class Run:
    """What happened in one run: each tool call with its result or refusal, and the final answer."""

    answer: str = ""
    results: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By tool name: the problem that came back (`code`, `detail`, `policies` …)."""


class Agent:
    """Talks to its model and tools through the gateway at `url` with one session token."""

    def __init__(self, url: str, token: str, model: str) -> None:
        self._url = url
        self._token = token
        self._model = model
        self._trusted = ssl.create_default_context() if url.startswith("https:") else False
        self.openai = AsyncOpenAI(base_url=f"{url}/openai/v1", api_key=token, max_retries=0)

    async def run(self, prompt: str) -> Run:
        """Do what the prompt says, calling tools as the model asks, until the model is done."""
        run = Run()
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        async with self._connected() as tools:
            offered = [_as_function(tool) for tool in (await tools.list_tools()).tools]
            for _ in range(MAX_TURNS):
                reply = await self._ask(messages, offered)
                if not reply.get("tool_calls"):
                    run.answer = reply.get("content") or ""
                    return run
                messages.append(reply)
                for call in reply["tool_calls"]:
                    text = await self._call(tools, call["function"], run)
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
        return run

    async def tools(self) -> list[str]:
        """Return the names of the tools this session is shown."""
        async with self._connected() as tools:
            return [tool.name for tool in (await tools.list_tools()).tools]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call one tool, asked for or not; return the problem that came back, empty when there was none."""
        run = Run()
        async with self._connected() as tools:
            await self._call(tools, {"name": name, "arguments": json.dumps(arguments)}, run)
        return run.refusals.get(name, {})

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False, verify=self._trusted) as http,
            Client(streamable_http_client(f"{self._url}/mcp", http_client=http)) as tools,
        ):
            yield tools

    async def _ask(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        extra = {"tools": tools} if tools else {}
        completion = await self.openai.chat.completions.create(model=self._model, messages=messages, **extra)  # type: ignore[call-overload]
        message: dict[str, Any] = completion.choices[0].message.model_dump(exclude_none=True)
        return message

    async def _call(self, tools: Client, function: dict[str, str], run: Run) -> str:
        name = function["name"]
        try:
            result = await tools.call_tool(name, json.loads(function["arguments"]))
        except MCPError as error:
            run.refusals[name] = error.error.data or {"detail": error.error.message}
            return f"refused: {error.error.message}"
        text = " ".join(block.text for block in result.content if block.type == "text")
        run.results[name] = text
        return text


def _as_function(tool: Any) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
    return {"type": "function", "function": function}


def main(url: str, prompt: str) -> None:
    """Do what the prompt says with the session in the environment; print what each tool came to, and the answer."""
    run = asyncio.run(Agent(url, os.environ["SESSION_TOKEN"], "assistant").run(prompt))
    for name in run.results:
        print(f"{name}: done")
    for name, problem in run.refusals.items():
        print(f"{name}: {problem.get('code', 'refused')} - {problem.get('detail', '')}")
    print(run.answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
