"""The upstream of `ostiary bench`: chat completions and one MCP tool, answered at once with 1 KiB that is never the same."""

import asyncio
import json
import sys
from itertools import count

_SENTENCE = "The order of paper, toner and two standing desks left the warehouse this morning and will reach the office on Thursday. "
_SERVED = count(1)
_POST = {
    "name": "post",
    "description": "Posts a note to somebody.",
    "inputSchema": {
        "type": "object",
        "properties": {"to": {"type": "string"}, "amount": {"type": "number"}, "text": {"type": "string"}},
        "required": ["to", "amount", "text"],
        "additionalProperties": False,
    },
}
_HELLO = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "bench", "version": "1"}}


def completion() -> bytes:
    """Return a chat completion."""
    number = next(_SERVED)
    message = {"role": "assistant", "content": f"Answer {number}. {_SENTENCE * 7}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 190, "completion_tokens": 160, "total_tokens": 350}
    answer = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1760000000, "model": "bench"}
    return json.dumps({**answer, "choices": [choice], "usage": usage}).encode()


def reply(body: bytes) -> bytes:
    """Return the answer to one MCP message; empty for one that wants none."""
    asked = json.loads(body)
    if "id" not in asked:
        return b""
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    match asked.get("method"):
        case "initialize":
            return json.dumps({**answer, "result": _HELLO}).encode()
        case "tools/list":
            return json.dumps({**answer, "result": {"tools": [_POST]}}).encode()
        case "tools/call":
            text = {"type": "text", "text": f"Note {next(_SERVED)} is kept. {_SENTENCE * 8}"}
            return json.dumps({**answer, "result": {"content": [text], "isError": False}}).encode()
    return json.dumps({**answer, "error": {"code": -32601, "message": "unknown method"}}).encode()


class Echo(asyncio.Protocol):
    """Reads requests that carry a length, one after another."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end])
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
            whole = end + 4 + int(length or b"0")
            if len(self._received) < whole:
                return
            body = bytes(self._received[end + 4 : whole])
            del self._received[:whole]
            self._answer(head.split(b" ", 2)[:2], body)

    def _answer(self, asked: list[bytes], body: bytes) -> None:
        status, answer = b"404 Not Found", b"{}"
        match asked:
            case [b"POST", b"/v1/chat/completions"]:
                status, answer = b"200 OK", completion()
            case [b"POST", b"/mcp"]:
                answer = reply(body)
                status = b"200 OK" if answer else b"202 Accepted"
            case [b"GET", b"/health"]:
                status = b"200 OK"
            case [b"GET", b"/mcp"]:
                status = b"405 Method Not Allowed"
        if self._transport is not None:
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(answer))
            self._transport.write(head + answer)


async def serve(port: int) -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(int(sys.argv[1])))
    else:
        uvloop.run(serve(int(sys.argv[1])))
