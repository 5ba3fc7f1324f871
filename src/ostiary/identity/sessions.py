"""Sessions: what a user lends to an agent for a task, and whether it still stands, asked at every action (R-P1, R-B1, R-P6)."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import Context, Effect, Refusal, refusal_of, refuse
from ostiary.core.errors import InvalidAction, NotFound
from ostiary.core.ports import Credential, Ledger, PolicyEngine
from ostiary.core.subject import Authentication, Limits, Session, SessionState, Subject
from ostiary.identity.backing import Backing
from ostiary.identity.keeper import KIND, GuardedLedger, Keeper, Live, SessionDocument, recover
from ostiary.identity.keys import AGENT, PREFIXES, Key, KeyRing
from ostiary.identity.lending import Ask, draft
from ostiary.identity.record import IdentityRecord
from ostiary.identity.scopes import matches
from ostiary.identity.standing import chain, unfit
from ostiary.identity.tokens import SESSION_TYPE, Signer

MAX_LIVE: Final = 100_000
MAX_LIVE_PER_AGENT: Final = 2_000
KEEP_ENDED_S: Final = 86400.0
MAX_CACHED: Final = 65_536
MAX_LENT: Final = 1_024


@dataclass(frozen=True, slots=True)
class Opened:
    """A session with its token, which is shown once."""

    session: Session
    token: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as people see it. `standing` is `open`, or why it is not: a code."""

    id: str
    agent: str
    user: str | None
    scopes: tuple[str, ...]
    purpose: str
    opened_at: float
    expires_at: float
    standing: str
    opened_by: str
    implicit: bool
    limits: Limits
    actions: int
    denied: int
    spent: int
    integrity: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token or key that was verified once: what it opens, until when, and what it depends on."""

    live: Live
    expires_at: float
    kid: str = ""
    key: str = ""


class Sessions:
    """The identity pillar (`core.ports.Identity`): credentials in, sessions out, standing at any moment."""

    def __init__(
        self,
        backing: Backing,
        record: IdentityRecord,
        signer: Signer,
        keys: KeyRing,
        policy: PolicyEngine | None = None,
        *,
        defaults: Limits | None = None,
    ) -> None:
        self._defaults = defaults or Limits()
        """What a session may use up when it is lent no number, whoever opens it."""
        self._endings: list[Callable[[str], None]] = []
        self._backing = backing
        self._record = record
        self._signer = signer
        self._keys = keys
        self._policy = policy
        self._keeper = Keeper(backing)
        self._verified: dict[bytes, _Verified] = {}
        self._implicit: dict[str, Live] = {}
        self._opening = asyncio.Lock()
        self._live: dict[str, Live] = {}
        for document in backing.load(KIND, SessionDocument).values():
            self._adopt(document, recover(document, backing.registry))

    def on_end(self, forget: Callable[[str], None]) -> None:
        """Call `forget` with the id of each session that has ended, for who keeps something of it."""
        self._endings.append(forget)

    def guard(self, ledger: Ledger) -> Ledger:
        """Return the ledger the pipeline must use: sessions are stored before anything of theirs is recorded."""
        return GuardedLedger(ledger, self._live, self._keeper)

    async def authenticate(self, credential: Credential) -> Session | Refusal:
        """Return the session a session token, or an autonomous agent's key, opens; failures are recorded."""
        mark = hashlib.sha256(credential.token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(mark)
        if known is None:
            found = await self._verify(credential, mark)
            if isinstance(found, Refusal):
                return found
            known = found
        live = known.live
        refusal = self._unverified(known) or self._standing(live)
        if refusal is not None:
            self._verified.pop(mark, None)
            return await self._refused(credential, refusal, live)
        live.touched = True
        if live.is_behind:
            await self._keeper.keep(live)
        return live.session

    def standing(self, session: Session) -> Refusal | None:
        """Return why the session may not act now: looked up in the registry and revocations of this moment."""
        live = self._live.get(session.id)
        if live is None:
            return refuse("revoked", "the session is not known here", remedy="open a new session")
        live.touched = True
        refusal = self._standing(live)
        if refusal is None and session is not live.session and session.subject != live.session.subject:
            return refuse("revoked", "the rights of the user or agent changed meanwhile", remedy="send the action again")
        return refusal

    def in_scope(self, session: Session, action: Action) -> Refusal | None:
        """Return why the session was not lent this action."""
        live = self._live.get(session.id)
        if live is None:
            return refuse("revoked", "the session is not known here", remedy="open a new session")
        lent = live.lent.get(action.scope)
        if lent is None:
            if len(live.lent) >= MAX_LENT:
                live.lent.clear()
            lent = live.lent[action.scope] = any(matches(scope, action.scope) for scope in live.kept.scopes)
        if lent:
            return None
        wanted = action.scope[:200]
        return refuse("out_of_scope", f"the session was not lent `{wanted}`", remedy=f"open a session with the scope `{wanted}`")

    async def open(self, ask: Ask, credential: Credential | None = None) -> Opened | Refusal:
        """Open a session: recorded, stored, then usable. A refusal is recorded too. Raises Unavailable."""
        try:
            document = self._draft(ask)
        except InvalidAction as error:
            document = refusal_of(error)
        if isinstance(document, SessionDocument):
            document = self._forbidden(document) or document
        if isinstance(document, Refusal):
            return await self._refused(credential or Credential("", "control"), document, None, ask)
        await self._record_opening(document)
        live = self._adopt(document, SessionState())
        try:
            await self._keeper.write(live, Live.ahead)
        except BaseException:
            self._live.pop(document.id, None)
            self._implicit.pop(document.key, None)
            raise
        token = "" if document.implicit else self._token(document)
        return Opened(live.session, token, document.expires_at)

    async def close(self, session_id: str, *, by: str) -> None:
        """End a session in good order. Raises NotFound, Unavailable."""
        await self._end(session_id, "closed", by, "")

    async def revoke(self, session_id: str, *, by: str, reason: str = "") -> None:
        """End a session now; an open stream stops at its next piece. Raises NotFound, Unavailable."""
        await self._end(session_id, "revoked", by, reason)

    async def revoke_all(self, *, agent: str | None = None, user: str | None = None, by: str, reason: str = "") -> int:
        """Revoke the sessions of an agent or a user (of one with the other when both are given); return how many."""
        if agent is None and user is None:
            raise InvalidAction("say whose sessions are to be revoked")
        ids = [view.id for view in self.list(agent=agent, user=user)]
        for session_id in ids:
            await self.revoke(session_id, by=by, reason=reason)
        return len(ids)

    def list(
        self, *, agent: str | None = None, user: str | None = None, owner: str | None = None, ended: bool = False
    ) -> list[SessionView]:
        """Return sessions, newest first; `owner` keeps those of a person's own agents."""
        views = [self._view(live) for live in self._live.values()]
        agents = self._backing.registry.agents
        owned = {name for name, found in agents.items() if found.owner == owner}
        return sorted(
            (
                view
                for view in views
                if agent in (None, view.agent) and user in (None, view.user) and (owner is None or view.agent in owned)
                if ended or view.standing == "open"
            ),
            key=lambda view: view.id,
            reverse=True,
        )

    def show(self, session_id: str) -> SessionView:
        """Return one session. Raises NotFound."""
        return self._view(self._known(session_id))

    def is_open(self, session_id: str) -> bool:
        """Say whether a session stands now."""
        live = self._live.get(session_id)
        return live is not None and self._standing(live) is None

    def is_over(self, session_id: str) -> bool:
        """Say whether a session will never act again: ended, past its end, or not known."""
        live = self._live.get(session_id)
        return live is None or bool(live.kept.ended) or self._backing.now() >= live.kept.expires_at

    def session(self, session_id: str) -> Session | None:
        """Return the session with its state, for who must show or continue it."""
        live = self._live.get(session_id)
        return live.session if live else None

    async def stop(self) -> None:
        """Store all sessions exactly. Raises Unavailable."""
        await self._keeper.rest()

    # -- what a credential opens

    async def _verify(self, credential: Credential, mark: bytes) -> _Verified | Refusal:
        if credential.token.startswith(PREFIXES[AGENT]):
            found = await self._by_key(credential)
        else:
            found = self._by_token(credential.token)
        if isinstance(found, Refusal):
            return await self._refused(credential, found, None)
        refusal = self._standing(found.live)
        if refusal is not None:
            return await self._refused(credential, refusal, found.live)
        detail = {"ip": credential.ip, "door": credential.door}
        action = "agent_key" if found.key else "session_token"
        await self._record.event("authenticate", action=action, detail=detail, **self._about(found.live.kept))
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
        live = self._live.get(str(claims.get("sid", "")))
        if live is None:
            return refuse("expired", "the session of this token is over", remedy="open a new session")
        actor, lender = claims.get("act"), live.kept.user or live.kept.agent
        if actor != {"sub": live.kept.agent} or claims["sub"] != lender or live.kept.implicit:
            return refuse("no_session", "the token does not belong to its session", remedy="get a session token at /oauth/token")
        return _Verified(live, claims["exp"], claims["kid"])

    async def _by_key(self, credential: Credential) -> _Verified | Refusal:
        key = self._keys.verify(credential.token, AGENT)
        if isinstance(key, Refusal):
            return key
        async with self._opening:
            live = self._implicit.get(key.id)
            if live is None or self._backing.now() >= live.kept.expires_at:
                opened = await self._open_implicit(key, credential)
                if isinstance(opened, Refusal):
                    return opened
                live = self._live[opened.session.id]
        return _Verified(live, live.kept.expires_at, key=key.id)

    async def _open_implicit(self, key: Key, credential: Credential) -> Opened | Refusal:
        agent = self._backing.registry.agents.get(key.holder)
        refusal = unfit(self._backing.registry, key.holder, None)
        if refusal is not None or agent is None:
            return refusal or refuse("revoked", "the agent is not registered")
        ask = Ask(agent.name, None, agent.scopes, agent.purpose, method="agent_key", key=key.id, implicit=True)
        return await self.open(ask, credential)

    def _unverified(self, known: _Verified) -> Refusal | None:
        """Return why what was verified once is believed no more."""
        if known.key:
            return self._keys.standing(known.key)
        if not self._signer.knows(known.kid):
            return refuse("revoked", "the key that signed the token is revoked", remedy="get a new session token at /oauth/token")
        if self._backing.now() >= known.expires_at:
            return refuse("expired", "the token is past its end", remedy="get a new session token at /oauth/token")
        return None

    # -- whether it stands

    def _standing(self, live: Live) -> Refusal | None:
        kept = live.kept
        if kept.ended:
            code = "revoked" if kept.ended == "revoked" else "expired"
            return refuse(code, f"the session was {kept.ended}", remedy="open a new session")
        if self._backing.now() >= kept.expires_at:
            return refuse("expired", "the session is past its end", remedy="open a new session")
        if live.registry is not self._backing.registry:
            self._look_again(live)
        if live.unfit is None and kept.key and self._keys.is_revoked(kept.key):
            return refuse("revoked", "the agent key behind the session was revoked", remedy="open a new session with a new key")
        return live.unfit

    def _look_again(self, live: Live) -> None:
        """Find out what the registry of now says of the session's principals; their roles may have changed too."""
        registry, kept = self._backing.registry, live.kept
        live.registry = registry
        live.unfit = unfit(registry, kept.agent, kept.user)
        subject = Subject(chain(registry, kept.agent, kept.user))
        if live.unfit is None and subject != live.session.subject:
            live.session = replace(live.session, subject=subject)

    # -- opening and ending

    def _draft(self, ask: Ask) -> SessionDocument | Refusal:
        """Return the session to be, when there is room for one more."""
        now = self._backing.now()
        document = draft(self._backing.registry, now, ask, self._defaults)
        if isinstance(document, Refusal):
            return document
        self._prune(now)
        mine = sum(live.kept.agent == ask.agent and not live.kept.ended for live in self._live.values())
        if len(self._live) >= MAX_LIVE or mine >= MAX_LIVE_PER_AGENT:
            return refuse("rate_limited", "too many sessions are open", remedy="close sessions that are done", retry_after_s=60.0)
        return document

    def _forbidden(self, document: SessionDocument) -> Refusal | None:
        """Ask policy whether it forbids this lending; that it is not expressly permitted is no obstacle."""
        if self._policy is None:
            return None
        session = self._session(document, SessionState())
        arguments = {"purpose": document.purpose, "scopes": list(document.scopes)}
        action = Action(Boundary.USER_AGENT, "open", "open_session", Resource("Agent", document.agent), "", arguments)
        decision = self._policy.decide(session, action, Origins(), Context(at=self._backing.now()))
        if decision.effect is Effect.ALLOW or (decision.effect is Effect.DENY and decision.code == "not_granted"):
            return None
        code = "forbidden" if decision.effect is Effect.HOLD else decision.code or "forbidden"
        return refuse(
            code, "; ".join(decision.reasons) or "a policy forbids this session", policies=decision.policies, remedy=decision.remedy
        )

    async def _record_opening(self, document: SessionDocument) -> None:
        detail = {
            "purpose": document.purpose,
            "scopes": list(document.scopes),
            "ttl_s": round(document.expires_at - document.opened_at),
            "limits": {"actions": document.limits.actions, "spend": document.limits.spend},
            "opened_by": document.opened_by,
            "method": document.method,
        }
        await self._record.event("open", action="session", detail=detail, **self._about(document, by=document.opened_by))

    async def _end(self, session_id: str, how: str, by: str, reason: str) -> None:
        live = self._known(session_id)
        if live.stored_end in ("revoked", how):
            return
        how = "revoked" if live.kept.ended == "revoked" else how
        live.kept = replace(live.kept, ended=how)
        verb = "close" if how == "closed" else "revoke"
        about = self._about(live.kept, by=by)
        await self._record.event(verb, action="session", detail={"reason": reason}, **about)
        await self._keeper.write(live, Live.exact)
        self._forgotten(session_id)

    def _adopt(self, document: SessionDocument, state: SessionState) -> Live:
        live = Live(document, self._session(document, state))
        self._live[document.id] = live
        if document.implicit:
            self._implicit[document.key] = live
        return live

    def _session(self, document: SessionDocument, state: SessionState) -> Session:
        subject = Subject(chain(self._backing.registry, document.agent, document.user))
        authentication = Authentication(document.method, document.opened_at)
        core = (document.scopes, document.purpose, document.opened_at, document.expires_at, document.limits)
        return Session(document.id, subject, *core, authentication, max(0, len(subject.chain) - 2), state)

    def _token(self, document: SessionDocument) -> str:
        return self._signer.sign_session(
            document.id,
            user=document.user or "",
            agent=document.agent,
            scopes=document.scopes,
            issued_at=document.opened_at,
            expires_at=document.expires_at,
        )

    def _prune(self, now: float) -> None:
        """Forget sessions that ended long ago; their story is in the ledger."""
        if len(self._live) % 64:
            return
        for session_id in [i for i, live in self._live.items() if now > live.kept.expires_at + KEEP_ENDED_S]:
            del self._live[session_id]
            self._forgotten(session_id)

    def _forgotten(self, session_id: str) -> None:
        for forget in self._endings:
            forget(session_id)

    # -- words for the record and for people

    async def _refused(self, credential: Credential, refusal: Refusal, live: Live | None, ask: Ask | None = None) -> Refusal:
        about: dict[str, str] = {}
        if live is not None:
            about = self._about(live.kept)
        elif ask is not None:
            actor = self._backing.registry.agent_principal(ask.agent)
            about = {"actor": actor.id if actor else "", "user": ask.by}
        if ask is not None:
            return await self._record.failure(credential, refusal, verb="open", method="session", **about)
        return await self._record.failure(credential, refusal, method=_method(credential.token), **about)

    def _about(self, document: SessionDocument, *, by: str = "") -> dict[str, Any]:
        """Say whose session it is, and who acts on it when that is somebody else."""
        actor = self._backing.registry.agent_principal(document.agent)
        lender = document.user or ""
        about: dict[str, Any] = {"user": by or lender, "session": document.id, "resource": f"Session::{document.id}"}
        if by and lender and by != lender:
            about["on_behalf_of"] = (lender,)
        return {**about, "actor": actor.id, "owner": actor.owner or ""} if actor else about

    def _known(self, session_id: str) -> Live:
        live = self._live.get(session_id)
        if live is None:
            raise NotFound(f"no session `{session_id[:64]}`")
        return live

    def _view(self, live: Live) -> SessionView:
        kept, state, refusal = live.kept, live.session.state, self._standing(live)
        standing = refusal.code if refusal else "open"
        core = (kept.id, kept.agent, kept.user, kept.scopes, kept.purpose, kept.opened_at, kept.expires_at, standing)
        counts = (state.actions, state.denied, state.spent, state.integrity.value, tuple(sorted(state.labels)))
        return SessionView(*core, kept.opened_by, kept.implicit, kept.limits, *counts)


def _method(token: str) -> str:
    if not token:
        return "none"
    return "agent_key" if token.startswith(PREFIXES[AGENT]) else "session_token"
