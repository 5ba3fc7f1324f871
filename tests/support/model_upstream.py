"""A model server that speaks both wires over real HTTP and plays the script its last user message names.

`say: a|b|c` answers `abc` (streamed: three pieces) · a line without a colon is said back · `call: name {json}` calls a tool · `status: 429` fails so ·
`slow: n` streams n pieces 50 ms apart · `silent:` sends a head and waits · `break:` stops mid-stream ·
`no-done:` ends without its end event · `flood:` never ends · `lie-type:` `lie-json:` `endless:` `redirect:` `gzip:` lie.
"""

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-upstream-key-0123456789"
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


@dataclass
class ModelUpstream:
    """The server as an ASGI application. `requests` are what it was sent; `left` is set when a client leaves mid-answer."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = json.loads(body) if body else {}
        self.requests.append({"path": scope["path"], "headers": headers, "body": asked, "raw": body})
        is_anthropic = scope["path"].startswith("/v1/messages")
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        wire = Messages(asked, send) if is_anthropic else Chat(asked, send)
        if key != KEY:
            await wire.fail(401, f"incorrect API key provided: {key}")
        elif scope["path"].endswith("count_tokens"):
            await wire.whole(200, {"input_tokens": 42})
        elif scope["path"] not in {"/v1/chat/completions", "/v1/messages"}:
            await wire.fail(404, "no such path")
        else:
            await self._play(wire, receive)

    async def _play(self, wire: "Wire", receive: Any) -> None:
        name, colon, rest = wire.prompt.partition(":")
        rest = rest.strip() if colon else name
        playing = asyncio.ensure_future(getattr(wire, f"do_{name.replace('-', '_')}", wire.do_say)(rest))
        leaving = asyncio.ensure_future(_left(receive))
        await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            self.left.set()
            playing.cancel()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        if not playing.cancelled():
            try:
                await playing
            except asyncio.CancelledError:
                return


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Wire:
    """What both wires can be told to do."""

    def __init__(self, asked: dict[str, Any], send: Any) -> None:
        self.asked = asked
        self.send = send
        self.is_stream = asked.get("stream") is True
        content = asked["messages"][-1]["content"] if asked.get("messages") else ""
        self.prompt = content if isinstance(content, str) else content[-1].get("text", "")

    async def head(self, status: int, content_type: str, *headers: tuple[bytes, bytes]) -> None:
        fields = [(b"content-type", content_type.encode()), (b"x-upstream-detail", b"internal"), *headers]
        await self.send({"type": "http.response.start", "status": status, "headers": fields})

    async def piece(self, data: bytes, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def whole(self, status: int, value: Any, *headers: tuple[bytes, bytes]) -> None:
        body = json.dumps(value).encode()
        await self.head(status, "application/json", (b"content-length", b"%d" % len(body)), *headers)
        await self.piece(body, more=False)

    async def fail(self, status: int, message: str) -> None:
        raise NotImplementedError

    def answer(self, pieces: list[str], call: tuple[str, str] | None) -> dict[str, Any]:
        raise NotImplementedError

    def events(self, pieces: list[str], call: tuple[str, str] | None) -> Iterator[bytes]:
        raise NotImplementedError

    async def reply(self, pieces: list[str], call: tuple[str, str] | None = None) -> None:
        if not self.is_stream:
            await self.whole(200, self.answer(pieces, call))
            return
        await self.head(200, "text/event-stream")
        for event in self.events(pieces, call):
            await self.piece(event)
        await self.piece(b"", more=False)

    async def do_say(self, rest: str) -> None:
        await self.reply(rest.split("|"))

    async def do_call(self, rest: str) -> None:
        name, _, arguments = rest.partition(" ")
        await self.reply([], (name, arguments))

    async def do_status(self, rest: str) -> None:
        status, _, message = rest.partition(" ")
        await self.fail(int(status), message or f"this is a {status}")

    async def do_slow(self, rest: str) -> None:
        if not self.is_stream:
            await asyncio.sleep(int(rest) * 0.05)
            await self.whole(200, self.answer(["slow"], None))
            return
        await self.head(200, "text/event-stream")
        for event in self.events([f"piece{n} " for n in range(int(rest))], None):
            await self.piece(event)
            await asyncio.sleep(0.05)
        await self.piece(b"", more=False)

    async def do_silent(self, rest: str) -> None:
        await self.head(200, "text/event-stream")
        for event in list(self.events(["first "], None))[:3]:
            await self.piece(event)
        await asyncio.sleep(60)

    async def do_break(self, rest: str) -> None:
        await self.head(200, "text/event-stream" if self.is_stream else "application/json", *self._length())
        for event in list(self.events(["half", "other"], None))[:3]:
            await self.piece(event)
        await asyncio.sleep(0.05)
        raise ConnectionError("the script breaks off here")

    def _length(self) -> list[tuple[bytes, bytes]]:
        return [] if self.is_stream else [(b"content-length", b"100000")]

    async def do_no_done(self, rest: str) -> None:
        await self.head(200, "text/event-stream")
        for event in list(self.events(["almost", " there"], None))[:-1]:
            await self.piece(event)
        await self.piece(b"", more=False)

    async def do_lie_type(self, rest: str) -> None:
        await self.head(200, "text/html")
        await self.piece(b"<h1>hello</h1>", more=False)

    async def do_lie_json(self, rest: str) -> None:
        await self.head(200, "text/event-stream" if self.is_stream else "application/json")
        await self.piece(b'data: {"choices": [\n\n' if self.is_stream else b'{"choices": ', more=False)

    async def do_endless(self, rest: str) -> None:
        await self.head(200, "text/event-stream" if self.is_stream else "application/json")
        await self.piece(b'data: {"choices": "')
        while True:
            await self.piece(b"x" * 65536)
            await asyncio.sleep(0)

    async def do_flood(self, rest: str) -> None:
        await self.head(200, "text/event-stream")
        events = list(self.events(["word " * 2000], None))
        for event in events[:-3]:
            await self.piece(event)
        flood = next(event for event in events if b"word word" in event)
        while True:
            await self.piece(flood)
            await asyncio.sleep(0)

    async def do_redirect(self, rest: str) -> None:
        await self.whole(307, {}, (b"location", b"http://127.0.0.1:1/steal"))

    async def do_gzip(self, rest: str) -> None:
        await self.head(200, "application/json", (b"content-encoding", b"gzip"))
        await self.piece(gzip.compress(b" " * 10_000_000), more=False)


class Chat(Wire):
    """OpenAI chat completions."""

    async def fail(self, status: int, message: str) -> None:
        error = {"error": {"message": message, "type": "server_error", "param": None, "code": "its_own"}}
        await self.whole(status, error, *([(b"retry-after", b"1")] if status == 429 else []))

    def answer(self, pieces: list[str], call: tuple[str, str] | None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None if call else "".join(pieces), "refusal": None}
        if call:
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": call[0], "arguments": call[1]}}]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop", "logprobs": None}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": self.asked["model"],
            "choices": [choice],
            "usage": USAGE,
        }

    def events(self, pieces: list[str], call: tuple[str, str] | None) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": None if call else "", "refusal": None})
        for piece in pieces:
            yield self._chunk({"content": piece})
        if call:
            head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": call[0], "arguments": ""}}
            yield self._chunk({"tool_calls": [head]})
            for start in range(0, len(call[1]), 5):
                yield self._chunk({"tool_calls": [{"index": 0, "function": {"arguments": call[1][start : start + 5]}}]})
        yield self._chunk({}, "tool_calls" if call else "stop")
        if (self.asked.get("stream_options") or {}).get("include_usage"):
            yield self._event({"choices": [], "usage": USAGE})
        yield b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]})

    def _event(self, rest: dict[str, Any]) -> bytes:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.asked["model"]}
        return b"data: " + json.dumps({**head, **rest}).encode() + b"\n\n"


class Messages(Wire):
    """Anthropic messages."""

    async def fail(self, status: int, message: str) -> None:
        error = {"type": "error", "error": {"type": "api_error", "message": message}, "request_id": "req_1"}
        await self.whole(status, error, *([(b"retry-after", b"1")] if status == 429 else []))

    def answer(self, pieces: list[str], call: tuple[str, str] | None) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "text", "text": "".join(pieces), "citations": None}
        if call:
            block = {"type": "tool_use", "id": "toolu_1", "name": call[0], "input": json.loads(call[1])}
        return {**self._message(), "content": [block], "stop_reason": "tool_use" if call else "end_turn"}

    def _message(self) -> dict[str, Any]:
        usage = {"input_tokens": 5, "output_tokens": 7}
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self.asked["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }

    def events(self, pieces: list[str], call: tuple[str, str] | None) -> Iterator[bytes]:
        yield self._event("message_start", {"message": self._message()})
        block: dict[str, Any] = {"type": "text", "text": "", "citations": None}
        if call:
            block = {"type": "tool_use", "id": "toolu_1", "name": call[0], "input": {}}
        yield self._event("content_block_start", {"index": 0, "content_block": block})
        yield self._event("ping", {})
        for piece in pieces:
            yield self._event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": piece}})
        for start in range(0, len(call[1]) if call else 0, 5):
            fragment = call[1][start : start + 5] if call else ""
            yield self._event("content_block_delta", {"index": 0, "delta": {"type": "input_json_delta", "partial_json": fragment}})
        yield self._event("content_block_stop", {"index": 0})
        delta = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
        yield self._event("message_delta", {"delta": delta, "usage": {"output_tokens": 7}})
        yield self._event("message_stop", {})

    def _event(self, name: str, rest: dict[str, Any]) -> bytes:
        return f"event: {name}\ndata: {json.dumps({'type': name, **rest})}\n\n".encode()
