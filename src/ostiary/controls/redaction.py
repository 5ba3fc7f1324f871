"""Sensitive values leave as tokens and come back only to the session that had them."""

import hashlib
import hmac
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ostiary.controls.pattern import Span
from ostiary.controls.scanner import disjoint

TOKEN = re.compile(r"\[[a-z][a-z_.]{1,30}#[0-9a-f]{8}\]")
"""How a token looks, as `[pii.email#3fa94c1b]`: models copy it unchanged, and it says what stood there."""
TOKEN_LENGTH = 42
MAX_VALUES = 512
MAX_VALUE_LENGTH = 16_384
MAX_BYTES = 262_144
"""Characters of values kept a session; past it new values are still taken out, but do not come back."""


@dataclass(slots=True)
class Vault:
    """What was taken out of one session's content. Tokens are keyed, so that another session's mean nothing here."""

    key: bytes = field(default_factory=lambda: os.urandom(16))
    values: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def token(self, value: str, kind: str, *, returns: bool) -> str:
        """Return the token for a value; the same value has the same one. `returns`: the caller had the value itself."""
        mark = hmac.digest(self.key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256").hex()[:8]
        token = f"[{kind}#{mark}]"
        if returns and token not in self.values and len(self.values) < MAX_VALUES and self.size + len(value) <= MAX_BYTES:
            self.values[token] = value
            self.size += len(value)
        return token

    def restore(self, text: str, escape: Callable[[str], str] = str) -> str:
        """Put this session's values back for its tokens; any other token stays text. `escape` fits them into JSON text."""
        if not self.values or "#" not in text:
            return text
        values = self.values
        return TOKEN.sub(lambda match: escape(values[match[0]]) if match[0] in values else match[0], text)


class Vaults:
    """The vaults of the sessions used last; memory is bounded by dropping those used longest ago."""

    def __init__(self, max_sessions: int = 10_000) -> None:
        self._vaults: OrderedDict[str, Vault] = OrderedDict()
        self._max_sessions = max_sessions

    def find(self, session: str) -> Vault | None:
        """Return a session's vault if it has one."""
        return self._vaults.get(session)

    def open(self, session: str) -> Vault:
        """Return a session's vault, making it if need be."""
        vault = self._vaults.get(session)
        if vault is None:
            if len(self._vaults) >= self._max_sessions:
                self._vaults.popitem(last=False)
            vault = self._vaults[session] = Vault()
        self._vaults.move_to_end(session)
        return vault

    def drop(self, session: str) -> None:
        """Forget a session that has ended."""
        self._vaults.pop(session, None)


def redact(text: str, spans: Sequence[Span], kinds: Sequence[str], make: Callable[[str, Span], str]) -> str:
    """Return a text with the finds of the given classes replaced by `make(value, span)`."""
    out: list[str] = []
    at = 0
    for span in disjoint(spans, kinds):
        out += (text[at : span.start], make(text[span.start : span.end], span))
        at = span.end
    out.append(text[at:])
    return "".join(out)


def fingerprint(value: str) -> str:
    """Return what stands for a secret where it must be compared and not kept."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
