"""Time that an operator cannot turn back under a running gateway."""

import time


class Clock:
    """Wall-clock time, anchored once and carried forward by the monotonic clock.

    Sessions, approvals and tokens expire by this clock, so setting the machine's date back does not prolong them.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def start_after(self, floor_ns: int) -> None:
        """Never again say a time before `floor_ns`: that of the newest ledger entry, once it has been read."""
        self._offset_ns += max(0, floor_ns - self.now_ns())

    def now_ns(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        return self._offset_ns + time.monotonic_ns()

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return (self._offset_ns + time.monotonic_ns()) / 1e9
