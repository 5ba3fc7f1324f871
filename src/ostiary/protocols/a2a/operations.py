"""The operations of A2A, whole answers: each becomes an action, goes to the agent if allowed, and comes back controlled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ostiary.boundaries.tasks import PushConfig, TaskRecord, Tasks
from ostiary.boundaries.user_agent import Answered, Lent, UserAgent
from ostiary.core.action import Action
from ostiary.core.decision import Refusal
from ostiary.core.errors import InvalidAction, UpstreamUnavailable
from ostiary.core.pipeline import Passage
from ostiary.identity.scopes import contains, parse_scopes
from ostiary.protocols.a2a import errors, messages
from ostiary.protocols.a2a.catalogue import Catalogue
from ostiary.protocols.a2a.errors import A2aError, Fault
from ostiary.protocols.a2a.exchange import Exchange, Remote
from ostiary.protocols.a2a.kinds import Shape
from ostiary.protocols.a2a.listing import listed
from ostiary.protocols.a2a.push import Pushes, config_of, with_config
from ostiary.protocols.a2a.shapes import SEND_RESPONSE, TASK
from ostiary.protocols.a2a.upstream import Ask, RemoteError, Upstream

log = logging.getLogger("ostiary.a2a")

SCOPES: Final = "x-ostiary-scopes"
"""The header by which a caller lends the agent less than it has: scopes, separated by spaces."""
MAX_CANCELLING: Final = 64
CANCEL_S: Final = 10.0
VERBS: Final = {
    "GetTask": "get_task",
    "ListTasks": "list_tasks",
    "CancelTask": "cancel_task",
    "SubscribeToTask": "subscribe_to_task",
    "CreateTaskPushNotificationConfig": "create_push_config",
    "GetTaskPushNotificationConfig": "get_push_config",
    "ListTaskPushNotificationConfigs": "list_push_configs",
    "DeleteTaskPushNotificationConfig": "delete_push_config",
}
CHANGING: Final = frozenset({"CancelTask", "CreateTaskPushNotificationConfig", "DeleteTaskPushNotificationConfig"})

Result = Any | Refusal


class Failed(Exception):
    """The agent's own error, controlled: to be said in the client's binding."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message


