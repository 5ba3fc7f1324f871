"""Tools as servers define them: pinned, quarantined when they change, accepted by a person."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field, create_model

from ostiary.api.route import After, Body, Caller, Given, Limit, Name, Reason, may, page, router
from ostiary.core.errors import NotFound
from ostiary.core.registry import Tool
from ostiary.governance.registrar import plain

routes = router("tools")

ToolName = Annotated[str, Path(pattern=r"^[\x21-\x2e\x30-\x7e]{1,128}$", description="The tool's name on its server.")]


@dataclass(frozen=True, slots=True)
class ToolView:
    """A tool with what an operator needs to judge it."""

    id: str
    server: str
    name: str
    digest: str
    accepted: bool
    findings: list[str]
    difference: list[str]
    """Where the definition differs from the one accepted before."""
    definition: dict[str, Any]
    profile: dict[str, Any]


class AcceptBody(Body):
    """The digest of the definition that was looked at: another one is not accepted by mistake."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    why: Reason = ""


ToolPage: Any = create_model("ToolPage", items=(list[ToolView], ...), next=(str | None, None))


@routes.get("", response_model=ToolPage)
async def list_tools(services: Given, _: Annotated[Caller, may("list", "tool")], limit: Limit = 100, after: After = "") -> dict[str, Any]:
    """List every known tool, the quarantined ones with their findings."""
    tools = [tool for _, tool in sorted(services.registrar.registry.tools.items())]
    shown = page(tools, lambda tool: tool.id, limit, after)
    return {"items": [_view(tool, []) for tool in shown["items"]], "next": shown["next"]}


@routes.get("/{server}/{name}")
async def show_tool(server: Name, name: ToolName, services: Given, _: Annotated[Caller, may("show", "tool")]) -> ToolView:
    """Show one tool, and what changed since it was accepted."""
    tool = services.registrar.registry.tools.get(f"{server}/{name}")
    if tool is None:
        raise NotFound(f"there is no tool `{server}/{name}`", remedy="ostiary server tools")
    return _view(tool, [] if tool.accepted else services.pins.difference(tool.id))


@routes.post("/{server}/{name}/accept")
async def accept_tool(
    *, server: Name, name: ToolName, body: AcceptBody, services: Given, caller: Annotated[Caller, may("accept", "tool")]
) -> ToolView:
    """Accept exactly the definition that was looked at."""
    return _view(await services.pins.accept(f"{server}/{name}", body.digest, by=caller.name, why=body.why), [])


def _view(tool: Tool, difference: list[str]) -> ToolView:
    whole = plain(tool)
    return ToolView(
        tool.id, tool.server, tool.name, tool.digest, tool.accepted, list(tool.findings), difference, whole["definition"], whole["profile"]
    )
