"""The streaming operations of A2A: the first event decides between an error and a stream, then event follows event."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from ostiary.boundaries.tasks import PushConfig, TaskRecord
from ostiary.boundaries.user_agent import refusal_from
from ostiary.core.action import Action
from ostiary.core.decision import Refusal
from ostiary.core.errors import UpstreamUnavailable
from ostiary.protocols.a2a import errors, messages
from ostiary.protocols.a2a.errors import A2aError
from ostiary.protocols.a2a.exchange import Exchange
from ostiary.protocols.a2a.operations import Failed, Operations, read
from ostiary.protocols.a2a.shapes import STREAM_RESPONSE
from ostiary.protocols.a2a.streaming import EventShaper
from ostiary.protocols.a2a.upstream import RemoteError


class Streams:
    """Serves streaming operations through the same enforcement as whole ones."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def serve(self, exchange: Exchange) -> Refusal | None:
        """Carry out a streaming operation. Returns why it never began. Raises A2aError, Failed."""
        operations, name = self._operations, exchange.request.operation.name
        is_message = name == "SendStreamingMessage"
        record = await (
            operations.begin_message(exchange) if is_message else operations.begin_follow(exchange, exchange.request.params["id"])
        )
        if isinstance(record, Refusal):
            return record
        if not exchange.to.streams:
            await operations.refused(exchange, "the agent does not stream")
            raise A2aError(errors.UNSUPPORTED, "streaming is not supported by this agent")
        if is_message:
            refusal = await operations.lend(exchange, record)
            if refusal is not None:
                return refusal
        config = operations.pushes.prepare(exchange) if is_message else None
        try:
            return await self._stream(exchange, record, config)
        finally:
            operations.pushes.settled(config)
            await operations.release(exchange)

    async def _stream(self, exchange: Exchange, record: TaskRecord | None, config: PushConfig | None) -> Refusal | None:
        enforcement, passage = self._operations.enforcement, exchange.passage
        _, action = passage.acting
        async with aclosing(self._events(exchange, action, record, config)) as events:
            try:
                with exchange.flight.under_way(), passage.upstream():
                    first = await anext(events, None)
                if first is None:
                    raise UpstreamUnavailable("the agent ended its stream before it began")
                shaper = EventShaper(exchange, enforcement.controls(passage))
            except (RemoteError, A2aError) as error:
                await self._failed(exchange, error)
            except Exception as error:
                return await enforcement.ended(passage, refusal_from(error))
            await exchange.start()
            if await enforcement.relay(passage, _chained(first, events), shaper, exchange.flight, exchange.call.push):
                await exchange.call.end()
        return None

    async def _events(
        self, exchange: Exchange, action: Action, record: TaskRecord | None, config: PushConfig | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the agent's events, each read strictly, noted, and under the caller's names; ends with the task or the message."""
        operations, name = self._operations, exchange.request.operation.name
        arguments = action.arguments
        params = operations.request(exchange, arguments, record, config) if name == "SendStreamingMessage" else {"id": arguments["id"]}
        try:
            async with aclosing(operations.upstream.follow(exchange.ask(name, params))) as raw:
                async for value in raw:
                    event = read(STREAM_RESPONSE, value)
                    shown = await operations.took(exchange, event, exchange.record or record, config)
                    yield shown
                    if "message" in event or messages.is_terminal(messages.status_of(event)[0]):
                        return
        finally:
            operations.rejoin(exchange)

    async def _failed(self, exchange: Exchange, error: RemoteError | A2aError) -> None:
        """Say the agent's error in the client's binding, once its words have passed the controls. Raises Failed or A2aError."""
        enforcement, passage = self._operations.enforcement, exchange.passage
        code = "upstream_failed" if isinstance(error, RemoteError) else error.refusal_code
        shaped = await enforcement.pipeline.settle(passage, {"error": error.message}, code=code)
        if isinstance(shaped, Refusal):
            raise A2aError(errors.INTERNAL, shaped.detail)
        raise Failed(error.fault, str(shaped["error"]))


async def _chained(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for event in rest:
        yield event
