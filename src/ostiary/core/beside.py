"""Large values are worked on beside the event loop: one thread, for functions that change nothing and that anybody may call.

What is small stays where it is; handing over costs more than the work. The thread shares the interpreter with the loop, so it must
let go of it often: no call into C of more than some milliseconds, and shorter turns while it works.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 64 * 1024
"""Bytes up to which a value is worked on at once."""
PIECE = 64 * 1024
"""Characters of a text that one call into C works on."""
TURN_S = 0.000_5
"""Seconds after which the thread lets the loop have the interpreter."""

_thread = ThreadPoolExecutor(1, "large")
_usual_s = sys.getswitchinterval()
_under_way: set[object] = set()


async def beside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do pure work on a value of `size` bytes: here and now when it is small, else on the thread."""
    return work(*args, **kwargs) if size <= LARGE else await aside(work, *args, **kwargs)


async def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do pure work on the thread."""
    _under_way.add(turn := object())
    sys.setswitchinterval(TURN_S)
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread, lambda: work(*args, **kwargs))
    finally:
        _under_way.discard(turn)
        if not _under_way:
            sys.setswitchinterval(_usual_s)


def is_large(value: Any) -> bool:
    """Say whether a JSON value is large, looking at no more of it than that takes."""
    try:
        return _left(value, LARGE) < 0
    except RecursionError:  # whoever reads it next refuses it
        return False


def _left(value: Any, left: int) -> int:
    """Return how much of a number of bytes a value leaves; inlined where it can be, as every answer passes here."""
    items: Iterable[Any]
    if type(value) is dict:
        left -= 8 * len(value) + len("".join(value))
        items = value.values()
    elif type(value) is list:
        left -= 8 * len(value)
        items = value
    else:
        return left - len(value) if type(value) is str else left
    if left < 0:
        return left
    for item in items:
        kind = type(item)
        if kind is str:
            left -= len(item)
        elif kind is dict or kind is list:
            left = _left(item, left)
        if left < 0:
            break
    return left
