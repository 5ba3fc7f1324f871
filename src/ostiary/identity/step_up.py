"""Asking for more: an agent that was lent too little asks its user, who sees the difference and says yes or no (R-B1).

Nothing widens by itself. What waits is a bounded number a session, and is stored before the agent is told of it. A yes widens
one session, within what its agent declares and the sessions above it have, and is recorded before it counts.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import Conflict, Invalid, NotFound
from ostiary.core.ids import new_id
from ostiary.identity.backing import Backing
from ostiary.identity.keeper import Keeper, Live
from ostiary.identity.roster import Roster
from ostiary.identity.scopes import contains, intersect, parse_scopes
from ostiary.identity.session_record import SessionRecord
from ostiary.identity.standing import Standing

KIND: Final = "identity/step_up"
MAX_PENDING: Final = 8
"""Requests of one session that wait at once."""
MAX_KEPT: Final = 32
"""Requests of one session that are remembered; past it, it may ask no more."""
MAX_PENDING_PER_AGENT: Final = 64
"""Requests of one agent that wait at once, over all its sessions."""
MAX_WAITING: Final = 4_096
"""Requests of all sessions that wait at once."""
MAX_REASON: Final = 1_000
PENDING, GRANTED, REFUSED = "pending", "granted", "refused"


@dataclass(frozen=True, slots=True)
class StepUp:
    """A request for more: `adds` is the difference to what the session has."""

    id: str
    session: str
    agent: str
    user: str | None
    purpose: str
    has: tuple[str, ...]
    adds: tuple[str, ...]
    asked_at: float
    expires_at: float
    state: str = PENDING
    by: str = ""
    reason: str = ""


class StepUps:
    """Every request for more that is remembered, by id."""

    def __init__(self, backing: Backing, roster: Roster, standing: Standing, keeper: Keeper, record: SessionRecord) -> None:
        self._backing = backing
        self._roster = roster
        self._standing = standing
        self._keeper = keeper
        self._record = record
        self._asked: dict[str, dict[str, StepUp]] = {}
        """By session and id."""
        self._waiting: Counter[str] = Counter()
        """How many wait, by agent."""
        self._due: dict[str, StepUp | None] = {}
        """What changed since it was stored, by id; None for what was forgotten."""
        self._storing = asyncio.Lock()
        for asked in backing.load(KIND, StepUp).values():
            if self._stands(asked) is None:
                self._asked.setdefault(asked.session, {})[asked.id] = asked
                self._waiting[asked.agent] += asked.state == PENDING
            else:
                self._due[asked.id] = None

    @property
    def is_behind(self) -> bool:
        """Say whether something was asked or answered that is not durable yet."""
        return bool(self._due) or self._storing.locked()

    async def store(self) -> None:
        """Make durable what was asked and answered. Raises Unavailable; then it stays due."""
        async with self._storing:
            due, self._due = self._due, {}
            if not due:
                return
            try:
                await self._backing.save(KIND, due)
            except BaseException:
                self._due = {**due, **self._due}
                raise

    def ask(self, live: Live, wanted: Iterable[str]) -> StepUp | Refusal:
        """Return the request for what a session lacks of `wanted`: a new one, or the one that was made before. Raises InvalidAction."""
        adds = self._lacking(live, parse_scopes(wanted))
        if isinstance(adds, Refusal):
            return adds
        mine = self._asked.setdefault(live.kept.id, {})
        known = next((each for each in mine.values() if each.adds == adds and each.state != GRANTED), None)
        if known is not None:
            return known if known.state == PENDING else refuse("forbidden", f"`{known.by}` refused to lend it: {known.reason or 'no'}")
        is_full = len(mine) >= MAX_KEPT or sum(each.state == PENDING for each in mine.values()) >= MAX_PENDING
        if is_full or not self._has_room(live.kept.agent):
            return refuse("rate_limited", "too many requests for more wait already", remedy="wait until the user has answered them")
        kept = live.kept
        core = (new_id(), kept.id, kept.agent, kept.user, kept.purpose, kept.scopes, adds, self._backing.now(), kept.expires_at)
        asked = mine[core[0]] = self._due[core[0]] = StepUp(*core)
        self._waiting[kept.agent] += 1
        return asked

    def list(self, reaches: Callable[[StepUp], bool] = lambda _: True) -> list[StepUp]:
        """Return what waits for an answer in sessions that stand, the newest first."""
        waiting = [each for mine in self._asked.values() for each in mine.values() if each.state == PENDING and reaches(each)]
        return sorted((each for each in waiting if self._stands(each) is None), key=lambda each: each.id, reverse=True)

    def show(self, request_id: str) -> StepUp:
        """Return one request. Raises NotFound."""
        for mine in self._asked.values():
            if request_id in mine:
                return mine[request_id]
        raise NotFound(f"there is no request `{request_id[:64]}`", remedy="ostiary session requests")

    async def grant(self, request_id: str, *, by: str, reason: str = "") -> StepUp:
        """Lend a session what it asked for. Raises NotFound, Conflict when it was answered or its session is over, Unavailable."""
        asked = self._answerable(request_id, reason)
        live = self._roster.lives[asked.session]
        self._set(answered := replace(asked, state=GRANTED, by=by, reason=reason.strip()))
        try:
            await self._record.answered(live, answered)
            await self.store()
            self._widen(live, answered)
        except BaseException:
            self._set(asked)
            raise
        await self._keeper.write(live, Live.ahead)
        return answered

    async def refuse(self, request_id: str, *, by: str, reason: str = "") -> StepUp:
        """Say no: the session is told when it asks for the same again. Raises as `grant` does."""
        asked = self._answerable(request_id, reason)
        self._set(answered := replace(asked, state=REFUSED, by=by, reason=reason.strip()))
        try:
            await self._record.answered(self._roster.lives[asked.session], answered)
            await self.store()
        except BaseException:
            self._set(asked)
            raise
        return answered

    def forget(self, session_id: str) -> None:
        """Drop what a session asked for, when it ends."""
        for each in self._asked.pop(session_id, {}).values():
            self._waiting[each.agent] -= each.state == PENDING
            self._due[each.id] = None

    def _has_room(self, agent: str) -> bool:
        """Say whether one more may wait; what waits for sessions that are over makes room."""
        if self._waiting[agent] >= MAX_PENDING_PER_AGENT or self._waiting.total() >= MAX_WAITING:
            for session_id, mine in list(self._asked.items()):
                if mine and all(self._stands(each) is not None for each in mine.values()):
                    self.forget(session_id)
        return self._waiting[agent] < MAX_PENDING_PER_AGENT and self._waiting.total() < MAX_WAITING

    def _set(self, asked: StepUp) -> None:
        mine = self._asked.get(asked.session)
        if mine is None:
            return
        self._waiting[asked.agent] += (asked.state == PENDING) - (mine[asked.id].state == PENDING)
        mine[asked.id] = self._due[asked.id] = asked

    def _answerable(self, request_id: str, reason: str) -> StepUp:
        asked = self.show(request_id)
        if asked.state != PENDING:
            raise Conflict(f"the request was {asked.state} already")
        if (refusal := self._stands(asked)) is not None:
            raise Conflict(f"the session that asked is over: {refusal.detail}")
        if len(reason) > MAX_REASON:
            raise Invalid(f"a reason has at most {MAX_REASON} characters")
        return asked

    def _stands(self, asked: StepUp) -> Refusal | None:
        live = self._roster.lives.get(asked.session)
        return self._standing.of(live) if live is not None else refuse("expired", "it is not known any more")

    def _widen(self, live: Live, asked: StepUp) -> None:
        """Add what was granted, unless the session ended, or what bounds it shrank, while it was recorded."""
        if (refusal := self._standing.of(live)) is not None:
            raise Conflict(f"the session that asked is over: {refusal.detail}")
        adds = self._bounded(live, asked.adds)
        if not adds:
            raise Conflict("the agent may not have that any more")
        scopes = parse_scopes((*live.kept.scopes, *adds))
        live.kept = replace(live.kept, scopes=scopes)
        live.session = replace(live.session, scopes=scopes)
        live.lent.clear()

    def _lacking(self, live: Live, wanted: tuple[str, ...]) -> tuple[str, ...] | Refusal:
        lacking = [scope for scope in self._bounded(live, wanted) if not any(contains(has, scope) for has in live.kept.scopes)]
        if not lacking:
            remedy = "ask for what the agent declares and the session above has"
            return refuse("out_of_scope", "nothing of what was asked could be lent in addition", remedy=remedy)
        parse_scopes((*live.kept.scopes, *lacking))
        return tuple(lacking)

    def _bounded(self, live: Live, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what of `wanted` the agent and every session above may have."""
        agent = self._backing.registry.agents.get(live.kept.agent)
        ceilings = [each.kept.scopes for each in live.above]
        if agent is not None and agent.scopes:
            ceilings.append(parse_scopes(agent.scopes))
        for ceiling in ceilings:
            wanted = intersect(wanted, ceiling)
        return wanted


def for_more(asked: StepUp | Refusal, refusal: Refusal) -> Refusal:
    """Return the refusal of what was not lent, saying how more can be had."""
    if isinstance(asked, Refusal):
        return refusal if asked.code == "out_of_scope" else replace(refusal, remedy=asked.detail)
    whom = f"`{asked.user}`" if asked.user else "an administrator"
    what = ", ".join(f"`{scope[:200]}`" for scope in asked.adds)
    remedy = f"request {asked.id} for {what} waits for {whom}: once it is granted (`ostiary session grant`), send this again"
    return replace(refusal, remedy=remedy)
