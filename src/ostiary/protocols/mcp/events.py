"""Server-sent events as MCP streams use them: with the ids and pauses that let a stream be resumed."""

from ostiary.core.errors import UpstreamUnavailable

MAX_EVENT = 8 * 1024 * 1024
MAX_EVENTS = 20_000


class EventReader:
    """Turns the bytes of one stream into the data of its events; bounded in size and number."""

    def __init__(self) -> None:
        self.last_id = ""
        """Where the stream can be resumed; empty when it cannot."""
        self.retry_ms = 1000
        self._tail: list[bytes] = []
        self._waiting = 0
        self._data: list[bytes] = []
        self._size = 0
        self._count = 0

    def restart(self) -> None:
        """Begin with a new body of the same stream."""
        self._tail, self._waiting = [], 0
        self._data, self._size = [], 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of the events that `piece` completes. Raises UpstreamUnavailable past the bounds."""
        self._tail.append(piece)
        self._waiting += len(piece)
        if self._waiting + self._size > MAX_EVENT:
            raise UpstreamUnavailable("an event of the upstream is too large")
        if b"\n" not in piece:
            return []
        *lines, rest = b"".join(self._tail).split(b"\n")
        self._tail, self._waiting = [rest], len(rest)
        found = [self._line(line.removesuffix(b"\r")) for line in lines]
        return [data for data in found if data is not None]

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            return self._event()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
        elif field == b"id" and len(value) < 1024 and all(0x20 < byte < 0x7F for byte in value):
            self.last_id = value.decode()
        elif field == b"retry" and value.isdigit():
            self.retry_ms = int(value[:9])
        return None

    def _event(self) -> bytes | None:
        self._count += 1
        if self._count > MAX_EVENTS:
            raise UpstreamUnavailable("the upstream sent too many events")
        data = b"\n".join(self._data).strip()
        self._data, self._size = [], 0
        return data or None
