"""What the model wires share about streamed answers: channels through the content controls, and a bounded copy for the record."""

import re
from typing import Any

from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import ContentStream

MAX_KEPT = 64 * 1024
"""Characters of a streamed answer that are kept for the record."""
MAX_CHANNELS = 256
_WORD = re.compile(r"[A-Za-z0-9_.:/+=@-]{0,256}\Z")


class Channels:
    """The texts of one answer on their way through the content controls."""

    def __init__(self, controls: ContentStream) -> None:
        self._controls = controls
        self._open: dict[str, None] = {}
        self._ended: set[str] = set()
        self._texts: dict[str, list[str]] = {}
        self._kept = 0
        self.is_whole = True

    def feed(self, channel: str, text: str) -> str:
        """Take a piece of text and return what may be released now."""
        if not text:
            return ""
        if channel not in self._open:
            if channel in self._ended:
                raise UpstreamUnavailable("the upstream's stream goes on with a part that had ended")
            if len(self._open) + len(self._ended) >= MAX_CHANNELS:
                raise UpstreamUnavailable("the upstream's stream has too many parts")
            self._open[channel] = None
        return self._keep(channel, self._controls.feed(channel, text))

    def finish(self, channel: str) -> str:
        """End a channel and return its tail; nothing when it was never opened."""
        if channel not in self._open:
            return ""
        del self._open[channel]
        self._ended.add(channel)
        return self._keep(channel, self._controls.finish(channel))

    def whole(self, channel: str, text: str) -> str:
        """Take a text that comes in one piece."""
        return self._keep(channel, self._controls.feed(channel, text) + self._controls.finish(channel))

    @property
    def open(self) -> list[str]:
        """The channels that have not ended, in the order they began."""
        return list(self._open)

    def texts(self) -> dict[str, str]:
        """Return what was released, by channel, as far as it was kept."""
        return {channel: "".join(pieces) for channel, pieces in self._texts.items()}

    def _keep(self, channel: str, text: str) -> str:
        room = MAX_KEPT - self._kept
        if len(text) > room:
            self.is_whole = False
        kept = text[:room]
        if kept:
            self._kept += len(kept)
            self._texts.setdefault(channel, []).append(kept)
        return text


def word(value: Any, default: Any = None) -> Any:
    """Return an identifier as it is; raises UpstreamUnavailable for text in the place of one."""
    if value is None:
        return default
    if isinstance(value, str) and _WORD.match(value):
        return value
    raise UpstreamUnavailable("the upstream put text where an identifier belongs")


def label(value: Any, default: str) -> str:
    """Return a name that only informs, or `default` where it could carry text."""
    return value if isinstance(value, str) and _WORD.match(value) else default


def figures(value: Any, depth: int = 3) -> Any:
    """Return counts and the words beside them (`usage`), and nothing that could carry text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict) and depth and len(value) <= 64:
        return {word(key): figures(item, depth - 1) for key, item in value.items()}
    return word(value) if isinstance(value, str) else None


def small_index(value: Any) -> int:
    """Return a choice's, block's or call's index. Raises UpstreamUnavailable."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_CHANNELS:
        return value
    raise UpstreamUnavailable("the upstream's stream has an index that makes no sense")
