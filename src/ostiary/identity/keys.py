"""Keys of agents and operators: shown once, kept as hashes, rotated with overlap, revoked at once."""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass, replace
from typing import Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidConfig, NotFound
from ostiary.core.ids import new_id
from ostiary.identity.backing import Backing, changes
from ostiary.identity.record import IdentityRecord
from ostiary.identity.roles import ROLES

AGENT, OPERATOR = "agent", "operator"
PREFIXES: Final = {AGENT: "osk_", OPERATOR: "ook_"}
_KIND, _SALT_KIND = "identity/key", "identity/salt"
_SECRET_LENGTH = 43
_PREFIX_SHOWN = 10
MAX_OVERLAP_S = 30 * 86400
MAX_KEYS = 16
"""Live keys that one agent or operator may have."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept. `hash` is a keyed hash of 256 random bits, so a fast one is enough."""

    id: str
    kind: str
    holder: str
    """The agent, or the person or program the operator key was made for."""
    prefix: str
    hash: str
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    roles: frozenset[str] = frozenset()
    """Control-plane roles; operator keys only."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its secret, which is never to be had again."""

    id: str
    prefix: str
    secret: str
    expires_at: float | None


class KeyRing:
    """All keys, in memory by hash; every change recorded, durable, then effective."""

    def __init__(self, backing: Backing, record: IdentityRecord) -> None:
        self._backing = backing
        self._record = record
        self._keys = backing.load(_KIND, Key)
        self._by_hash = {key.hash: key.id for key in self._keys.values()}
        salts = backing.load(_SALT_KIND, str)
        self._salt = base64.b64decode(salts["keys"]) if "keys" in salts else b""

    async def start(self) -> None:
        """Make the hashing key on first use. Raises Unavailable."""
        if not self._salt:
            salt = os.urandom(32)
            await self._backing.save(_SALT_KIND, {"keys": base64.b64encode(salt).decode()})
            self._salt = salt

    async def issue_agent_key(self, agent: str, *, by: str, ttl_s: float | None = None) -> IssuedKey:
        """Make a key for a registered agent. Raises NotFound, InvalidConfig, Unavailable."""
        if agent not in self._backing.registry.agents:
            raise NotFound(f"no agent `{agent}` is registered", remedy="register it with ostiary apply")
        return await self._issue(AGENT, agent, by, ttl_s, frozenset())

    async def issue_operator_key(self, name: str, roles: frozenset[str], *, by: str, ttl_s: float | None = None) -> IssuedKey:
        """Make a key for the control plane. To approve, `name` must be a registered user. Raises InvalidConfig, Unavailable."""
        if unknown := sorted(roles - ROLES):
            raise InvalidConfig(f"no role `{unknown[0]}`: roles are {', '.join(sorted(ROLES))}")
        if not roles:
            raise InvalidConfig("an operator key needs a role", remedy=f"choose from {', '.join(sorted(ROLES))}")
        return await self._issue(OPERATOR, name, by, ttl_s, roles)

    async def rotate(self, key_id: str, *, by: str, overlap_s: float = 3600.0) -> IssuedKey:
        """Make a successor; the old key ends after `overlap_s`. Raises NotFound, InvalidConfig, Unavailable."""
        old = self._live(key_id)
        if not 0 <= overlap_s <= MAX_OVERLAP_S:
            raise InvalidConfig(f"overlap of {overlap_s:.0f} s is not between 0 and {MAX_OVERLAP_S} s")
        ends_at = min(self._backing.now() + overlap_s, old.expires_at or float("inf"))
        issued = await self._issue(old.kind, old.holder, by, None, old.roles)
        await self._record.event("rotate", action=f"{old.kind}_key", detail={"old": old.id, "new": issued.id}, **self._about(old, by))
        await self._keep(replace(self._keys[old.id], expires_at=ends_at))
        return issued

    async def revoke(self, key_id: str, *, by: str, reason: str = "") -> None:
        """End a key now: also when the record or the store then fails, in which case it raises Unavailable."""
        key = self._keys.get(key_id)
        if key is None:
            raise NotFound(f"no key `{key_id[:64]}`")
        if key.revoked_at is None:
            ended = replace(key, revoked_at=self._backing.now())
            self._keys[key_id] = ended
            await self._record.event("revoke", action=f"{key.kind}_key", detail={"key": key.id, "reason": reason}, **self._about(key, by))
            await self._keep(ended)

    async def revoke_all(self, kind: str, holder: str, *, by: str, reason: str = "") -> int:
        """End all keys of one agent or operator; return how many."""
        keys = [key.id for key in self._keys.values() if key.kind == kind and key.holder == holder and key.revoked_at is None]
        for key_id in keys:
            await self.revoke(key_id, by=by, reason=reason)
        return len(keys)

    def verify(self, secret: str, kind: str) -> Key | Refusal:
        """Return the live key `secret` is, or why it is none."""
        key = self._keys.get(self._by_hash.get(self._hash(secret), ""))
        if key is None or key.kind != kind:
            return refuse("no_session", f"no such {kind} key", remedy=f"make one with `ostiary {kind} key`")
        return self.standing(key.id) or key

    def standing(self, key_id: str) -> Refusal | None:
        """Return why a key may not be used now."""
        key = self._keys.get(key_id)
        if key is None or key.revoked_at is not None:
            return refuse("revoked", "the key was revoked", remedy="ask for a new key")
        if key.expires_at is not None and self._backing.now() >= key.expires_at:
            return refuse("expired", "the key is past its end", remedy="use its successor, or ask for a new key")
        return None

    def is_revoked(self, key_id: str) -> bool:
        """Say whether a key was revoked, which ends its sessions too; one that merely expired does not."""
        key = self._keys.get(key_id)
        return key is None or key.revoked_at is not None

    def list(self, kind: str | None = None, holder: str | None = None) -> list[Key]:
        """Return keys, newest last."""
        return [k for k in sorted(self._keys.values(), key=lambda k: k.id) if kind in (None, k.kind) and holder in (None, k.holder)]

    def find(self, key_id: str) -> Key | None:
        """Return a key by id."""
        return self._keys.get(key_id)

    async def _issue(self, kind: str, holder: str, by: str, ttl_s: float | None, roles: frozenset[str]) -> IssuedKey:
        if sum(self.standing(key.id) is None for key in self.list(kind, holder)) >= MAX_KEYS:
            raise InvalidConfig(f"`{holder}` has {MAX_KEYS} live keys already", remedy="revoke one first")
        if ttl_s is not None and ttl_s <= 0:
            raise InvalidConfig("a key must live longer than 0 s")
        secret = PREFIXES[kind] + base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
        now = self._backing.now()
        ends_at = None if ttl_s is None else now + ttl_s
        key = Key(new_id(), kind, holder, secret[:_PREFIX_SHOWN], self._hash(secret), now, by, ends_at, None, roles)
        detail = {"key": key.id, "prefix": key.prefix, "roles": sorted(roles)}
        await self._record.event("issue", action=f"{kind}_key", detail=detail, **self._about(key, by))
        await self._keep(key)
        return IssuedKey(key.id, key.prefix, secret, ends_at)

    async def _keep(self, key: Key) -> None:
        await self._backing.store.write(changes(_KIND, {key.id: key}))
        current = self._keys.get(key.id)
        if current is not None and current.revoked_at is not None:
            key = replace(key, revoked_at=current.revoked_at)
        self._keys[key.id] = key
        self._by_hash[key.hash] = key.id

    def _about(self, key: Key, by: str) -> dict[str, str]:
        """Name whom the key is for: a workload in clear, a person as a handle."""
        agent = self._backing.registry.agent_principal(key.holder) if key.kind == AGENT else None
        about = {"user": by, "resource": f"Key::{key.id}"}
        return {**about, "actor": agent.id, "owner": agent.owner or ""} if agent else about

    def _live(self, key_id: str) -> Key:
        key = self._keys.get(key_id)
        if key is None or self.standing(key_id) is not None:
            raise NotFound(f"no live key `{key_id[:64]}`")
        return key

    def _hash(self, secret: str) -> str:
        """Hash with a key from the sealed store; a lookup by hash gives timing nothing to tell."""
        return hmac.digest(self._salt or _unstarted(), secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def _unstarted() -> bytes:
    raise RuntimeError("the key ring was not started")
