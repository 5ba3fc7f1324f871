"""Time that an operator cannot turn back under a running gateway."""

import time


class Clock:
    """Wall-clock time, anchored once and carried forward by the monotonic clock.

    Sessions, approvals and tokens expire by this clock, so setting the machine's date back does not
    prolong them. `floor_ns` is the time of the newest ledger entry: time never starts before it.
    """

    def __init__(self, floor_ns: int = 0) -> None:
        self._anchor_ns = max(time.time_ns(), floor_ns)
        self._started_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        return self._anchor_ns + time.monotonic_ns() - self._started_ns

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.now_ns() / 1e9
