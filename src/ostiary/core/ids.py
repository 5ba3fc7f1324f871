"""Identifiers: time-ordered and unguessable for records, SPIFFE-shaped for principals."""

import os
import re
import time

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}\Z")
"""What a registry name may be: it ends up in URLs, policies, scopes and file names."""


def new_id() -> str:
    """Return a fresh 128-bit id, 32 hex digits, ordered by time (RFC 9562 section 5.7, version 7)."""
    random = int.from_bytes(os.urandom(10))
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