class Operations:
    """What the door calls for each request. Refusals are values; A2aError and Failed are the protocol's own errors."""

    def __init__(self, enforcement: UserAgent, tasks: Tasks, catalogue: Catalogue, upstream: Upstream, pushes: Pushes) -> None:
        self.enforcement = enforcement
        self.tasks = tasks
        self.catalogue = catalogue
        self.upstream = upstream
        self.pushes = pushes
        self._cancelling: set[asyncio.Task[None]] = set()

    async def whole(self, exchange: Exchange) -> Result:
        """Carry out an operation that has one answer. Raises A2aError, Failed."""
        name = exchange.request.operation.name
        if name == "SendMessage":
            return await self._send(exchange)
        if name == "GetExtendedAgentCard":
            raise A2aError(errors.UNSUPPORTED, "the card of this agent is the same for all: it has no extended one")
        if name == "ListTasks":
            return await self._list(exchange)
        if name in {"GetTask", "CancelTask"}:
            return await self._task(exchange, name)
        return await self._push_config(exchange, name)

    def forget(self, session: str) -> None:
        """Drop what is known of a session that has ended; what its agents still work on is cancelled there."""
        for record in self.tasks.all_of(session):
            lent = self._lent_for(record)
            if not record.is_ended and len(self._cancelling) < MAX_CANCELLING:
                task = asyncio.get_running_loop().create_task(self._cancel(record, lent.token if lent is not None else ""))
                self._cancelling.add(task)
                task.add_done_callback(self._cancelling.discard)
        self.tasks.forget(session)

    async def _cancel(self, record: TaskRecord, token: str) -> None:
        """Tell an agent that nobody waits for a task any more. It may not listen: its session is over all the same."""
        agent = self.enforcement.known(record.agent)
        remote = None if isinstance(agent, Refusal) else self.catalogue.pinned(agent)
        if isinstance(agent, Refusal) or remote is None:
            return
        try:
            async with asyncio.timeout(CANCEL_S):
                await self.upstream.ask(Ask(agent, remote, "CancelTask", {"id": record.id}, token))
        except Exception as error:
            log.info("task %s of agent %s could not be cancelled: %s", record.id, record.agent, error)

    async def close(self) -> None:
        """Stop what goes on beside requests."""
        for task in list(self._cancelling):
            task.cancel()
        await asyncio.gather(*self._cancelling, return_exceptions=True)
        await self.pushes.close()
        await self.catalogue.close()
        await self.tasks.close()

    # -- what comes before every operation

    async def begin_message(self, exchange: Exchange) -> TaskRecord | Refusal | None:
        """Admit a message and find its agent; returns the task it continues, or None for a new one."""
        message = exchange.request.params["message"]
        arguments = messages.arguments_of(exchange.request.params)
        narrowed = exchange.call.headers.get(SCOPES, "").split()
        if narrowed:
            arguments["scopes"] = list(parse_scopes(narrowed))
        exchange.passage.action = self.enforcement.delegate(exchange.session, exchange.agent, arguments)
        if message["role"] != "ROLE_USER":
            raise A2aError(
                errors.INVALID_PARAMS, "`message.role` must be ROLE_USER", (errors.violation("message.role", "must be ROLE_USER"),)
            )
        record = exchange.record = self.own(exchange, message["taskId"]) if "taskId" in message else None
        for task in message.get("referenceTaskIds", ()):
            self.own(exchange, task)
        if record is not None and message.get("contextId", record.context) != record.context:
            raise A2aError(errors.INVALID_PARAMS, "`message.contextId` is not the context of that task")
        push = exchange.request.params.get("configuration", {}).get("taskPushNotificationConfig")
        if push is not None:
            config_of(push)
        refusal = await self.enforcement.admit(exchange.passage, exchange.passage.action)
        if refusal is None:
            refusal = await self._find(exchange)
        if refusal is None and push is not None:
            refusal = self.pushes.unfit(exchange.to, push["url"])
            refusal = await self.enforcement.ended(exchange.passage, refusal) if refusal is not None else None
        return refusal or record

    async def begin_follow(self, exchange: Exchange, task: str = "") -> TaskRecord | Refusal | None:
        """Admit an operation on a task of the session, or on all of them, and find its agent."""
        name = exchange.request.operation.name
        arguments = {key: value for key, value in exchange.request.params.items() if key not in {"tenant", "token", "authentication"}}
        exchange.passage.action = self.enforcement.follow(
            exchange.session, exchange.agent, VERBS[name], arguments, is_read_only=name not in CHANGING
        )
        record = self.own(exchange, task) if task else None
        refusal = await self.enforcement.admit(exchange.passage, exchange.passage.action)
        if refusal is None:
            refusal = await self._find(exchange)
        if record is not None:
            exchange.record, exchange.lent = record, self._lent_for(record)
        return refusal or record

    def own(self, exchange: Exchange, task: str) -> TaskRecord:
        """Return a task of this session; another's is as unknown as none. Raises A2aError."""
        record = self.tasks.find(exchange.session.id, exchange.agent, task)
        if record is None:
            raise A2aError(errors.TASK_NOT_FOUND, "there is no such task, or none of this session")
        return record

    async def lend(self, exchange: Exchange, record: TaskRecord | None) -> Refusal | None:
        """Give the agent a session of its own for the task: the task's, or a new one below the caller's.

        The task's only as long as it holds no more than this message lends; otherwise it ends, and one of less takes its place.
        """
        known = self._lent_for(record) if record is not None else None
        if known is not None and self._is_within(known, exchange.passage):
            exchange.lent = known
            return None
        lent = await self.enforcement.lend(exchange.passage, exchange.agent)
        if isinstance(lent, Refusal):
            return await self.enforcement.ended(exchange.passage, lent)
        exchange.lent = lent
        if record is not None:
            await self._replace(exchange, record, lent)
        return None

    def _lent_for(self, record: TaskRecord) -> Lent | None:
        return self.enforcement.lending.known(record.child) if record.child else None

    def _is_within(self, known: Lent, passage: Passage) -> bool:
        _, action = passage.acting
        lends = action.arguments["scopes"]
        return self.enforcement.stands(known.session) and all(any(contains(each, has) for each in lends) for has in known.session.scopes)

    async def _replace(self, exchange: Exchange, record: TaskRecord, lent: Lent) -> TaskRecord:
        """Let a task go on under another session. What the one before met is on the caller's first."""
        if record.child:
            await self.enforcement.lending.close(record.child)
            self.enforcement.rejoin(record.child)
        known = self.tasks.find(record.session, record.agent, record.id) or record
        exchange.record = record = replace(known, child=lent.session.id)
        await self.tasks.keep(record)
        return record

    async def _find(self, exchange: Exchange) -> Refusal | None:
        """Look up the agent, its card and its interface: only for who may delegate to it."""
        agent = self.enforcement.known(exchange.agent)
        if isinstance(agent, Refusal):
            return await self.enforcement.ended(exchange.passage, agent)
        try:
            card = await self.catalogue.card(agent)
        except UpstreamUnavailable as error:
            return await self.enforcement.ended(
                exchange.passage, Refusal(error.code, error.status, error.detail, remedy=error.remedy or "")
            )
        interface = card if isinstance(card, Refusal) else self.catalogue.interface(agent, card)
        if isinstance(card, Refusal) or isinstance(interface, Refusal):
            refusal = card if isinstance(card, Refusal) else interface
            return await self.enforcement.ended(exchange.passage, refusal) if isinstance(refusal, Refusal) else None
        exchange.remote = Remote(agent, card, interface)
        declared = {part.strip() for part in exchange.call.headers.get("a2a-extensions", "").split(",")}
        missing = exchange.remote.required() - declared
        if missing:
            await self.refused(exchange, f"the agent demands the extension `{min(missing)[:200]}`")
            raise A2aError(errors.NEEDS_EXTENSION, f"the agent demands the extension `{min(missing)[:200]}`; declare it in A2A-Extensions")
        return None

    async def refused(self, exchange: Exchange, detail: str) -> None:
        """Record that an admitted operation cannot be carried out as asked."""
        await self.enforcement.ended(exchange.passage, Refusal("invalid_request", 400, detail))

    # -- sending a message

    async def _send(self, exchange: Exchange) -> Result:
        record = await self.begin_message(exchange)
        if isinstance(record, Refusal):
            return record
        refusal = await self.lend(exchange, record)
        if refusal is not None:
            return refusal

        async def execute(action: Action) -> Answered:
            config = self.pushes.prepare(exchange)
            try:
                request = self.request(exchange, action.arguments, record, config)
                payload = read(SEND_RESPONSE, await self.upstream.ask(exchange.ask("SendMessage", request)))
                return Answered(await self.took(exchange, payload, record, config))
            finally:
                self.pushes.settled(config)

        try:
            return await self._performed(exchange, execute)
        finally:
            await self.release(exchange)

    def request(
        self, exchange: Exchange, arguments: Mapping[str, Any], record: TaskRecord | None, config: PushConfig | None
    ) -> dict[str, Any]:
        """Return what the agent is sent for an admitted message."""
        session, agent, context = exchange.session.id, exchange.agent, arguments.get("contextId", "")
        theirs = record.their_context if record is not None else self.tasks.context_for(session, agent, context) if context else ""
        return messages.request_of(arguments, theirs, self.pushes.request(exchange.base, exchange.agent, config) if config else None)

    async def took(
        self, exchange: Exchange, payload: Mapping[str, Any], record: TaskRecord | None, config: PushConfig | None = None
    ) -> dict[str, Any]:
        """Note what an answer or event of the agent says of its task, and return it under the caller's names. Raises UpstreamUnavailable."""
        session, agent = exchange.session.id, exchange.agent
        task, context = messages.task_of(payload)
        if record is not None:
            messages.check_task(payload, record.id)
        elif task:
            record = self.tasks.find(session, agent, task)
            if record is not None and exchange.lent is not None and record.child != exchange.lent.session.id:
                record = await self._replace(exchange, record, exchange.lent)
        if record is None and task and "message" not in payload:
            child = exchange.lent.session.id if exchange.lent is not None else ""
            record = TaskRecord(agent, session, task, self.tasks.context_from(session, agent, context), context, child)
        if record is not None:
            await self._note(exchange, record, payload, config)
        elif context:
            self.tasks.context_from(session, agent, context)
        self.rejoin(exchange)
        return messages.renamed(payload, lambda theirs: self.tasks.context_from(session, agent, theirs))

    async def _note(self, exchange: Exchange, record: TaskRecord, payload: Mapping[str, Any], config: PushConfig | None) -> None:
        state, at = messages.status_of(payload)
        is_ended = record.is_ended or messages.is_terminal(state)
        known = self.tasks.find(record.session, record.agent, record.id)
        noted = self.tasks.note(known or record, state or record.state, at, is_ended=is_ended)
        if config is not None and config not in noted.configs:
            noted = with_config(noted, config)
        if known is None or noted.configs != known.configs or (is_ended and not known.is_ended):
            refusal = await self.tasks.keep(noted)
            if refusal is not None:
                raise InvalidAction(refusal.detail, code=refusal.code, status=refusal.status, remedy=refusal.remedy)
        exchange.record = noted

    def rejoin(self, exchange: Exchange) -> None:
        """Let the caller take on what the agent met for this exchange and its task, whatever it answers."""
        record, lent = exchange.record, exchange.lent
        self.enforcement.rejoin(record.child if record is not None else "", lent.session.id if lent is not None else "")

    async def release(self, exchange: Exchange) -> None:
        """End what was lent for a task that is over, or for an exchange that made none."""
        lent, record = exchange.lent, exchange.record
        if lent is None or (record is not None and not record.is_ended):
            return
        await self.enforcement.lending.close(lent.session.id)

    # -- following a task

    async def _task(self, exchange: Exchange, name: str) -> Result:
        record = await self.begin_follow(exchange, exchange.request.params["id"])
        if isinstance(record, Refusal) or record is None:
            return record

        async def execute(action: Action) -> Answered:
            params = {key: action.arguments[key] for key in ("id", "historyLength", "metadata") if key in action.arguments}
            task = read(TASK, await self.upstream.ask(exchange.ask(name, params)))
            return Answered((await self.took(exchange, {"task": task}, record))["task"])

        try:
            return await self._performed(exchange, execute)
        finally:
            await self.release(exchange)

    async def _list(self, exchange: Exchange) -> Result:
        refusal = await self.begin_follow(exchange)
        if isinstance(refusal, Refusal):
            return refusal

        async def fetch(record: TaskRecord, history: int | None) -> dict[str, Any] | None:
            params = {"id": record.id} | ({} if history is None else {"historyLength": history})
            try:
                task = read(TASK, await self.upstream.ask(exchange.ask("GetTask", params)))
            except RemoteError:
                return None
            finally:
                self.enforcement.rejoin(record.child)
            messages.check_task({"task": task}, record.id)
            state, at = messages.status_of({"task": task})
            noted = self.tasks.note(record, state, at, is_ended=messages.is_terminal(state))
            if noted.is_ended and not record.is_ended:
                await self.tasks.keep(noted)
            return messages.task_renamed(task, lambda theirs: self.tasks.context_from(exchange.session.id, exchange.agent, theirs))

        async def execute(action: Action) -> Answered:
            return Answered(await listed(self.tasks, exchange.session.id, exchange.agent, action.arguments, fetch))

        return await self._performed(exchange, execute)

    async def _push_config(self, exchange: Exchange, name: str) -> Result:
        record = await self.begin_follow(exchange, exchange.request.params["taskId"])
        if isinstance(record, Refusal) or record is None:
            return record
        if not exchange.to.pushes:
            await self.refused(exchange, "the agent has no push notifications")
            raise A2aError(errors.NO_PUSH, "push notifications are not supported for this agent")

        async def execute(_: Action) -> Answered:
            return Answered(await self.pushes.carry_out(exchange, name, record))

        return await self._performed(exchange, execute)

    # -- carrying out

    async def _performed(self, exchange: Exchange, execute: Callable[[Action], Awaitable[Answered]]) -> Result:
        """Run one execution; an error the agent or the protocol has a name for passes the controls as content, then is raised."""
        faults: list[Fault] = []

        async def attempt(action: Action) -> Answered:
            try:
                return await execute(action)
            except (RemoteError, A2aError) as error:
                faults.append(error.fault)
                return Answered({"error": error.message}, code="upstream_failed" if isinstance(error, RemoteError) else error.refusal_code)
            finally:
                self.rejoin(exchange)

        shaped = await self.enforcement.perform(exchange.passage, attempt, exchange.flight)
        if faults and not isinstance(shaped, Refusal):
            raise Failed(faults[0], str(shaped["error"]))
        return shaped


def read(shape: Shape, value: Any) -> dict[str, Any]:
    """Read what an agent sent. Raises UpstreamUnavailable when it is not what the protocol says."""
    try:
        return shape(value, "", False)
    except InvalidAction as error:
        raise UpstreamUnavailable(f"the agent's answer is not what the protocol says: {error.detail}"[:500]) from None
