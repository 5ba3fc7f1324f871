"""What a credential opens: a session token its session, an autonomous agent's key an hourly one of its own; looked at once, believed anew each time."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.ports import Credential
from ostiary.core.subject import Session
from ostiary.identity.backing import Backing
from ostiary.identity.keeper import Live
from ostiary.identity.keys import AGENT, PREFIXES, Key, KeyRing
from ostiary.identity.lending import Ask
from ostiary.identity.roster import Roster
from ostiary.identity.session_record import SessionRecord
from ostiary.identity.standing import Standing, unfit
from ostiary.identity.tokens import SESSION_TYPE, Signer, acting

MAX_CACHED: Final = 65_536


@dataclass(frozen=True, slots=True)
class Opened:
    """A session with its token, which is shown once."""

    session: Session
    token: str
    expires_at: float


Open = Callable[[Ask, Credential | None], Awaitable[Opened | Refusal]]


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token or key that was verified once: what it opens, until when, and what it depends on."""

    live: Live
    expires_at: float
    kid: str = ""
    key: str = ""


class Credentials:
    """Verifies tokens and keys, and remembers by their hash what they opened."""

    def __init__(
        self,
        backing: Backing,
        signer: Signer,
        keys: KeyRing,
        *,
        roster: Roster,
        standing: Standing,
        record: SessionRecord,
        open_session: Open,
    ) -> None:
        self._backing = backing
        self._signer = signer
        self._keys = keys
        self._roster = roster
        self._standing = standing
        self._record = record
        self._open = open_session
        self._opening = asyncio.Lock()
        self._verified: dict[bytes, _Verified] = {}

    async def find(self, credential: Credential) -> Live | Refusal:
        """Return the session that a credential opens, when it stands; failures are recorded."""
        mark = hashlib.sha256(credential.token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(mark)
        if known is None:
            found = await self._verify(credential, mark)
            if isinstance(found, Refusal):
                return found
            known = found
        live = known.live
        refusal = self._unverified(known) or self._standing.of(live)
        if refusal is not None:
            self._verified.pop(mark, None)
            return await self._record.refused(credential, refusal, live)
        return live

    async def _verify(self, credential: Credential, mark: bytes) -> _Verified | Refusal:
        if credential.token.startswith(PREFIXES[AGENT]):
            found = await self._by_key(credential)
        else:
            found = self._by_token(credential.token)
        if isinstance(found, Refusal):
            return await self._record.refused(credential, found)
        refusal = self._standing.of(found.live)
        if refusal is not None:
            return await self._record.refused(credential, refusal, found.live)
        await self._record.authenticated(credential, found.live, by_key=bool(found.key))
        if len(self._verified) >= MAX_CACHED:
            self._verified.pop(next(iter(self._verified)))
        self._verified[mark] = found
        return found

    def _by_token(self, token: str) -> _Verified | Refusal:
        if not token:
            return refuse("no_session", "no credential was presented", remedy="get a session token at /oauth/token")
        claims = self._signer.verify(token, SESSION_TYPE)
        if isinstance(claims, Refusal):
            return claims
        live = self._roster.lives.get(str(claims.get("sid", "")))
        if live is None:
            return refuse("expired", "the session of this token is over", remedy="open a new session")
        lender, actors = chain_of(live)
        if claims.get("act") != acting(actors) or claims["sub"] != lender or live.kept.implicit:
            return refuse("no_session", "the token does not belong to its session", remedy="get a session token at /oauth/token")
        return _Verified(live, claims["exp"], claims["kid"])

    async def _by_key(self, credential: Credential) -> _Verified | Refusal:
        key = self._keys.verify(credential.token, AGENT)
        if isinstance(key, Refusal):
            return key
        async with self._opening:
            live = self._roster.implicit(key.id)
            if live is None or self._backing.now() >= live.kept.expires_at:
                opened = await self._open_implicit(key, credential)
                if isinstance(opened, Refusal):
                    return opened
                live = self._roster.lives[opened.session.id]
        return _Verified(live, live.kept.expires_at, key=key.id)

    async def _open_implicit(self, key: Key, credential: Credential) -> Opened | Refusal:
        agent = self._backing.registry.agents.get(key.holder)
        refusal = unfit(self._backing.registry, key.holder, None)
        if refusal is not None or agent is None:
            return refusal or refuse("revoked", "the agent is not registered")
        ask = Ask(agent.name, None, agent.scopes, agent.purpose, method="agent_key", key=key.id, implicit=True)
        return await self._open(ask, credential)

    def _unverified(self, known: _Verified) -> Refusal | None:
        """Return why what was verified once is believed no more."""
        if known.key:
            return self._keys.standing(known.key)
        if not self._signer.knows(known.kid):
            return refuse("revoked", "the key that signed the token is revoked", remedy="get a new session token at /oauth/token")
        if self._backing.now() >= known.expires_at:
            return refuse("expired", "the token is past its end", remedy="get a new session token at /oauth/token")
        return None


def chain_of(live: Live) -> tuple[str, tuple[str, ...]]:
    """Return who lent first, and the agents of the chain, the acting one first."""
    line = (live, *live.above)
    return line[-1].kept.user or line[-1].kept.agent, tuple(each.kept.agent for each in line)
