"""Server-sent events as they arrive: an incremental, bounded reader and a writer (HTML Living Standard section 9.2)."""

from typing import Any

import msgspec

from ostiary.core.errors import UpstreamUnavailable

MAX_EVENT = 1024 * 1024
"""Bytes of one line, and of one event's data."""

encode = msgspec.json.Encoder().encode


class SseReader:
    """Turns bytes into events. Raises UpstreamUnavailable when a line or an event has no end."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0
        self._is_first = True

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Return the events that `data` completes, as (event name, data)."""
        self._rest += data
        if b"\n" not in data:
            self._bound(len(self._rest))
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        self._bound(len(lines[0]))
        self._bound(len(rest))
        events: list[tuple[str, bytes]] = []
        for line in lines:
            self._line(line.removesuffix(b"\r"), events)
        return events

    def _line(self, line: bytes, events: list[tuple[str, bytes]]) -> None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if self._data:
                events.append((self._event, b"\n".join(self._data)))
            self._event, self._data, self._size = "", [], 0
        elif line.startswith(b"data:"):
            value = line[5:].removeprefix(b" ")
            self._size += len(value) + 1
            self._bound(self._size)
            self._data.append(value)
        elif line.startswith(b"event:"):
            self._event = line[6:].strip().decode("utf-8", "replace")[:64]

    @staticmethod
    def _bound(size: int) -> None:
        if size > MAX_EVENT:
            raise UpstreamUnavailable(f"an event of the upstream's stream is over {MAX_EVENT} bytes")


def decode_event(data: bytes) -> dict[str, Any]:
    """Return the JSON object an event carries. Raises UpstreamUnavailable."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise UpstreamUnavailable("an event of the upstream's stream is not JSON") from None
    if not isinstance(value, dict):
        raise UpstreamUnavailable("an event of the upstream's stream is not an object")
    return value


def data_event(value: Any) -> bytes:
    """Return an event without a name."""
    return b"data: %b\n\n" % encode(value)


def named_event(name: str, value: Any) -> bytes:
    """Return an event with a name; `name` is ours, never an upstream's."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(value))
