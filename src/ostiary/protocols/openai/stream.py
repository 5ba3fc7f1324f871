"""Chat completion chunks on their way back: rebuilt from values, so that nothing travels that was not released."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ostiary.core.decision import Refusal
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import ContentStream
from ostiary.core.registry import Model
from ostiary.protocols.model_text import Channels, figures, label, small_index, word
from ostiary.protocols.sse import SseReader, data_event, decode_event

TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
"""The members of a delta that carry text."""


@dataclass(slots=True)
class Choice:
    """One of the answers of a stream."""

    suffix: str
    """Sets the channels of further choices apart: controls know `content` and `tool:…` by how they begin."""
    finish: str | None = None
    tool: int | None = None
    """The tool call that is being written."""
    tools: dict[int, str] = field(default_factory=dict)
    """Names of the called tools, by index."""


class ChunkTranslator:
    """Implements `boundaries.agent_model.Translator` for chat completions."""

    def __init__(self, model: Model, controls: ContentStream, error: Callable[[Refusal], dict[str, Any]]) -> None:
        self._name = model.name
        self._is_mapped = model.upstream_name not in {"", model.name}
        self._channels = Channels(controls)
        self._error = error
        self._reader = SseReader()
        self._choices: dict[int, Choice] = {}
        self._head: dict[str, Any] = {}
        self._usage: Any = None
        self.is_complete = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the upstream and return events for the client. Raises UpstreamUnavailable when it lies."""
        events: list[bytes] = []
        for _, payload in self._reader.feed(data):
            if payload == b"[DONE]":
                if not self._choices or any(choice.finish is None for choice in self._choices.values()):
                    raise UpstreamUnavailable("the upstream's stream ended before its answer was complete")
                self.is_complete = True
                break
            events.extend(map(data_event, self._chunks(decode_event(payload))))
        return b"".join(events)

    def ending(self) -> bytes:
        """Return the end of a complete stream."""
        return b"data: [DONE]\n\n"

    def failure(self, refusal: Refusal) -> bytes:
        """Return an error event; no `[DONE]` follows it."""
        return data_event(self._error(refusal))

    def completion(self) -> dict[str, Any]:
        """Return what was released, for the record."""
        return {
            "texts": self._channels.texts(),
            "tools": {f"tool:{index}{choice.suffix}": name for choice in self._choices.values() for index, name in choice.tools.items()},
            "finish": {str(index): choice.finish for index, choice in self._choices.items()},
            "usage": self._usage,
            "model": self._head.get("model"),
            "is_whole": self._channels.is_whole,
        }

    def _chunks(self, chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
        choices = chunk.get("choices")
        if chunk.get("error") is not None or not isinstance(choices, list):
            raise UpstreamUnavailable("the model's upstream reported an error in its stream")
        self._head = head = self._heading(chunk)
        for raw in choices:
            if not isinstance(raw, dict):
                raise UpstreamUnavailable("a choice of the upstream's stream is not an object")
            for piece in self._choice(raw):
                yield {**head, "choices": [piece]}
        if chunk.get("usage") is not None:
            self._usage = figures(chunk["usage"])
            yield {**head, "choices": [], "usage": self._usage}

    def _heading(self, chunk: dict[str, Any]) -> dict[str, Any]:
        created = chunk.get("created")
        head = {
            "id": label(chunk.get("id"), "chatcmpl"),
            "object": "chat.completion.chunk",
            "created": created if isinstance(created, int) else 0,
            "model": self._name if self._is_mapped else label(chunk.get("model"), self._name),
        }
        for name in ("system_fingerprint", "service_tier"):
            if chunk.get(name) is not None:
                head[name] = label(chunk[name], "")
        return head

    def _choice(self, raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
        index = small_index(raw.get("index", 0))
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice("" if index == 0 else f"@{index}")
        delta = raw.get("delta")
        released = self._delta(choice, delta) if isinstance(delta, dict) else {}
        finish = word(raw.get("finish_reason"))
        if choice.finish is not None:
            if any(released[name] for name in released if name != "role") or finish not in {None, choice.finish}:
                raise UpstreamUnavailable("the upstream's stream goes on with a choice that had ended")
            return
        if finish is not None:
            self._flush(choice, released)
        if released:
            yield {"index": index, "delta": released, "finish_reason": None}
        if finish is not None:
            choice.finish = finish
            yield {"index": index, "delta": {}, "finish_reason": finish}

    def _delta(self, choice: Choice, delta: dict[str, Any]) -> dict[str, Any]:
        released: dict[str, Any] = {}
        if delta.get("role") is not None:
            released["role"] = word(delta["role"])
        for name in TEXTS:
            text = delta.get(name)
            if text is None:
                continue
            if not isinstance(text, str):
                raise UpstreamUnavailable("the upstream put something else where text belongs")
            piece = self._channels.feed(name + choice.suffix, text)
            if piece or ("role" in released and name == "content"):
                released[name] = piece
        calls = delta.get("tool_calls")
        if calls:
            released_calls = [piece for call in calls for piece in self._tool_call(choice, call)]
            if released_calls:
                released["tool_calls"] = released_calls
        old = delta.get("function_call")
        if isinstance(old, dict):
            released.update(self._function_call(choice, old))
        return released

    def _tool_call(self, choice: Choice, call: Any) -> Iterator[dict[str, Any]]:
        if not isinstance(call, dict):
            raise UpstreamUnavailable("a tool call of the upstream's stream is not an object")
        index = small_index(call.get("index", 0))
        if choice.tool is not None and index != choice.tool:
            tail = self._channels.finish(f"tool:{choice.tool}{choice.suffix}")
            if tail:
                yield {"index": choice.tool, "function": {"arguments": tail}}
        choice.tool = index
        piece: dict[str, Any] = {"index": index}
        for name in ("id", "type"):
            if call.get(name) is not None:
                piece[name] = word(call[name])
        for kind, text in (("function", "arguments"), ("custom", "input")):
            if isinstance(call.get(kind), dict):
                inner = self._called(choice, index, call[kind], text)
                if inner:
                    piece[kind] = inner
        if len(piece) > 1:
            yield piece

    def _called(self, choice: Choice, index: int, body: dict[str, Any], text: str) -> dict[str, Any]:
        inner: dict[str, Any] = {}
        if body.get("name") is not None:
            inner["name"] = choice.tools[index] = word(body["name"])
        written = body.get(text)
        if isinstance(written, str):
            inner[text] = self._channels.feed(f"tool:{index}{choice.suffix}", written)
        return inner if inner.get(text) or "name" in inner else {}

    def _function_call(self, choice: Choice, call: dict[str, Any]) -> dict[str, Any]:
        released: dict[str, Any] = {}
        if call.get("name") is not None:
            released["name"] = word(call["name"])
        if isinstance(call.get("arguments"), str):
            piece = self._channels.feed(f"tool:function{choice.suffix}", call["arguments"])
            if piece or "name" in released:
                released["arguments"] = piece
        return {"function_call": released} if released else {}

    def _flush(self, choice: Choice, released: dict[str, Any]) -> None:
        """Add the held-back tails of a choice that ends to what is released with its last piece."""
        for name in TEXTS:
            tail = self._channels.finish(name + choice.suffix)
            if tail:
                released[name] = released.get(name, "") + tail
        tail = self._channels.finish(f"tool:{choice.tool}{choice.suffix}") if choice.tool is not None else ""
        if tail:
            released.setdefault("tool_calls", []).append({"index": choice.tool, "function": {"arguments": tail}})
        tail = self._channels.finish(f"tool:function{choice.suffix}")
        if tail:
            call = released.setdefault("function_call", {})
            call["arguments"] = call.get("arguments", "") + tail
