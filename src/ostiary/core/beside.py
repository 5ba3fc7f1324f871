"""Large values are worked on beside the event loop: one thread, for functions that change nothing and that anybody may call.

What is small stays where it is; handing over costs more than the work. The thread shares the interpreter with the loop, so it must
let go of it often: no call into C of more than some milliseconds, and shorter turns while it works.
"""

import asyncio
import sys
from collections.abc import Callable
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
    if size <= LARGE:
        return work(*args, **kwargs)
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
    pending, size = [value], 0
    while pending:
        node = pending.pop()
        kind = type(node)
        if kind is str:
            size += len(node)
        elif kind is dict:
            size += 8 * len(node) + sum(map(len, node))
        elif kind is list:
            size += 8 * len(node)
        if size > LARGE:
            return True
        if kind is dict:
            pending.extend(node.values())
        elif kind is list:
            pending.extend(node)
    return False
