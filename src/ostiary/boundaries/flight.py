"""An action under way at an upstream, which revocation or a client that leaves can stop at any moment."""

import asyncio
from typing import Any, Self

from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.pipeline import Passage, Pipeline

STANDING_EVERY_S = 0.25
"""How often an answer under way is checked against revocation, however silent the upstream is."""
STALLED_S = 60.0
"""How long a client may leave one piece of a stream unread before it is taken for gone."""


class Stopped(Exception):
    """The action under way must end now; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class Flight:
    """An action under way upstream, which can be stopped at any moment: by revocation, or because the client left."""

    def __init__(self, pipeline: Pipeline, passage: Passage) -> None:
        self._pipeline = pipeline
        self._passage = passage
        self._task: asyncio.Task[Any] | None = None
        self._refusal: Refusal | None = None
        self._loop = asyncio.get_running_loop()
        self.pushing_since: float | None = None

    def stop(self, refusal: Refusal) -> None:
        """Stop whatever is being waited for. Call it from the event loop, not from the flight's own task."""
        if self._refusal is None:
            self._refusal = refusal
            if self._task is not None:
                self._task.cancel()

    def under_way(self) -> Self:
        """Wait for others inside this block; raises Stopped when the flight was stopped meanwhile."""
        return self

    def __enter__(self) -> None:
        if self._refusal is not None:
            raise Stopped(self._refusal)
        self._task = asyncio.current_task()
        self._timer = self._loop.call_later(STANDING_EVERY_S, self._check)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        task, self._task = self._task, None
        self._timer.cancel()
        if isinstance(error, asyncio.CancelledError) and self._refusal is not None and (task is None or task.uncancel() <= 0):
            raise Stopped(self._refusal) from None

    def _check(self) -> None:
        try:
            refusal = self._pipeline.check(self._passage)
        except Exception as error:
            refusal = refusal_of(error)
        if refusal is None and self.pushing_since is not None and self._loop.time() - self.pushing_since > STALLED_S:
            refusal = refuse("cancelled", "the client did not read its stream")
        if refusal is not None:
            self.stop(refusal)
        self._timer = self._loop.call_later(STANDING_EVERY_S, self._check)
