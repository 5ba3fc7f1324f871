"""Push notifications: the agent tells this gateway, and the gateway tells the caller, where an operator allows it (section 13.2)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any, Final
from weakref import WeakValueDictionary

from ostiary.boundaries.tasks import MAX_CONFIGS, PushConfig, TaskRecord, Tasks
from ostiary.boundaries.user_agent import UserAgent
from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidAction, UpstreamUnavailable
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential, HttpClient, HttpRequest
from ostiary.core.strict_json import parse_object
from ostiary.core.subject import Session
from ostiary.protocols.a2a import errors, messages
from ostiary.protocols.a2a.addresses import is_named, place_of
from ostiary.protocols.a2a.errors import A2aError
from ostiary.protocols.a2a.exchange import Exchange, Remote
from ostiary.protocols.a2a.shapes import STREAM_RESPONSE
from ostiary.protocols.a2a.upstream import RemoteError, Upstream, encode
from ostiary.protocols.wire import Call

log = logging.getLogger("ostiary.a2a.push")

MAX_PENDING_OF_ONE: Final = 64
"""Of one agent, so that slow listeners of one leave room for the others."""
MAX_EVENT: Final = 1024 * 1024
MAX_PENDING: Final = 256
"""Notifications on their way to callers; more are refused, and the agent may try again."""
ATTEMPTS_S: Final = (0.0, 1.0, 4.0)
"""How long to wait before each attempt to deliver."""
DELIVERY_S: Final = 15.0
TOKEN: Final = "x-a2a-notification-token"  # noqa: S105 - the name of a header


class Pushes:
    """Keeps who wants to hear of what, takes what agents tell, and delivers it, controlled and recorded."""

    def __init__(
        self, enforcement: UserAgent, tasks: Tasks, upstream: Upstream, http: HttpClient, session_of: Callable[[str], Session | None]
    ) -> None:
        self._enforcement = enforcement
        self._tasks = tasks
        self._upstream = upstream
        self._http = http
        self._session_of = session_of
        self._awaited: dict[str, tuple[PushConfig, str, str, str]] = {}
        """By id: what is to be told, to which session, by which agent, and what that one was lent for it."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By configuration, while somebody delivers for it: notifications of one arrive in their order."""
        self._deliveries: dict[asyncio.Task[None], str] = {}
        """With the agent that told."""

    # -- what callers configure

    def unfit(self, remote: Remote, url: str) -> Refusal | None:
        """Return why notifications may not go to an address."""
        a2a = remote.agent.a2a
        if not remote.pushes or a2a is None:
            return refuse("invalid_request", f"agent `{remote.agent.name}` has no push notifications here")
        if place_of(url, a2a.push):
            return None
        remedy = f"an operator declares the place under `push` of agent `{remote.agent.name}`"
        return refuse("forbidden", f"notifications may not be sent to `{url[:200]}`", remedy=remedy)

    def prepare(self, exchange: Exchange) -> PushConfig | None:
        """Return what a message asks to be told, with a secret for the agent; expected from now on, before its task has an id."""
        wanted = exchange.request.params.get("configuration", {}).get("taskPushNotificationConfig")
        if wanted is None:
            return None
        config = config_of(wanted)
        child = exchange.lent.session.id if exchange.lent is not None else ""
        self._awaited[config.id] = (config, exchange.session.id, exchange.agent, child)
        return config

    def settled(self, config: PushConfig | None) -> None:
        """Stop expecting: from now on the task itself knows it."""
        if config is not None:
            self._awaited.pop(config.id, None)

    def request(self, base: str, agent: str, config: PushConfig) -> dict[str, Any]:
        """Return what the agent is asked: to tell us."""
        url = f"{base}/a2a/{agent}/push/{config.id}"
        return {"url": url, "token": config.secret, "authentication": {"scheme": "Bearer", "credentials": config.secret}}

    async def carry_out(self, exchange: Exchange, name: str, record: TaskRecord) -> dict[str, Any]:
        """Create, show, list or delete what a caller is told of a task. Raises A2aError, RemoteError, Unavailable."""
        params = exchange.request.params
        if name == "CreateTaskPushNotificationConfig":
            return await self._create(exchange, record, params)
        if name == "ListTaskPushNotificationConfigs":
            return {"configs": [_shown(record, each) for each in record.configs]}
        found = next((each for each in record.configs if each.name == params["id"]), None)
        if name == "DeleteTaskPushNotificationConfig":
            if found is not None:
                await self._keep(replace(record, configs=tuple(each for each in record.configs if each is not found)))
            return {}
        if found is None:
            raise A2aError(errors.TASK_NOT_FOUND, "there is no such push notification configuration")
        return _shown(record, found)

    async def _create(self, exchange: Exchange, record: TaskRecord, params: Mapping[str, Any]) -> dict[str, Any]:
        refusal = self.unfit(exchange.to, params["url"])
        if refusal is not None:
            raise InvalidAction(refusal.detail, code=refusal.code, status=refusal.status, remedy=refusal.remedy)
        if len(record.configs) >= MAX_CONFIGS:
            raise A2aError(errors.INVALID_PARAMS, f"a task has at most {MAX_CONFIGS} push notification configurations")
        config = config_of(params)
        config = replace(config, name=params.get("id") or config.name)
        asked = {"taskId": record.id, "id": config.id, **self.request(exchange.base, exchange.agent, config)}
        await self._keep(with_config(record, config))
        try:
            await self._upstream.ask(exchange.ask("CreateTaskPushNotificationConfig", asked))
        except (RemoteError, UpstreamUnavailable):
            await self._keep(record)
            raise
        return _shown(record, config)

    async def _keep(self, record: TaskRecord) -> None:
        refusal = await self._tasks.keep(record)
        if refusal is not None:
            raise InvalidAction(refusal.detail, code=refusal.code, status=refusal.status)

    # -- what agents tell

    async def receive(self, call: Call, agent: str, config_id: str) -> None:
        """Take one notification of an agent, answer it, and deliver it in its turn."""
        found = self._find(agent, config_id)
        if found is None or not _is_authentic(call, found[0].secret):
            await call.respond_json(404, {"error": "there is no such notification, or not with this credential"})
            return
        config, session_id = found
        session = self._session_of(session_id)
        if session is None or self._is_full(agent):
            await call.respond_json(
                410 if session is None else 503, {"error": "nobody listens to this any more" if session is None else "too many"}
            )
            return
        try:
            event = STREAM_RESPONSE(parse_object(await call.body(MAX_EVENT), max_bytes=MAX_EVENT), "", False)
            task, _ = messages.task_of(event)
            record = self._tasks.find(session_id, agent, task)
            if (
                not task
                or (record is None and config.id not in self._awaited)
                or (record is not None and not _belongs(record, config, self._awaited))
            ):
                raise InvalidAction("the notification is about another task")
        except InvalidAction as error:
            await call.respond_json(error.status, {"error": error.detail})
            return
        passage = Passage(Credential("", "a2a-push", call.ip))
        passage.session = session
        awaited = self._awaited.get(config.id)
        self._enforcement.rejoin(record.child if record is not None else "", awaited[3] if awaited is not None else "")
        refusal = await self._enforcement.admit(
            passage, self._enforcement.follow(session, agent, "notify", {"taskId": task, "url": config.url})
        )
        if refusal is not None:
            await call.respond_json(403, {"error": refusal.detail})
            return
        delivery = asyncio.get_running_loop().create_task(self._deliver(passage, agent, config, event))
        self._deliveries[delivery] = agent
        delivery.add_done_callback(self._deliveries.pop)
        await call.respond_json(200, {})

    async def close(self) -> None:
        """Give up what is not delivered."""
        for delivery in list(self._deliveries):
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    def _is_full(self, agent: str) -> bool:
        waiting = list(self._deliveries.values())
        return len(waiting) >= MAX_PENDING or waiting.count(agent) >= MAX_PENDING_OF_ONE

    def _find(self, agent: str, config_id: str) -> tuple[PushConfig, str] | None:
        known = self._tasks.pushed(config_id)
        if known is not None and known[0].agent == agent:
            return known[1], known[0].session
        awaited = self._awaited.get(config_id)
        return (awaited[0], awaited[1]) if awaited is not None and awaited[2] == agent else None

    async def _deliver(self, passage: Passage, agent: str, config: PushConfig, event: dict[str, Any]) -> None:
        session, _ = passage.acting

        renamed = messages.renamed(event, lambda theirs: self._tasks.context_from(session.id, agent, theirs))
        lock = self._locks.setdefault(config.id, asyncio.Lock())
        async with lock:
            refusal = await self._enforcement.told(passage, renamed, lambda shaped: self._send(session, agent, config, shaped))
        if refusal is not None:
            log.warning("a notification of agent %s was not delivered: %s", agent, refusal.detail)

    async def _send(self, session: Session, agent: str, config: PushConfig, event: Any) -> int:
        """Post an event to the caller; place and session are looked at again each time. Raises UpstreamUnavailable when nobody takes it."""
        status = 0
        for wait_s in ATTEMPTS_S:
            await asyncio.sleep(wait_s)
            if not self._enforcement.stands(session):
                raise UpstreamUnavailable("the session that wanted to hear of it is over")
            known = self._enforcement.known(agent)
            a2a = known.a2a if not isinstance(known, Refusal) else None
            place = place_of(config.url, a2a.push) if a2a is not None else ""
            if a2a is None or not place:
                raise UpstreamUnavailable("notifications may not be sent there any more")
            status = await self._post(config, event, unsafe_plaintext=a2a.unsafe_plaintext, only_public=is_named(place))
            if 200 <= status < 300:
                return status
            if 400 <= status < 500:
                break
        raise UpstreamUnavailable(f"the caller did not take the notification ({status or 'not reached'})")

    async def _post(self, config: PushConfig, event: Any, *, unsafe_plaintext: bool, only_public: bool) -> int:
        headers = [("content-type", "application/a2a+json"), ("user-agent", "ostiary")]
        if config.token:
            headers.append((TOKEN, config.token))
        if config.scheme and config.credentials:
            headers.append(("authorization", f"{config.scheme} {config.credentials}"))
        request = HttpRequest("POST", config.url, headers, encode(event), DELIVERY_S, unsafe_plaintext, only_public)
        try:
            answer = await self._http.send(request)
        except UpstreamUnavailable as error:
            log.info("a notification could not be posted: %s", error.detail)
            return 0
        answer.close()
        return answer.status


