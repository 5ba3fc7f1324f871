"""What is asked: one value for every door."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Self

from ostiary.core.canonical import canonical, canonical_in_pieces
from ostiary.core.quick import quick


class Boundary(StrEnum):
    """The five trust boundaries (R-B1 … R-B5)."""

    USER_AGENT = "user_agent"
    AGENT_MODEL = "agent_model"
    MODEL_DATA = "model_data"
    HUMAN_AUTOMATION = "human_automation"
    AGENT_API = "agent_api"


@quick
@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on: a policy entity type (`Tool`, `Model` …) and its id (`payments/pay`)."""

    type: str
    id: str

    def __str__(self) -> str:
        """Return the resource as entries and refusals print it."""
        return f"{self.type}::{self.id}"


@dataclass(frozen=True)
class Action:
    """One thing an agent wants done. What is decided, recorded, approved and sent are these same values.

    `name` is the policy action (`payments/pay`, `generate`), `scope` what the session must have been lent
    (`tool:payments/pay`), `arguments` JSON values read once by `core.strict_json`.
    """

    boundary: Boundary
    verb: str
    name: str
    resource: Resource
    scope: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    is_read_only: bool = False
    """True when nothing outside changes: its outcome stands in line before the answer, and is not waited for. Its intent is."""

    @cached_property
    def encoded_arguments(self) -> bytes:
        """The canonical JSON of the arguments (RFC 8785)."""
        return canonical(self.arguments)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 (hex) over boundary, verb, name, resource and arguments (RFC 8785)."""
        head = _head(self.boundary, self.verb, self.name, self.resource.type, self.resource.id)
        return hashlib.sha256(b"%b,%b]" % (head, self.encoded_arguments)).hexdigest()

    def prepare(self) -> None:
        """Encode and digest large arguments now, beside the event loop."""
        self.__dict__.setdefault("encoded_arguments", canonical_in_pieces(self.arguments))
        self.digest  # noqa: B018 - kept from here on

    def with_arguments(self, arguments: Mapping[str, Any]) -> Self:
        """Return the action as a control has changed it."""
        return replace(self, arguments=arguments)


@lru_cache(maxsize=4096)
def _head(*words: str) -> bytes:
    return canonical(list(words))[:-1]


@quick
@dataclass(frozen=True, slots=True)
class Origins:
    """Where the values of an action came from, as policies see it (`context.origins`, `context.control`)."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    """The worst origin of each argument's leaves: user, directory, attested, lent, derived, model, untrusted."""
    control: str = "user"
    """The worst origin over the arguments that decide where the effect goes."""
    unsafe: frozenset[str] = frozenset()
    """The control arguments with an origin that is not safe."""
    control_arguments: frozenset[str] = frozenset()
    """Which of the arguments are control arguments."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """For each unsafe argument, where its value was seen: `mail/read id=7`."""
