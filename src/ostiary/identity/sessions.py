"""Sessions: what a user lends to an agent for a task, and whether it still stands, asked at every action (R-P1, R-B1, R-P6)."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from ostiary.core.action import Action
from ostiary.core.decision import Decision, Refusal, refusal_of, refuse
from ostiary.core.errors import InvalidAction, NotFound
from ostiary.core.ports import Credential, Ledger, PolicyEngine
from ostiary.core.subject import Limits, Session, SessionState
from ostiary.identity import asking
from ostiary.identity.backing import Backing
from ostiary.identity.credentials import Credentials, Opened, chain_of
from ostiary.identity.keeper import KIND, GuardedLedger, Keeper, Live, SessionDocument
from ostiary.identity.keys import KeyRing
from ostiary.identity.lending import Ask, draft, draft_child
from ostiary.identity.reaching import lent, out_of_scope
from ostiary.identity.record import IdentityRecord
from ostiary.identity.roster import Roster
from ostiary.identity.scopes import contains, parse_scopes
from ostiary.identity.session_record import SessionRecord
from ostiary.identity.standing import Standing
from ostiary.identity.step_up import StepUp, StepUps, for_more
from ostiary.identity.tokens import Signer
from ostiary.identity.views import SessionView, view

DEEPEST: Final = 4
"""How often a session may be lent on when nothing else is set."""

Inherit = Callable[[Session, Session], None]
"""Gives a session that was lent on what is known of the one it was lent from."""


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
        deepest: int = DEEPEST,
    ) -> None:
        self._defaults = defaults or Limits()
        """What a session may use up when it is lent no number, whoever opens it."""
        self._deepest = deepest
        self._inheriting: list[Inherit] = []
        self._backing = backing
        self._record = SessionRecord(backing, record)
        self._signer = signer
        self._keys = keys
        self._policy = policy
        self._keeper = Keeper(backing)
        self._roster = Roster(backing)
        self._live = self._roster.lives
        self._standing = Standing(backing, keys)
        self._credentials = Credentials(
            backing, signer, keys, roster=self._roster, standing=self._standing, record=self._record, open_session=self.open
        )
        self.step_ups = StepUps(backing, self._roster, self._standing, self._keeper, self._record)
        """Requests of agents that were lent too little."""
        self._endings: list[Callable[[str], None]] = [self.step_ups.forget]

    def on_end(self, forget: Callable[[str], None]) -> None:
        """Call `forget` with the id of each session that has ended, for who keeps something of it."""
        self._endings.append(forget)

    def on_delegate(self, inherit: Inherit) -> None:
        """Call `inherit` with each session that is lent on and the one it comes from, before it can be used."""
        self._inheriting.append(inherit)

    def guard(self, ledger: Ledger) -> Ledger:
        """Return the ledger the pipeline must use: sessions are stored before anything of theirs is recorded."""
        return GuardedLedger(ledger, self._live, self._keeper, self.step_ups)

    async def authenticate(self, credential: Credential) -> Session | Refusal:
        """Return the session a session token, or an autonomous agent's key, opens; failures are recorded."""
        live = await self._credentials.find(credential)
        if isinstance(live, Refusal):
            return live
        self._touch(live)
        self._roster.share(live)
        if live.is_behind:
            await self._keeper.keep(live)
        return live.session

    def standing(self, session: Session, *, is_acting: bool = True) -> Refusal | None:
        """Return why the session may not act now: looked up in the registry and revocations of this moment."""
        live = self._live.get(session.id)
        if live is None:
            return refuse("revoked", "the session is not known here", remedy="open a new session")
        refusal = self._standing.of(live)
        if refusal is None and is_acting:
            self._touch(live)
        if refusal is None and session is not live.session and session.subject != live.session.subject:
            return refuse("revoked", "the rights of the user or agent changed meanwhile", remedy="send the action again")
        return refusal

    def in_scope(self, session: Session, action: Action) -> Refusal | None:
        """Return why the session was not lent this action."""
        live = self._live.get(session.id)
        if live is None:
            return refuse("revoked", "the session is not known here", remedy="open a new session")
        known = live.lent.get(action.scope)
        if known and not known[0]:
            return None
        found = out_of_scope(live, action)
        if found is None:
            return None
        refusal, wanted = found
        return self._more(live, wanted, refusal) if wanted else refusal

    def reaches(self, session: Session, action: Action) -> bool:
        """Say whether the session was lent this action with some arguments or other, for listings."""
        live = self._live.get(session.id)
        return live is not None and bool(lent(live, action.scope))

    async def ask_more(self, session: Session, wanted: Iterable[str]) -> StepUp | Refusal | None:
        """Ask the user to lend a session more; None when it has all of that. Raises InvalidAction, NotFound, Unavailable."""
        live, scopes = self._known(session.id), parse_scopes(wanted)
        if all(any(contains(has, scope) for has in live.kept.scopes) for scope in scopes):
            return None
        refusal = self._standing.of(live)
        if refusal is not None:
            return refusal
        asked = self.step_ups.ask(live, scopes)
        if self.step_ups.is_behind:
            await self.step_ups.store()
        return asked

    def token(self, session: Session) -> str:
        """Return a token of a session that stands, as it is lent now."""
        return self._token(self._known(session.id))

    async def open(self, ask: Ask, credential: Credential | None = None) -> Opened | Refusal:
        """Open a session: recorded, stored, then usable. A refusal is recorded too. Raises Unavailable."""
        await self._prune()
        document = self._drafted(ask)
        if isinstance(document, SessionDocument):
            session = self._roster.session(document, SessionState())
            document = asking.opening(self._policy, session, self._backing.now()) or document
        if isinstance(document, Refusal):
            return await self._record.not_opened(credential, document, ask)
        return await self._begin(document, SessionState(), asking.UNDECIDED)

    async def delegate(
        self, parent: Session, ask: Ask, credential: Credential | None = None, *, is_decided: bool = False
    ) -> Opened | Refusal:
        """Lend part of `parent` on, to the agent of `ask` or to its own: never more than it has, never for longer.

        `is_decided` says that the `delegate` action went through the pipeline already. A refusal is recorded. Raises Unavailable.
        """
        await self._prune()
        live = self._known(parent.id)
        found = self._delegable(live, ask, is_decided=is_decided)
        if isinstance(found, Refusal):
            return await self._record.not_opened(credential, found, ask, live)
        document, decision = found
        state = SessionState()
        state.join(live.session.state)
        live.lending += 1
        try:
            opened = await self._begin(document, state, decision)
        finally:
            live.lending -= 1
        refusal = self._standing.of(self._live[document.id])
        if refusal is not None:
            return await self._record.not_opened(credential, refusal, ask, live)
        return opened

    def rejoin(self, child: Session) -> None:
        """Take what a session met that was lent on up to where it came from: call it before its answer goes back there."""
        live = self._known(child.id)
        self._roster.share(live)
        for each in live.above[:1]:
            each.session.state.join(live.session.state)

    async def close(self, session_id: str, *, by: str) -> int:
        """End a session in good order, and all that was lent from it; return how many those were. Raises NotFound, Unavailable."""
        return await self._end(session_id, "closed", by, "")

    async def revoke(self, session_id: str, *, by: str, reason: str = "") -> int:
        """End a session now, with all that was lent from it; open streams stop at their next piece. Raises NotFound, Unavailable."""
        return await self._end(session_id, "revoked", by, reason)

    async def revoke_all(self, *, agent: str | None = None, user: str | None = None, by: str, reason: str = "") -> int:
        """Revoke the sessions of an agent or a user (of one with the other when both are given); return how many."""
        if agent is None and user is None:
            raise InvalidAction("say whose sessions are to be revoked")
        ids = [found.id for found in self.list(agent=agent, user=user)]
        for session_id in ids:
            await self.revoke(session_id, by=by, reason=reason)
        return len(ids)

    def list(
        self, *, agent: str | None = None, user: str | None = None, owner: str | None = None, ended: bool = False
    ) -> list[SessionView]:
        """Return sessions, newest first; `owner` keeps those of a person's own agents. One of an isolated agent is not ended."""
        agents = self._backing.registry.agents
        owned = {name for name, found in agents.items() if found.owner == owner}
        wanted = [
            live
            for live in self._live.values()
            if agent in (None, live.kept.agent) and user in (None, live.kept.user) and (owner is None or live.kept.agent in owned)
            if ended or not live.kept.ended
        ]
        views = [self._view(live) for live in sorted(wanted, key=lambda live: live.kept.id, reverse=True)]
        return [found for found in views if ended or found.standing in {"open", "isolated"}]

    def show(self, session_id: str) -> SessionView:
        """Return one session. Raises NotFound."""
        return self._view(self._known(session_id))

    def is_open(self, session_id: str) -> bool:
        """Say whether a session stands now."""
        live = self._live.get(session_id)
        return live is not None and self._standing.of(live) is None

    def is_over(self, session_id: str) -> bool:
        """Say whether a session will never act again: ended, past its end, or not known."""
        live = self._live.get(session_id)
        return live is None or any(each.kept.ended or self._backing.now() >= each.kept.expires_at for each in (live, *live.above))

    def session(self, session_id: str) -> Session | None:
        """Return the session with its state, for who must show or continue it."""
        live = self._live.get(session_id)
        return live.session if live else None

    async def store(self, session_id: str) -> None:
        """Store a session as it is now, for who changed its state by a recorded act. Raises NotFound, Unavailable."""
        await self._keeper.write(self._known(session_id), Live.ahead)

    async def stop(self) -> None:
        """Store all sessions exactly. Raises Unavailable."""
        await self._keeper.rest()
        await self.step_ups.store()

    # -- opening and ending

    def _drafted(self, ask: Ask) -> SessionDocument | Refusal:
        """Return the session to be, when there is room for one more."""
        try:
            document = draft(self._backing.registry, self._backing.now(), ask, self._defaults)
        except InvalidAction as error:
            return refusal_of(error)
        return document if isinstance(document, Refusal) else self._roster.room(ask.agent) or document

    def _delegable(self, live: Live, ask: Ask, *, is_decided: bool) -> tuple[SessionDocument, Decision] | Refusal:
        """Return the session to be lent on and what permits it: the parent stands, its scopes say so, and policy does."""
        refusal = self._standing.of(live)
        if refusal is None and ask.agent != live.kept.agent:
            refusal = self.in_scope(live.session, asking.delegation(ask.agent, ask.purpose, ask.scopes))
        if refusal is not None:
            return refusal
        try:
            document = draft_child(self._backing.registry, self._backing.now(), ask, live.session, self._deepest)
        except InvalidAction as error:
            return refusal_of(error)
        if isinstance(document, SessionDocument):
            document = self._roster.room_below(live) or self._roster.room(ask.agent) or document
        if isinstance(document, Refusal):
            return document
        decision = asking.UNDECIDED if is_decided else asking.delegating(self._policy, live.session, document, self._backing.now())
        return decision if isinstance(decision, Refusal) else (document, decision)

    async def _begin(self, document: SessionDocument, state: SessionState, decision: Decision) -> Opened:
        """Record, adopt and store a session; whatever fails, there is none."""
        await self._record.opened(document, self._roster.session(document, state), decision)
        live = self._roster.adopt(document, state)
        try:
            for inherit in self._inheriting if live.above else ():
                inherit(live.session, live.above[0].session)
            await self._keeper.write(live, Live.ahead)
        except BaseException:
            self._roster.drop(live)
            raise
        return Opened(live.session, "" if document.implicit else self._token(live), document.expires_at)

    async def _end(self, session_id: str, how: str, by: str, reason: str) -> int:
        live = self._known(session_id)
        if live.stored_end in ("revoked", how):
            return 0
        now = self._backing.now()
        below = [each for each in self._roster.descendants(live) if not each.stored_end and now < each.kept.expires_at]
        await self._end_one(live, how, by, reason)
        await asyncio.gather(*[self._end_one(each, how, by, f"the session {session_id} it was lent from ended") for each in below])
        return len(below)

    async def _end_one(self, live: Live, how: str, by: str, reason: str) -> None:
        how = "revoked" if live.kept.ended == "revoked" else how
        live.kept = replace(live.kept, ended=how)
        await self._record.ended(live, how, by, reason)
        await self._keeper.write(live, Live.exact)
        self._roster.ended(live)
        self._forgotten(live.kept.id)

    def _token(self, live: Live) -> str:
        kept = live.kept
        lender, actors = chain_of(live)
        return self._signer.sign_session(
            kept.id, lender=lender, actors=actors, scopes=kept.scopes, issued_at=kept.opened_at, expires_at=kept.expires_at
        )

    async def _prune(self) -> None:
        """Forget sessions that ended long ago, here and in the store. Raises Unavailable."""
        if len(self._live) % 64:
            return
        past = self._roster.past()
        if past:
            await self._backing.save(KIND, dict.fromkeys(live.kept.id for live in past))
        for live in past:
            self._roster.drop(live)
            self._forgotten(live.kept.id)

    def _forgotten(self, session_id: str) -> None:
        for forget in self._endings:
            forget(session_id)

    def _touch(self, live: Live) -> None:
        """Note that a session does something: for those above it that counts too."""
        live.touched = True
        for each in live.above:
            each.touched = True
        if live.is_timed:
            now = self._backing.now()
            for each in (live, *live.above):
                each.seen_at = now

    def _known(self, session_id: str) -> Live:
        live = self._live.get(session_id)
        if live is None:
            raise NotFound(f"no session `{session_id[:64]}`")
        return live

    def _more(self, live: Live, wanted: str, refusal: Refusal) -> Refusal:
        """Return a refusal that says how more can be had, where it can."""
        if live.kept.implicit:
            return refusal
        try:
            return for_more(self.step_ups.ask(live, (wanted,)), refusal)
        except InvalidAction:
            return refusal

    def _view(self, live: Live) -> SessionView:
        return view(live, self._standing.of(live))