def with_config(record: TaskRecord, config: PushConfig) -> TaskRecord:
    """Return a task with one more notification configured; one of the same name is replaced."""
    others = tuple(each for each in record.configs if each.name != config.name)
    return replace(record, configs=(*others, config))


def config_of(wanted: Mapping[str, Any]) -> PushConfig:
    """Return what is wanted with names and a secret nobody can guess. Raises A2aError for what no header can carry."""
    authentication = wanted.get("authentication", {})
    words = {
        "token": wanted.get("token", ""),
        "scheme": authentication.get("scheme", ""),
        "credentials": authentication.get("credentials", ""),
    }
    for name, word in words.items():
        if len(word) > 4096 or not (word.isascii() and (not word or word.isprintable())) or (name == "scheme" and " " in word):
            raise A2aError(errors.INVALID_PARAMS, f"`{name}` must be printable ASCII of at most 4096 characters")
    return PushConfig(token_urlsafe(24), wanted.get("id") or token_urlsafe(12), wanted["url"], token_urlsafe(32), **words)


def _shown(record: TaskRecord, config: PushConfig) -> dict[str, Any]:
    """Return a configuration as its caller sees it; what it must keep secret it has already."""
    shown: dict[str, Any] = {"taskId": record.id, "id": config.name, "url": config.url}
    if config.token:
        shown["token"] = config.token
    if config.scheme:
        shown["authentication"] = {"scheme": config.scheme}
    return shown


def _belongs(record: TaskRecord, config: PushConfig, awaited: Mapping[str, Any]) -> bool:
    return config.id in awaited or any(each.id == config.id for each in record.configs)


def _is_authentic(call: Call, secret: str) -> bool:
    shown = (call.headers.get(TOKEN, ""), call.headers.get("authorization", "").partition(" ")[2])
    return any(compare_digest(each.encode("utf-8", "replace"), secret.encode()) for each in shown)
