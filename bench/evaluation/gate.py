"""One session of one agent at the gate: the product's own policy and information flow decide each call, in this process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.decision import Approval, Context, Effect
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.core.registry import Agent, Registry, Server, Tool, User
from ostiary.core.subject import Principal, PrincipalKind, Session, Status, Subject
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.version import PolicyVersion
from ostiary.provenance.engine import Provenance

POLICIES = Path(__file__).parent / "policies"
ROLE = frozenset({"assistant"})
OPENED_AT = 1_715_767_200.0
"""15 May 2024, when the worlds of the suites play."""


@dataclass
class Company:
    """Servers and tools of one suite behind the gate."""

    servers: Mapping[str, Server]
    tools: Mapping[str, Tool]

    @cached_property
    def registry(self) -> Registry:
        """The registry of this company: one user, one agent."""
        user = User("user", "", roles=ROLE)
        agent = Agent("assistant", "user", "does what the user asks", roles=ROLE, status=Status.ACTIVE)
        return Registry(users={"user": user}, agents={"assistant": agent}, servers=self.servers, tools=self.tools)

    @cached_property
    def policy(self) -> PolicyEngine:
        """The product's engine with the policies of the evaluation."""
        engine = PolicyEngine()
        engine.load(self.registry, PolicyVersion({path.name: path.read_text() for path in sorted(POLICIES.glob("*.cedar"))}))
        return engine


@dataclass
class Gate:
    """One session: `ask` decides a call, `answer` takes what the tool returned."""

    company: Company
    purpose: str
    number: int = 0
    provenance: Provenance = field(init=False)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.provenance = Provenance(self.company)
        registry = self.company.registry
        user = Principal("spiffe://ostiary.local/user/user", PrincipalKind.USER, "user", roles=ROLE)
        agent = registry.agent_principal("assistant")
        assert agent is not None
        self.session = Session("s", Subject((user, agent)), ("tool:*",), self.purpose, OPENED_AT, OPENED_AT + 3600)

    def ask(self, tool: Tool, arguments: Mapping[str, Any], *, approved: bool = False) -> Passage:
        """Decide one call; `approved` when a person has said yes to exactly this one."""
        action = Action(Boundary.AGENT_API, "call_tool", tool.id, Resource("Tool", tool.id), f"tool:{tool.id}", arguments)
        passage = Passage(Credential("", "mcp"), session=self.session, action=action)
        passage.origins = self.provenance.trace(self.session, action)
        approval = Approval("a", "people", frozenset({"owner"}), OPENED_AT) if approved else None
        passage.decision = self.company.policy.decide(self.session, action, passage.origins, Context(at=OPENED_AT, approval=approval))
        return passage

    def endorse(self, passage: Passage) -> None:
        """A person approved this call as part of a plan."""
        self.provenance.endorse(*passage.acting)

    def answer(self, passage: Passage, content: Any) -> None:
        """Take a tool's answer onto the session."""
        self.session.state.actions += 1
        self.provenance.absorb(passage, content)


def is_allowed(passage: Passage) -> bool:
    """Say whether the gate opened."""
    return passage.decision is not None and passage.decision.effect is Effect.ALLOW
