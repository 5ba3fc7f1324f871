"""One ledger record before it is sealed: what the pipeline and the control plane hand to the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ostiary.core.quick import quick


class Family(StrEnum):
    """The five records (R-L1 … R-L5)."""

    IDENTITY = "identity"
    ACTION = "action"
    DATA = "data"
    MODEL = "model"
    CHANGE = "change"


class Kind(StrEnum):
    """An intent is durable before anything happens; its outcome follows; an event stands alone."""

    INTENT = "intent"
    OUTCOME = "outcome"
    EVENT = "event"


@quick
@dataclass(frozen=True, slots=True)
class Part:
    """A payload to be sealed beside the entry: `arguments`, `completion`, `result`, `reason`, `purpose` and the like."""

    name: str
    content: bytes


@quick
@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded. People are given by registry name here and stand in the leaf as random handles."""

    id: str
    family: Family
    kind: Kind
    at_ns: int
    boundary: str = ""
    actor: str = ""
    """SPIFFE id of a workload, in clear; a person acting goes in `user`."""
    user: str = ""
    """The person who acts (identity, change, approval), by registry name."""
    on_behalf_of: tuple[str, ...] = ()
    """The chain above the actor: people by registry name, workloads by SPIFFE id."""
    owner: str = ""
    session: str = ""
    verb: str = ""
    action: str = ""
    resource: str = ""
    digest: str = ""
    intent: str = ""
    """For an outcome: the id of its intent."""
    decision: str = ""
    code: str = ""
    policies: tuple[str, ...] = ()
    policy_revision: str = ""
    approval: str = ""
    labels: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    upstream_status: int = 0
    duration_us: int = 0
    cost: int = 0
    """Micro-units of the deployment's currency that a model call was charged, on its outcome."""
    shadow: str = ""
    """What would have been decided with the policies that only watch (`@shadow`), on the intent; empty without any that apply."""
    shadow_policies: tuple[str, ...] = ()
    """The `@id`s that would have decided it."""
    parts: tuple[Part, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an entry is durable: its place in the tree and its leaf hash. No receipt, no execution."""

    index: int
    leaf_hash: bytes
