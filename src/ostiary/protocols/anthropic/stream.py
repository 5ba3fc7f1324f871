"""Message events on their way back: rebuilt from values, so that nothing travels that was not released."""

from collections.abc import Callable
from typing import Any

from ostiary.core.decision import Refusal
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import ContentStream
from ostiary.core.registry import Model
from ostiary.protocols.model_text import Channels, figures, label, small_index, word
from ostiary.protocols.sse import SseReader, decode_event, named_event

DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"), "tool_use": ("input_json_delta", "partial_json")}
"""For each kind of block: the delta that writes it, and the delta's member with the text."""
_CHANNELS = {"text": "content", "thinking": "reasoning", "tool_use": "tool"}


class EventTranslator:
    """Implements `boundaries.agent_model.Translator` for messages."""

    def __init__(self, model: Model, controls: ContentStream, error: Callable[[Refusal], dict[str, Any]]) -> None:
        self._name = model.name
        self._is_mapped = model.upstream_name not in {"", model.name}
        self._channels = Channels(controls)
        self._error = error
        self._reader = SseReader()
        self._blocks: dict[int, str] = {}
        self._open: int | None = None
        self._tools: dict[str, str] = {}
        self._head: dict[str, Any] | None = None
        self._stop: Any = None
        self._usage: dict[str, Any] = {}
        self._citations = 0
        self._handlers: dict[str, Callable[[dict[str, Any]], bytes]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
            "ping": lambda _: named_event("ping", {"type": "ping"}),
            "error": self._upstream_error,
        }
        self.is_complete = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the upstream and return events for the client. Raises UpstreamUnavailable when it lies."""
        events: list[bytes] = []
        for _, payload in self._reader.feed(data):
            event = decode_event(payload)
            kind = event.get("type")
            handler = self._handlers.get(kind) if isinstance(kind, str) else None
            if handler is None:
                continue
            if self._head is None and kind not in {"message_start", "ping", "error"}:
                raise UpstreamUnavailable("the upstream's stream does not begin with a message")
            events.append(handler(event))
            if self.is_complete:
                break
        return b"".join(events)

    def ending(self) -> bytes:
        """Return the end of a complete stream."""
        return named_event("message_stop", {"type": "message_stop"})

    def failure(self, refusal: Refusal) -> bytes:
        """Return an error event; no `message_stop` follows it."""
        return named_event("error", self._error(refusal))

    def completion(self) -> dict[str, Any]:
        """Return what was released, for the record."""
        return {
            "texts": self._channels.texts(),
            "tools": self._tools,
            "finish": self._stop,
            "usage": self._usage,
            "model": (self._head or {}).get("model"),
            "is_whole": self._channels.is_whole,
        }

    def _message_start(self, event: dict[str, Any]) -> bytes:
        message = event.get("message")
        if self._head is not None or not isinstance(message, dict) or message.get("content"):
            raise UpstreamUnavailable("the upstream's stream begins in a way that makes no sense")
        self._usage = figures(message.get("usage")) or {}
        self._head = {
            "id": label(message.get("id"), "msg"),
            "type": "message",
            "role": "assistant",
            "model": self._name if self._is_mapped else label(message.get("model"), self._name),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage,
        }
        return named_event("message_start", {"type": "message_start", "message": self._head})

    def _block_start(self, event: dict[str, Any]) -> bytes:
        index, block = small_index(event.get("index")), event.get("content_block")
        if self._open is not None or index in self._blocks or not isinstance(block, dict):
            raise UpstreamUnavailable("a block of the upstream's stream begins where none can")
        kind = str(block.get("type"))
        self._blocks[index], self._open = kind, index
        started: dict[str, Any] = {"type": kind}
        if kind == "text":
            started |= {"text": "", "citations": None}
        elif kind == "thinking":
            started |= {"thinking": "", "signature": ""}
        elif kind == "redacted_thinking":
            started["data"] = _opaque(block.get("data"))
        elif kind == "tool_use":
            started |= {"id": word(block.get("id"), ""), "name": word(block.get("name"), ""), "input": {}}
            if block.get("toolset_name") is not None:
                started["toolset_name"] = word(block["toolset_name"])
            self._tools[f"tool:{index}"] = started["name"]
        else:
            raise UpstreamUnavailable(f"the upstream sent a block `{kind[:60]}`, which nobody asked for")
        first = block.get("text" if kind == "text" else "thinking")
        head = named_event("content_block_start", {"type": "content_block_start", "index": index, "content_block": started})
        return head + (self._release(index, kind, first) if isinstance(first, str) and kind in DELTAS else b"")

    def _block_delta(self, event: dict[str, Any]) -> bytes:
        index, delta = small_index(event.get("index")), event.get("delta")
        if index != self._open or not isinstance(delta, dict):
            raise UpstreamUnavailable("the upstream's stream writes into a block that is not open")
        kind, wanted = delta.get("type"), self._blocks[index]
        if wanted in DELTAS and kind == DELTAS[wanted][0]:
            text = delta.get(DELTAS[wanted][1])
            if isinstance(text, str):
                return self._release(index, wanted, text)
        if kind == "signature_delta" and wanted == "thinking":
            return _delta(index, {"type": kind, "signature": _opaque(delta.get("signature"))})
        if kind == "citations_delta" and wanted == "text":
            return _delta(index, {"type": kind, "citation": self._inspected(delta.get("citation"))})
        raise UpstreamUnavailable("the upstream's stream writes what its block cannot hold")

    def _block_stop(self, event: dict[str, Any]) -> bytes:
        index = small_index(event.get("index"))
        if index != self._open:
            raise UpstreamUnavailable("the upstream's stream ends a block that is not open")
        self._open = None
        kind = self._blocks[index]
        tail = self._channels.finish(_channel(kind, index)) if kind in DELTAS else ""
        stop = named_event("content_block_stop", {"type": "content_block_stop", "index": index})
        return (_text_delta(index, kind, tail) if tail else b"") + stop

    def _message_delta(self, event: dict[str, Any]) -> bytes:
        delta = event.get("delta")
        if self._open is not None or not isinstance(delta, dict):
            raise UpstreamUnavailable("the upstream's stream ends its message in the middle of a block")
        self._stop = word(delta.get("stop_reason"))
        self._usage = {**self._usage, **(figures(event.get("usage")) or {})}
        ended: dict[str, Any] = {"stop_reason": self._stop, "stop_sequence": self._inspected(delta.get("stop_sequence"))}
        if delta.get("stop_details") is not None:
            ended["stop_details"] = self._inspected(delta["stop_details"])
        usage = {"output_tokens": 0, **(figures(event.get("usage")) or {})}
        return named_event("message_delta", {"type": "message_delta", "delta": ended, "usage": usage})

    def _message_stop(self, _: dict[str, Any]) -> bytes:
        if self._open is not None or self._stop is None:
            raise UpstreamUnavailable("the upstream's stream ended before its answer was complete")
        self.is_complete = True
        return b""

    def _upstream_error(self, event: dict[str, Any]) -> bytes:
        error = event.get("error")
        kind = word(error.get("type"), "error") if isinstance(error, dict) else "error"
        raise UpstreamUnavailable(f"the model's upstream reported `{kind}` in its stream")

    def _release(self, index: int, kind: str, text: str) -> bytes:
        released = self._channels.feed(_channel(kind, index), text)
        return _text_delta(index, kind, released) if released else b""

    def _inspected(self, value: Any, depth: int = 6) -> Any:
        """Return a small value with each of its texts passed through the controls."""
        if isinstance(value, str):
            self._citations += 1
            return self._channels.whole(f"aside:{self._citations}", value)
        if isinstance(value, dict) and depth:
            return {word(key): self._inspected(item, depth - 1) for key, item in value.items()}
        if isinstance(value, list) and depth:
            return [self._inspected(item, depth - 1) for item in value]
        return value if value is None or isinstance(value, bool | int | float) else None


def _channel(kind: str, index: int) -> str:
    return f"{_CHANNELS[kind]}:{index}"


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return named_event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})


def _text_delta(index: int, kind: str, text: str) -> bytes:
    name, member = DELTAS[kind]
    return _delta(index, {"type": name, member: text})


def _opaque(value: Any) -> str:
    """Return a sealed string (base64) as it is. Raises UpstreamUnavailable when it is text."""
    if isinstance(value, str) and value.isascii() and not any(character.isspace() for character in value):
        return value
    raise UpstreamUnavailable("the upstream put text where a sealed value belongs")
