"""Streams of an agent on their way to the caller: event by event, with text that comes in pieces looked at as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary.core.decision import Refusal
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import ContentStream
from ostiary.protocols.a2a import messages
from ostiary.protocols.a2a.exchange import Exchange

MAX_RECORDED: Final = 40_000
"""Characters of streamed text kept for the record and for what the session learns; beyond, both know that more came."""
MAX_OPEN: Final = 128
"""Artifacts that may be under way at once in one stream."""


@dataclass(slots=True)
class _Artifact:
    """An artifact under way: its last event without parts, and the channel its text goes through."""

    head: dict[str, Any]
    channel: str


@dataclass(slots=True)
class EventShaper:
    """Implements `boundaries.user_agent.Shaper`. Text of an artifact that may go on passes a channel; all else is looked at whole."""

    exchange: Exchange
    controls: ContentStream
    open: dict[str, _Artifact] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    events: int = 0
    size: int = 0

    def rest(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event without the text that arrives in pieces."""
        if not self._is_piece(event):
            return event
        update = event["artifactUpdate"]
        parts = [{**part, "text": ""} if "text" in part else part for part in update["artifact"].get("parts", [])]
        return {"artifactUpdate": {**update, "artifact": {**update["artifact"], "parts": parts}}}

    def released(self, event: dict[str, Any], rest: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the events to send now, for an event and its controlled rest."""
        self.events += 1
        state, _ = messages.status_of(event)
        if state:
            self.states = [*self.states[-15:], state]
        if not self._is_piece(event):
            whole = event.get("artifactUpdate")
            if whole is not None:
                self._note("".join(part["text"] for part in rest["artifactUpdate"]["artifact"].get("parts", []) if "text" in part))
            return [*self.tails(), rest] if messages.is_terminal(state) or "task" in event else [rest]
        return self._piece(event["artifactUpdate"], rest["artifactUpdate"])

    def tails(self) -> list[dict[str, Any]]:
        """Return what was held back of artifacts that end here."""
        found = []
        for artifact in self.open.values():
            tail = self.controls.finish(artifact.channel)
            if tail:
                self._note(tail)
                found.append(_appended(artifact.head, tail))
        self.open.clear()
        return found

    def encode(self, event: dict[str, Any]) -> bytes:
        """Return an event as the client reads it."""
        return self.exchange.event(event)

    def failure(self, refusal: Refusal) -> bytes:
        """Return the event that tells the client why its stream ends here."""
        return self.exchange.failure(refusal)

    def summary(self) -> dict[str, Any]:
        """Return what was released, bounded, for the record."""
        return {"events": self.events, "states": self.states, "text": "".join(self.texts), "is_whole": self.size <= MAX_RECORDED}

    def _is_piece(self, event: Mapping[str, Any]) -> bool:
        update = event.get("artifactUpdate")
        if update is None:
            return False
        return bool(update.get("append")) or not update.get("lastChunk") or update["artifact"].get("artifactId", "") in self.open

    def _piece(self, update: Mapping[str, Any], rest: dict[str, Any]) -> list[dict[str, Any]]:
        name = str(update["artifact"].get("artifactId", ""))
        before: list[dict[str, Any]] = []
        known = self.open.get(name)
        if known is not None and not update.get("append"):
            tail = self.controls.finish(known.channel)
            before = [_appended(known.head, tail)] if tail else []
            known = None
        if known is None:
            if len(self.open) >= MAX_OPEN:
                raise UpstreamUnavailable(f"the agent streams more than {MAX_OPEN} artifacts at once, so its stream was stopped")
            head = {key: value for key, value in rest.items() if key not in {"artifact", "append", "lastChunk", "metadata"}}
            known = self.open[name] = _Artifact(
                {**head, "artifact": {"artifactId": rest["artifact"].get("artifactId", "")}}, f"artifact:{name}"
            )
        texts = [part["text"] for part in update["artifact"].get("parts", []) if "text" in part]
        released = [self.controls.feed(known.channel, text) for text in texts]
        if update.get("lastChunk"):
            tail = self.controls.finish(known.channel)
            del self.open[name]
            if released:
                released[-1] += tail
            elif tail:
                before.append(_appended(known.head, tail))
        self._note("".join(released))
        filling = iter(released)
        parts = [{**part, "text": next(filling)} if "text" in part else part for part in rest["artifact"].get("parts", [])]
        return [*before, {"artifactUpdate": {**rest, "artifact": {**rest["artifact"], "parts": parts}}}]

    def _note(self, text: str) -> None:
        if self.size <= MAX_RECORDED:
            self.texts.append(text[: MAX_RECORDED + 1 - self.size])
        self.size += len(text)


def _appended(head: Mapping[str, Any], tail: str) -> dict[str, Any]:
    return {"artifactUpdate": {**head, "artifact": {**head["artifact"], "parts": [{"text": tail}]}, "append": True}}
