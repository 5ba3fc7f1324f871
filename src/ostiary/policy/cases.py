"""One case to decide outside a real request: what `explain` and decision tables ask about."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import Approval, Context
from ostiary.core.errors import Invalid, NotFound
from ostiary.core.registry import Registry
from ostiary.core.subject import Authentication, Principal, Session, SessionState, Subject
from ostiary.policy.schema import PolicySchema
from ostiary.policy.values import nearest

UNSAFE = ("model", "untrusted")
"""Origins that nobody vouches for."""


@dataclass(frozen=True, slots=True)
class Case:
    """Who asks for what, with everything a policy may look at. `arguments` None means: not known."""

    chain: tuple[str, ...]
    """`user:alice`, `agent:invoice-bot` …, the lending user first."""
    action: str
    resource: str = ""
    """`Tool::payments/pay`; empty for a tool's own action."""
    arguments: Mapping[str, Any] | None = None
    origins: Origins = field(default_factory=Origins)
    state: SessionState = field(default_factory=SessionState)
    about: Context = field(default_factory=lambda: Context(at=0.0))
    purpose: str = ""
    age_s: float = 0.0
    depth: int = 0
    authentication: str = "session_token"
    mfa: bool = False
    bound: bool = False

    @property
    def traced(self) -> Origins:
        """The origins, with those that are not safe named when the case did not name them."""
        if self.origins.unsafe or self.origins.control not in UNSAFE:
            return self.origins
        named = self.origins.arguments.items()
        return replace(self.origins, unsafe=frozenset(name for name, origin in named if origin in UNSAFE))

    def asked(self, schema: PolicySchema) -> Action:
        """Return the action. Raises NotFound for a name that no schema has, Invalid when the resource is not clear."""
        shape = schema.actions.get(self.action)
        if shape is None:
            raise NotFound(
                f"there is no action `{self.action}`{nearest(self.action, schema.actions)}",
                remedy="ostiary policy schema prints all there are",
            )
        kind, _, name = self.resource.partition("::")
        if not self.resource and shape.is_tool:
            kind, name = "Tool", self.action
        if kind not in shape.resources or not name:
            raise Invalid(
                f"`{self.action}` acts on {' or '.join(shape.resources)}, got `{self.resource}`: write `{shape.resources[0]}::name`"
            )
        return Action(Boundary.HUMAN_AUTOMATION, "explain", self.action, Resource(kind, name.strip('"')), "", self.arguments or {})

    def session(self, registry: Registry) -> Session:
        """Return the session such a case would happen in. Raises NotFound."""
        at = self.about.at
        authentication = Authentication(self.authentication, at - self.age_s, bound=self.bound, mfa=self.mfa)
        subject = Subject(tuple(principal(registry, link) for link in self.chain))
        return Session(
            "explain",
            subject,
            (),
            self.purpose,
            at - self.age_s,
            at + 3600,
            authentication=authentication,
            depth=self.depth,
            state=self.state,
        )


def principal(registry: Registry, link: str) -> Principal:
    """Return the principal written `user:alice`, `agent:bot` or `User::"alice"`. Raises NotFound."""
    kind, _, name = link.replace("::", ":").partition(":")
    name = name.strip('"')
    find = {"user": registry.user_principal, "agent": registry.agent_principal}.get(kind.lower())
    if find is None:
        raise Invalid(f"`{link}` is no principal: write `user:alice` or `agent:invoice-bot`")
    found = find(name)
    if found is None:
        known = registry.users if kind.lower() == "user" else registry.agents
        raise NotFound(f"there is no {kind.lower()} `{name}`{nearest(name, known)}")
    return found


def approval(group: str, by: frozenset[str], at: float, reason: str) -> Approval:
    """Return an approval for a case."""
    return Approval("case", group, by, at, reason)
