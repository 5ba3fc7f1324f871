"""Which task was begun by whom: a session sees and touches its own tasks at other agents, and no id of another's (R-B1)."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from ostiary.core.decision import Refusal, refuse
from ostiary.core.ids import new_id
from ostiary.core.ports import Change, StateStore

log = logging.getLogger("ostiary.tasks")

KIND: Final = "a2a/task"
MAX_TASKS: Final = 1000
"""Tasks of one session; the oldest that has ended makes room."""
MAX_CONTEXTS: Final = 1000
"""Contexts of one session whose names are known; the oldest makes room."""
MAX_CONFIGS: Final = 16


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Where a caller wants to be told of a task: `name` is what the caller calls it, `id` stands in our own address.

    `secret` is what the agent must show us when it tells us.
    """

    id: str
    name: str
    url: str
    secret: str
    token: str = ""
    scheme: str = ""
    credentials: str = ""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task as the gateway knows it. `context` is what its caller calls the context, `their_context` what the agent does."""

    agent: str
    session: str
    id: str
    context: str = ""
    their_context: str = ""
    child: str = ""
    """The session that was lent to the agent for it."""
    state: str = ""
    at: str = ""
    """The moment of its last known state."""
    is_ended: bool = False
    configs: tuple[PushConfig, ...] = ()

    @property
    def key(self) -> str:
        """The name of its document."""
        return hashlib.sha256(f"{self.session}\0{self.agent}\0{self.id}".encode()).hexdigest()


@dataclass(slots=True)
class _Session:
    """The tasks of one session, by agent and id, the oldest first; and what its contexts are called by the agents."""

    tasks: dict[tuple[str, str], TaskRecord] = field(default_factory=dict)
    contexts: dict[tuple[str, str], str] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    """The other way: what the caller calls them."""

    def name(self, agent: str, ours: str, theirs: str) -> None:
        """Learn what a context is called here and there."""
        if (agent, ours) not in self.contexts and len(self.contexts) >= MAX_CONTEXTS:
            (name, context), value = next(iter(self.contexts.items()))
            del self.contexts[name, context]
            self.names.pop((name, value), None)
        self.contexts[agent, ours] = theirs
        self.names[agent, theirs] = ours


class Tasks:
    """Keeps the tasks of living sessions, durably. Looked up on the event loop; nothing here waits but writes."""

    def __init__(self, store: StateStore, is_open: Callable[[str], bool]) -> None:
        self._store = store
        self._sessions: dict[str, _Session] = {}
        self._pushes: dict[str, tuple[str, str, str]] = {}
        self._writes: set[asyncio.Task[None]] = set()
        gone: list[str] = []
        for name, body in store.load(KIND).items():
            record = msgspec.json.decode(body, type=TaskRecord)
            if is_open(record.session):
                self._learn(record)
            else:
                gone.append(name)
        self._gone = gone

    def find(self, session: str, agent: str, task: str) -> TaskRecord | None:
        """Return a task of this session; None for one of another's, or none at all."""
        known = self._sessions.get(session)
        return known.tasks.get((agent, task)) if known is not None else None

    def of(self, session: str, agent: str) -> list[TaskRecord]:
        """Return the tasks a session has at an agent, the oldest first."""
        known = self._sessions.get(session)
        return [record for (name, _), record in known.tasks.items() if name == agent] if known is not None else []

    def all_of(self, session: str) -> list[TaskRecord]:
        """Return all tasks of a session."""
        known = self._sessions.get(session)
        return list(known.tasks.values()) if known is not None else []

    def context_for(self, session: str, agent: str, context: str) -> str:
        """Return what the agent calls a context: one of its own making as it is, the caller's under a name nobody else can know."""
        known = self._sessions.setdefault(session, _Session())
        if (agent, context) not in known.contexts:
            known.name(agent, context, new_id())
        return known.contexts[agent, context]

    def context_from(self, session: str, agent: str, theirs: str) -> str:
        """Return what the caller calls a context of the agent's."""
        known = self._sessions.setdefault(session, _Session())
        ours = known.names.get((agent, theirs))
        if ours is None and theirs:
            known.name(agent, theirs, theirs)
        return ours or theirs

    async def keep(self, record: TaskRecord) -> Refusal | None:
        """Make a new or changed task durable, then known. Raises Unavailable."""
        known = self._sessions.setdefault(record.session, _Session())
        changes = [Change(KIND, name, None) for name in self._gone]
        self._gone = []
        if (record.agent, record.id) not in known.tasks and len(known.tasks) >= MAX_TASKS:
            oldest = next((each for each in known.tasks.values() if each.is_ended), None)
            if oldest is None:
                return refuse("rate_limited", f"the session has {MAX_TASKS} tasks under way", remedy="cancel tasks that are not needed")
            self._drop(oldest)
            changes.append(Change(KIND, oldest.key, None))
        await self._store.write([*changes, Change(KIND, record.key, msgspec.json.encode(record))])
        self._learn(record)
        return None

    def note(self, record: TaskRecord, state: str, at: str, *, is_ended: bool) -> TaskRecord:
        """Note the last known state of a task; only its end must be kept, by `keep`."""
        noted = replace(record, state=state, at=at or record.at, is_ended=is_ended)
        known = self._sessions.get(record.session)
        if known is not None and (record.agent, record.id) in known.tasks:
            known.tasks[record.agent, record.id] = noted
        return noted

    def pushed(self, config: str) -> tuple[TaskRecord, PushConfig] | None:
        """Return the task and the configuration that a notification of an agent belongs to."""
        place = self._pushes.get(config)
        record = self.find(*place) if place is not None else None
        found = next((each for each in record.configs if each.id == config), None) if record is not None else None
        return (record, found) if record is not None and found is not None else None

    def forget(self, session: str) -> None:
        """Drop the tasks of a session that has ended; their story is in the ledger."""
        known = self._sessions.pop(session, None)
        if known is None or not known.tasks:
            return
        for record in known.tasks.values():
            self._unpush(record)
        changes = [Change(KIND, record.key, None) for record in known.tasks.values()]
        task = asyncio.get_running_loop().create_task(self._write(changes))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def _write(self, changes: Iterable[Change]) -> None:
        try:
            await self._store.write(list(changes))
        except Exception:
            log.exception("tasks of an ended session could not be dropped; they are at the next start")

    def _learn(self, record: TaskRecord) -> None:
        known = self._sessions.setdefault(record.session, _Session())
        before = known.tasks.get((record.agent, record.id))
        if before is not None:
            self._unpush(before)
        known.tasks[record.agent, record.id] = record
        if record.context:
            known.name(record.agent, record.context, record.their_context)
        for config in record.configs:
            self._pushes[config.id] = (record.session, record.agent, record.id)

    def _drop(self, record: TaskRecord) -> None:
        self._unpush(record)
        known = self._sessions.get(record.session)
        if known is not None:
            known.tasks.pop((record.agent, record.id), None)

    def _unpush(self, record: TaskRecord) -> None:
        for config in record.configs:
            self._pushes.pop(config.id, None)
