"""A bare proxy on the official MCP SDK, for comparison: one tool, one shared connection upstream, no checks at all.

python bench/sdk_proxy.py PORT UPSTREAM_URL
"""

import asyncio
import sys

import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer


async def run(port: int, upstream: str) -> None:
    """Serve until ended."""
    async with Client(streamable_http_client(upstream)) as client:
        server = MCPServer("proxy", "1.0", log_level="ERROR")

        @server.tool()
        async def post(to: str, amount: float, text: str) -> str:
            """Post a note to somebody."""
            found = await client.call_tool("post", {"to": to, "amount": amount, "text": text})
            return str(getattr(found.content[0], "text", ""))

        app = server.streamable_http_app(json_response=True)
        await uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error")).serve()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2]))
