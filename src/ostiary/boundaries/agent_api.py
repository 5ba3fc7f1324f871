"""Agent → API and model → data over tool servers: where a tool call, a read or a prompt is enforced (R-B2, R-B3, R-B5)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.pipeline import Passage, Pipeline
from ostiary.core.ports import Credential, Identity, PolicyEngine, RegistrySource
from ostiary.core.quick import quick
from ostiary.core.registry import Tool
from ostiary.core.subject import Session


@quick
@dataclass(frozen=True, slots=True)
class Answered:
    """What the server did: the content, how it ended when not well (`upstream_failed` …), its status."""

    content: Any
    code: str = ""
    status: int = 200


MAX_URI = 2048
"""Characters of a resource's address that a server may tell a client of."""
Execute = Callable[[Action], Awaitable[Answered]]


class AgentApi:
    """The enforcement point: nothing reaches a server except through `perform`, and nothing is listed that `sees` denies."""

    def __init__(self, pipeline: Pipeline, identity: Identity, policy: PolicyEngine, source: RegistrySource) -> None:
        self.pipeline = pipeline
        self._identity = identity
        self._policy = policy
        self._source = source

    def tool(self, server: str, name: str) -> Tool | None:
        """Return a tool as pinned now."""
        return self._source.registry.tools.get(f"{server}/{name}")

    def call_tool(self, server: str, name: str, arguments: Mapping[str, Any]) -> Action:
        """Return the action of calling a tool."""
        full = f"{server}/{name}"
        known = self._source.registry.tools.get(full)
        reads = known is not None and known.profile.confirmed and known.profile.effect == "read"
        return Action(Boundary.AGENT_API, "call_tool", full, Resource("Tool", full), f"tool:{full}", arguments, reads)

    def read_resource(self, server: str, uri: str) -> Action:
        """Return the action of reading a server's resource, lent as `resource:mail/*` or `resource:mail/its:uri`."""
        return _on_server("read_resource", server, f"resource:{server}/{uri}", {"uri": uri})

    def get_prompt(self, server: str, name: str, arguments: Mapping[str, Any]) -> Action:
        """Return the action of fetching a prompt, lent as `prompt:mail/*` or `prompt:mail/reply`."""
        return _on_server("get_prompt", server, f"prompt:{server}/{name}", {"name": name, "arguments": arguments})

    def complete(self, server: str, kind: str, name: str, argument: Mapping[str, Any]) -> Action:
        """Return the action of asking for completions of a prompt's or a resource template's argument."""
        return _on_server("complete", server, f"{kind}:{server}/{name}", {kind: name, "argument": argument})

    def answer_request(self, server: str, during: Action, method: str, question: Any, reply: Any) -> Action:
        """Return the action of giving a server what it asked for during another action (sampling, elicitation, roots)."""
        arguments = {"method": method, "question": question, "reply": reply}
        return Action(Boundary.AGENT_API, "answer_request", "answer_request", Resource("Server", server), during.scope, arguments)

    def sees(self, session: Session, action: Action) -> bool:
        """Say whether the session could be allowed or held for this; anything that fails is not seen."""
        try:
            return self._identity.reaches(session, action) and self._policy.may_see(session, action)
        except Exception:
            return False

    def is_lent(self, session: Session, action: Action) -> bool:
        """Say whether the session's scopes cover this."""
        return self._identity.reaches(session, action)

    def visible_tools(self, session: Session, server: str) -> list[Tool]:
        """Return the accepted tools of a server that the session could call."""
        tools = self._source.registry.server_tools(server)
        return [tool for tool in tools if tool.accepted and self.sees(session, self.call_tool(server, tool.name, {}))]

    def release_list(self, passage: Passage, server: str, items: list[dict[str, Any]]) -> list[dict[str, Any]] | Refusal:
        """Return listed prompts or resources as the caller may see them, their labels on the session.

        Names and descriptions are data as much as what they stand for; only what a trusted server without labels says of itself is not.
        """
        declared = self._source.registry.servers.get(server)
        if not items or (declared is not None and declared.trust == "trusted" and not declared.labels):
            return items
        passage.action = _on_server("list", server, "", {})
        shaped: list[dict[str, Any]] | Refusal = self.pipeline.release(passage, items)
        return shaped

    def release_update(self, session: Session, server: str, uri: str) -> bool:
        """Say whether a session may hear that a resource changed; an address is a server's text, and labels it like any other."""
        action = self.read_resource(server, uri)
        if len(uri) > MAX_URI or not self.sees(session, action):
            return False
        passage = Passage(Credential("", "mcp"), session=session, action=action)
        return not isinstance(self.pipeline.release(passage, {"uri": uri}), Refusal)

    async def perform(self, passage: Passage, action: Action, execute: Execute) -> Any | Refusal:
        """Take an identified passage through the steps and run `execute` with the action as the controls left it."""
        passage.action = action
        pinned = self._source.registry.tools.get(action.name)
        refusal = self._unusable(passage, pinned)
        if refusal is not None:
            return await self.pipeline.refuse(passage, refusal)
        refusal = await self.pipeline.admit(passage)
        if refusal is not None:
            return refusal
        moved = self._moved(action, pinned)
        if moved is not None:
            return await self._ended(passage, moved)
        return await self._execute(passage, execute)

    async def _execute(self, passage: Passage, execute: Execute) -> Any | Refusal:
        _, action = passage.acting
        try:
            with passage.upstream():
                answered = await execute(action)
        except asyncio.CancelledError:
            await asyncio.shield(self._ended(passage, refuse("cancelled", "the caller cancelled the call")))
            raise
        except Exception as error:
            return await self._ended(passage, refusal_of(error))
        passage.upstream_status = answered.status
        fallen = self.pipeline.check(passage)
        if fallen is not None:
            return await self._ended(passage, fallen)
        return await self.pipeline.settle(passage, answered.content, code=answered.code)

    async def _ended(self, passage: Passage, refusal: Refusal) -> Refusal:
        """Record that an admitted action did not come to an answer."""
        passage.refusal = refusal
        settled = await self.pipeline.settle(passage, {"error": refusal.detail}, code=refusal.code)
        return settled if isinstance(settled, Refusal) else refusal

    def _unusable(self, passage: Passage, pinned: Tool | None) -> Refusal | None:
        """Refuse a tool that is unknown or not accepted, but only to those whose scope covers it: others learn nothing."""
        session, action = passage.acting
        if action.resource.type != "Tool" or (pinned is not None and pinned.accepted) or not self.is_lent(session, action):
            return None
        if pinned is None:
            return refuse("not_found", f"there is no tool `{action.name}`, or none you may see")
        return _quarantined(pinned)

    def _moved(self, action: Action, pinned: Tool | None) -> Refusal | None:
        """Look again: the definition may have changed while the decision was made or recorded."""
        now = self._source.registry.tools.get(action.name)
        if now is pinned or (now is not None and pinned is not None and now.digest == pinned.digest and now.accepted):
            return None
        return _quarantined(now) if now is not None else refuse("not_found", f"tool `{action.name}` is gone")


def _on_server(name: str, server: str, scope: str, arguments: Mapping[str, Any]) -> Action:
    return Action(Boundary.MODEL_DATA, name, name, Resource("Server", server), scope, arguments, is_read_only=True)


def _quarantined(tool: Tool) -> Refusal:
    why = "; ".join(tool.findings[:3]) or "its definition changed"
    return refuse(
        "quarantined",
        f"tool `{tool.id}` is quarantined: {why}"[:500],
        remedy=f"an operator compares and accepts definition {tool.digest[:12]}",
    )
