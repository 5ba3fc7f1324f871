"""Passages and registries for tests of the content controls."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ostiary.controls.control_set import ControlOptions, ControlSet
from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.canonical import digest
from ostiary.core.decision import Decision, Effect, Obligation
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.core.registry import Model, Profile, Registry, Server, Tool
from ostiary.core.subject import Limits, Principal, PrincipalKind, Session, Subject


@dataclass
class Held:
    """A registry source whose snapshot a test may swap."""

    registry: Registry


class Ticks:
    """A clock a test moves by hand."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000_000

    def __call__(self) -> int:
        return self.ns

    def forward(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


def tool(name: str, schema: Mapping[str, Any] | None = None, profile: Profile | None = None, **rest: Any) -> Tool:
    server, _, short = name.partition("/")
    definition = {"name": short, "description": f"{short} something", "inputSchema": schema or {"type": "object"}, **rest}
    return Tool(server, short, definition, digest(definition), profile=profile or Profile())


def registry(*tools: Tool, **rest: Any) -> Held:
    known = tools or (tool("mail/send"), tool("files/read"))
    servers = {item.server: Server(item.server, url="http://127.0.0.1:1/mcp") for item in known}
    return Held(
        Registry(
            tools={item.id: item for item in known},
            servers=servers,
            models={"gpt": Model("gpt", "openai", "http://127.0.0.1:1/v1")},
            **rest,
        )
    )


def session(name: str = "s1", limits: Limits | None = None, agent: str = "bot") -> Session:
    actor = Principal(f"spiffe://t/agent/{agent}", PrincipalKind.AGENT, agent, owner="alice")
    return Session(name, Subject((actor,)), ("tool:*",), "test", 0.0, 1e12, limits or Limits())


def passage(
    arguments: Mapping[str, Any], *, to: str = "mail/send", of: Session | None = None, obligations: Mapping[str, str] | None = None
) -> Passage:
    """A passage as it stands after identification: to a model when `to` has no slash."""
    if "/" in to:
        action = Action(Boundary.AGENT_API, "call_tool", to, Resource("Tool", to), f"tool:{to}", arguments)
    else:
        action = Action(Boundary.AGENT_MODEL, "generate", "generate", Resource("Model", to), f"model:{to}", arguments)
    made = Passage(Credential("t", "mcp"), session=of or session(), action=action)
    duties = tuple(Obligation(name, (values,)) for name, values in (obligations or {}).items())
    made.decision = Decision(Effect.ALLOW, policies=("p",), obligations=duties)
    return made


def prompt(text: str) -> dict[str, Any]:
    return {"model": "gpt", "messages": [{"role": "user", "content": text}]}


def controls(held: Held | None = None, clock: Ticks | None = None, **options: Any) -> ControlSet:
    notify = options.pop("notify", None)
    return ControlSet(held or registry(), clock or Ticks(), replace(ControlOptions(), **options), notify=notify)
