"""Sensitive values leave as tokens and come back only to the session that had them."""

import hmac
import os
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

TOKEN = re.compile(r"\[[a-z][a-z_.]{1,30}#[0-9a-f]{8}\]")
"""How a token looks, as `[pii.email#3fa94c1b]`: models copy it unchanged, and it says what stood there."""
TOKEN_LENGTH = 42
MAX_POOL = 32_000_000
"""Characters of values kept in all sessions; past it the sessions used longest ago give theirs up."""
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
    pool: list[int] = field(default_factory=lambda: [0])
    """The characters kept in all vaults together."""

    def token(self, value: str, kind: str, *, returns: bool) -> str:
        """Return the token for a value; the same value has the same one. `returns`: the caller had the value itself."""
        content = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        token = self._named(kind, content)
        while self.values.get(token, value) != value:
            content += b"\0"
            token = self._named(kind, content)
        if returns and token not in self.values and len(self.values) < MAX_VALUES and self.size + len(value) <= MAX_BYTES:
            self.values[token] = value
            self.size += len(value)
            self.pool[0] += len(value)
        return token

    def _named(self, kind: str, content: bytes) -> str:
        return f"[{kind}#{hmac.digest(self.key, content, 'sha256').hex()[:8]}]"

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
        self._pool = [0]

    def find(self, session: str) -> Vault | None:
        """Return a session's vault if it has one."""
        return self._vaults.get(session)

    def open(self, session: str) -> Vault:
        """Return a session's vault, making it if need be."""
        vault = self._vaults.get(session)
        if vault is None:
            while self._vaults and (len(self._vaults) >= self._max_sessions or self._pool[0] >= MAX_POOL):
                self.drop(next(iter(self._vaults)))
            vault = self._vaults[session] = Vault(pool=self._pool)
        self._vaults.move_to_end(session)
        return vault

    def drop(self, session: str) -> None:
        """Forget a session that has ended."""
        vault = self._vaults.pop(session, None)
        self._pool[0] -= vault.size if vault else 0
