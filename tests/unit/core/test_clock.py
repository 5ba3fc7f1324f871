"""Expiry must not depend on a date somebody can set back."""

import time

from ostiary.core.clock import Clock


def test_time_never_starts_before_the_newest_record() -> None:
    future = time.time_ns() + 10**12
    clock = Clock()
    clock.start_after(future)
    assert clock.now_ns() >= future
    clock.start_after(0)
    assert clock.now_ns() >= future


def test_time_is_carried_by_the_monotonic_clock() -> None:
    clock = Clock()
    before = clock.now_ns()
    original = time.time_ns
    time.time_ns = lambda: 0
    try:
        assert clock.now_ns() >= before
    finally:
        time.time_ns = original
