"""What happened in a session outlives the process: never counted short, not even after kill -9.

Counters are written ahead of use (hi-lo): what is stored is at least what was used, so a crash can only
make a session look more used than it was. Labels and integrity are stored before the outcome that brought
them is recorded. A session that a crash caught at work comes back as untrusted and with all labels it could have met.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from ostiary.core.decision import Refusal
from ostiary.core.entry import Entry, Receipt
from ostiary.core.ports import Ledger
from ostiary.core.registry import Registry
from ostiary.core.subject import Integrity, Limits, Session, SessionState
from ostiary.identity.backing import Backing
from ostiary.identity.constraints import Constraints
from ostiary.identity.scopes import matches

log = logging.getLogger("ostiary.identity")

KIND = "identity/session"
COOL_AFTER_S = 2.0
_AHEAD, _AHEAD_DENIED, _AHEAD_SPEND = 63, 7, 1_000_000
_BUSY_S, _AHEAD_BUSY = 1.0, 1_023
"""A session that used up what it had ahead within so many seconds gets so many more actions ahead, to write less often."""


@dataclass(frozen=True, slots=True)
class SessionDocument:
    """A session as it is stored. While `at_work` the counters stand ahead of what was used."""

    id: str
    agent: str
    user: str | None
    scopes: tuple[str, ...]
    purpose: str
    opened_at: float
    expires_at: float
    limits: Limits
    method: str
    opened_by: str = ""
    key: str = ""
    """The agent key it was bought with; revoking that ends it."""
    implicit: bool = False
    ended: str = ""
    """`closed` or `revoked`."""
    at_work: bool = True
    actions: int = 0
    denied: int = 0
    spent: int = 0
    integrity: Integrity = Integrity.TRUSTED
    labels: frozenset[str] = frozenset()
    answers: int = 0
    parent: str = ""
    """The session it was lent from; empty when a person, or an autonomous agent itself, opened it."""
    depth: int = 0
    rows: int = 0
    bytes: int = 0
    approvals: int = 0
    roles: frozenset[str] | None = None
    idle_s: float | None = None
    """How long it may do nothing before it is over; None is as long as it lives."""
    seen_at: float = 0.0
    """When it last did something, as of the last write."""
    is_estimate: bool = False
    """A crash caught it at work, so its counters may stand above what was used."""


@dataclass(slots=True, eq=False)
class Live:
    """A session in memory: what is stored of it, its moving state, and what was last found about its principals."""

    kept: SessionDocument
    session: Session
    above: tuple["Live", ...] = ()
    """The sessions it was lent from, the nearest first."""
    below: set["Live"] = field(default_factory=set)
    """The sessions lent from it directly."""
    lending: int = 0
    """Sessions that are being lent from it at this moment."""
    registry: Registry | None = None
    unfit: Refusal | None = None
    lent: dict[str, tuple[Constraints, ...]] = field(default_factory=dict)
    """By wanted scope, what the arguments must be: one of these; none for what was not lent."""
    touched: bool = True
    seen_at: float = 0.0
    """When it last did something, where idle time counts."""
    is_timed: bool = False
    """Whether it, or a session above it, is over when it does nothing."""
    ahead_at: float = -math.inf
    """When it last was given room ahead."""
    heard_by: set[str] = field(default_factory=set)
    """Sessions above that have taken on what it met, since it was over."""
    stored_end: str = ""
    """How the session ended, as far as that is durable."""

    @property
    def is_behind(self) -> bool:
        """Say whether more has happened than what is stored allows for."""
        kept, state = self.kept, self.session.state
        return (
            state.actions > kept.actions
            or state.answers > kept.answers
            or state.spent > kept.spent
            or state.bytes > kept.bytes
            or state.rows > kept.rows
            or state.approvals > kept.approvals
            or state.denied > kept.denied
            or not kept.at_work
            or (state.labels is not kept.labels and state.labels != kept.labels)
            or state.integrity is not kept.integrity
        )

    def ahead(self) -> SessionDocument:
        """Return the document that allows for more to come."""
        state, limits, now = self.session.state, self.kept.limits, time.monotonic()
        room = _AHEAD_BUSY if now - self.ahead_at < _BUSY_S else _AHEAD
        self.ahead_at = now
        return replace(
            self.kept,
            at_work=True,
            actions=state.actions + (room if limits.actions is None else limits.actions // 16),
            spent=state.spent + (_AHEAD_SPEND if limits.spend is None else limits.spend // 16),
            rows=state.rows + (limits.rows or 0) // 16,
            bytes=state.bytes + (limits.bytes or 0) // 16,
            approvals=state.approvals + (limits.approvals or 0) // 16,
            seen_at=self.seen_at,
            denied=state.denied + _AHEAD_DENIED,
            answers=state.answers + room,
            labels=state.labels,
            integrity=state.integrity,
        )

    def exact(self) -> SessionDocument:
        """Return the document of a session at rest."""
        state = self.session.state
        return replace(
            self.kept,
            at_work=False,
            actions=state.actions,
            denied=state.denied,
            spent=state.spent,
            rows=state.rows,
            bytes=state.bytes,
            approvals=state.approvals,
            seen_at=self.seen_at,
            labels=state.labels,
            integrity=state.integrity,
            answers=state.answers,
        )


class Keeper:
    """Writes sessions behind one another's back: all that wait share one write."""

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self._due: dict[Live, Callable[[Live], SessionDocument]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._at_work: set[Live] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def keep(self, live: Live) -> None:
        """Make sure that what is stored covers what has happened. Raises Unavailable."""
        if live.is_behind:
            await self.write(live, Live.ahead)

    async def write(self, live: Live, shape: Callable[[Live], SessionDocument]) -> None:
        """Store a session in `shape` together with all others that wait. Raises Unavailable."""
        self._due[live] = shape
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._write_due())
            self._next.add_done_callback(_seen)
        await asyncio.shield(self._next)

    async def rest(self) -> None:
        """Store all sessions exactly, on the way out. Raises Unavailable."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._at_work:
            await asyncio.gather(*[self.write(live, Live.exact) for live in list(self._at_work)])

    async def _write_due(self) -> None:
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])
        due, self._due = self._due, {}
        self._writing, self._next = self._next, None
        documents = {live: shape(live) for live, shape in due.items()}
        await self._backing.save(KIND, {document.id: document for document in documents.values()})
        for live, document in documents.items():
            live.kept = replace(document, ended=live.kept.ended, scopes=live.kept.scopes)
            live.stored_end = document.ended
            (self._at_work.add if document.at_work else self._at_work.discard)(live)
        if self._at_work and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COOL_AFTER_S, self._cool)

    def _cool(self) -> None:
        """Store exactly those at rest for a while; look again later at the others."""
        self._timer = None
        for live in list(self._at_work):
            if not live.touched and live not in self._due:
                self._due[live] = _if_untouched
            live.touched = False
        if self._due and self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._write_due())
            self._next.add_done_callback(_seen)
        elif self._at_work:
            self._timer = asyncio.get_running_loop().call_later(COOL_AFTER_S, self._cool)


class GuardedLedger:
    """A ledger that stores what a session has used, met and asked for before it records anything of that session."""

    def __init__(self, ledger: Ledger, live: dict[str, Live], keeper: Keeper, asked: "Asked") -> None:
        self._ledger = ledger
        self._live = live
        self._keeper = keeper
        self._asked = asked

    async def append(self, entry: Entry) -> Receipt:
        """Record one entry. Raises LedgerUnavailable, or Unavailable when the session cannot be stored."""
        if (live := self._behind(entry)) is not None:
            await self._keep(live)
        return await self._ledger.append(entry)

    async def post(self, entry: Entry) -> None:
        """Put one entry in line. Raises as `append` does."""
        if (live := self._behind(entry)) is not None:
            await self._keep(live)
        await self._ledger.post(entry)

    def _behind(self, entry: Entry) -> Live | None:
        """Return the session of an entry when something of it, or above it, may have to be stored first."""
        live = self._live.get(entry.session)
        return live if live is not None and (live.is_behind or live.above or self._asked.is_behind) else None

    async def _keep(self, live: Live) -> None:
        if live.is_behind:
            await self._keeper.keep(live)
        for each in live.above:
            if each.is_behind:
                await self._keeper.keep(each)
        if self._asked.is_behind:
            await self._asked.store()


class Asked(Protocol):
    """Requests for more, as far as they must be durable before their refusal is recorded."""

    @property
    def is_behind(self) -> bool:
        """Say whether something is not durable yet."""
        ...

    async def store(self) -> None:
        """Make it durable. Raises Unavailable."""
        ...


def recover(document: SessionDocument, registry: Registry) -> SessionState:
    """Return the state of a stored session; one that was at work may have met all that its scopes reach."""
    labels, integrity = document.labels, document.integrity
    if document.at_work:
        labels |= _reachable_labels(document.scopes, registry)
        integrity = Integrity.UNTRUSTED
    counts = (document.actions, document.denied, document.spent, document.answers, document.rows, document.bytes, document.approvals)
    return SessionState(integrity, labels, *counts)


def _reachable_labels(scopes: tuple[str, ...], registry: Registry) -> frozenset[str]:
    reached: set[str] = set()
    for tool in registry.tools.values():
        if any(matches(scope, f"tool:{tool.id}") for scope in scopes):
            server = registry.servers.get(tool.server)
            reached |= tool.profile.labels | (server.labels if server else frozenset())
    return frozenset(reached)


def _if_untouched(live: Live) -> SessionDocument:
    return live.ahead() if live.touched else live.exact()


def _seen(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("sessions could not be stored", exc_info=task.exception())
