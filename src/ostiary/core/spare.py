"""What one agent's refused actions may take of the disk: past it their arguments are named by size and digest, not kept."""

from collections import Counter
from collections.abc import Callable
from typing import Final

SMALL: Final = 16 * 1024
"""Bytes of arguments that are always kept."""
MOST: Final = 16 * 1024 * 1024
"""Bytes of larger arguments that are kept of one agent in a window."""
WINDOW_NS: Final = 60_000_000_000


class Spare:
    """Counts by agent; a refused action costs its sender nothing, and must not cost everybody else the ledger."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._since_ns = 0
        self._kept: Counter[str] = Counter()

    def keeps(self, agent: str, size: int) -> bool:
        """Say whether refused arguments of this size are kept, and count them."""
        if size <= SMALL:
            return True
        now = self._clock_ns()
        if not 0 <= now - self._since_ns < WINDOW_NS:
            self._since_ns = now
            self._kept.clear()
        if self._kept[agent] + size > MOST:
            return False
        self._kept[agent] += size
        return True
