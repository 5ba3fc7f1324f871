"""Identifiers: time-ordered and unguessable for records, SPIFFE-shaped for principals."""

import os
import re
import time
from collections import deque

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}\Z")
"""What a registry name may be: it ends up in URLs, policies, scopes and file names."""


_POOL = 256


class Randomness:
    """Unguessable bytes of one length, fetched from the system many at a time: each fetch is a turn at the interpreter lock."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ready: deque[bytes] = deque()
        os.register_at_fork(after_in_child=self._ready.clear)

    def take(self) -> bytes:
        """Return bytes that nobody has had."""
        try:
            return self._ready.popleft()
        except IndexError:
            size, fetched = self._size, os.urandom(self._size * _POOL)
            self._ready.extend([fetched[at : at + size] for at in range(size, len(fetched), size)])
            return fetched[:size]


_random = Randomness(10).take


def new_id() -> str:
    """Return a fresh 128-bit id, 32 hex digits, ordered by time (RFC 9562 section 5.7, version 7)."""
    random = int.from_bytes(_random())
    value = (time.time_ns() // 1_000_000) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"


def spiffe_id(trust_domain: str, kind: str, name: str) -> str:
    """Return the SPIFFE id of a principal, as `spiffe://example.org/agent/invoice-bot`."""
    return f"spiffe://{trust_domain}/{kind}/{name}"


def is_name(text: str) -> bool:
    """Say whether `text` can name a principal or resource in the registry."""
    return NAME.match(text) is not None
