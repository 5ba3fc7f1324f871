"""An action under way at an upstream, which revocation or a client that leaves can stop at any moment."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Wait for others inside this block; raises Stopped when the flight was stopped meanwhile."""
        if self._refusal is not None:
            raise Stopped(self._refusal)
        self._task = task = asyncio.current_task()
        timer = self._loop.call_later(STANDING_EVERY_S, self._check)
        self._timer = timer
        try:
            yield
        except asyncio.CancelledError:
            if self._refusal is None or (task is not None and task.uncancel() > 0):
                raise
            raise Stopped(self._refusal) from None
        finally:
            self._task = None
            self._timer.cancel()

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
