"""Agents: what they are, whether they may run, their keys, and stopping them."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, create_model

from ostiary.api.bodies import AgentBody, registered
from ostiary.api.registry import New, put, take_out
from ostiary.api.route import After, Body, Caller, Given, Id, Limit, Name, Reason, Why, WhyBody, may, page, router
from ostiary.api.services import Services
from ostiary.core.errors import Conflict, NotFound
from ostiary.core.ids import spiffe_id
from ostiary.core.registry import Agent, Card
from ostiary.core.subject import Status
from ostiary.governance import checklist
from ostiary.governance.declaration import preview
from ostiary.governance.registrar import RegistryChange, plain
from ostiary.identity.keys import AGENT

ATTEMPTS = 8
routes = router("agents")
keys = router("keys")


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent as people see it."""

    name: str
    id: str
    owner: str
    purpose: str
    status: Status
    roles: list[str]
    groups: list[str]
    attributes: dict[str, str]
    model: str
    servers: list[str]
    scopes: list[str]
    autonomous: bool
    a2a: dict[str, Any] | None
    prompt_digest: str
    manifest: str
    reviewed: str


@dataclass(frozen=True, slots=True)
class ItemView:
    """One line of the checklist."""

    name: str
    is_met: bool
    finding: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ChecklistView:
    """What an agent must have before it runs."""

    agent: str
    status: Status
    is_passed: bool
    items: list[ItemView]


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key without its secret."""

    id: str
    prefix: str
    holder: str
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class IssuedKeyView:
    """A new key; the secret is shown this once."""

    id: str
    prefix: str
    secret: str
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class CardView:
    """An agent's A2A card with what an operator needs to judge it."""

    agent: str
    url: str
    digest: str
    accepted: bool
    findings: list[str]
    difference: list[str]
    """Where it differs from the one accepted before."""
    signed_by: str
    """The id of the key whose signature holds; empty for an unsigned card."""
    definition: dict[str, Any]


class AcceptCard(Body):
    """The digest of the card that was looked at: another one is not accepted by mistake."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    why: Reason = ""


class KeyBody(Body):
    """How long a key is to live; without end when left out."""

    ttl_s: Annotated[int, Field(gt=0, le=315_360_000)] | None = None


class RotateBody(Body):
    """How long the old key still works; `identity.key_overlap_s` when left out."""

    overlap_s: Annotated[int, Field(ge=0, le=2_592_000)] | None = None


AgentPage: Any = create_model("AgentPage", items=(list[AgentView], ...), next=(str | None, None))
KeyPage: Any = create_model("KeyPage", items=(list[KeyView], ...), next=(str | None, None))


@routes.get("", response_model=AgentPage)
async def list_agents(
    services: Given, caller: Annotated[Caller, may("list", "agent", own=True)], limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List agents; owners see their own."""
    registry = services.registrar.registry
    views = [_view(services, agent) for _, agent in sorted(registry.agents.items()) if caller.sees(agent)]
    return page(views, lambda view: view.name, limit, after)


@routes.get("/{name}")
async def show_agent(name: Name, services: Given, caller: Annotated[Caller, may("show", "agent", own=True)]) -> AgentView:
    """Show one agent."""
    return _view(services, caller.agent(services, name))


@routes.put("/{name}")
async def register_agent(
    *,
    name: Name,
    body: AgentBody,
    services: Given,
    caller: Annotated[Caller, may("register", "agent")],
    why: Why = "",
    only_new: New = False,
) -> AgentView:
    """Register or change an agent. It runs when it was activated, and again after each change of its manifest."""
    seen = services.registrar.registry
    value = registered("agents", name, body, seen)
    assert isinstance(value, Agent)
    change = RegistryChange("agents", name, replace(value, prompt_digest=body.prompt_digest))
    return _view(services, await put(services, caller, change, seen, why=why, only_new=only_new))


@routes.delete("/{name}", status_code=204)
async def retire_agent(name: Name, services: Given, caller: Annotated[Caller, may("retire", "agent")], why: Why = "") -> None:
    """Retire an agent for good: its keys and sessions end, its name is not taken again."""
    caller.agent(services, name)
    await take_out(services, caller, "agents", name, why)


@routes.get("/{name}/check")
async def check_agent(name: Name, services: Given, caller: Annotated[Caller, may("check", "agent", own=True)]) -> ChecklistView:
    """Say what the agent has and what it lacks before it may run."""
    return _checked(_check(services, caller.agent(services, name), is_reviewing=False))


@routes.post("/{name}/activate")
async def activate_agent(name: Name, body: WhyBody, services: Given, caller: Annotated[Caller, may("activate", "agent")]) -> AgentView:
    """Accept the agent's manifest as it is now and let it run. Refused when anything on the checklist is missing."""
    agent = caller.agent(services, name)
    if agent.status in {Status.ISOLATED, Status.RETIRED}:
        raise Conflict(f"agent `{name}` is {agent.status.value}", remedy=f"ostiary agent restore {name}, by whoever answers for security")
    return await _let_run(services, caller, agent, body.why)


@routes.post("/{name}/isolate")
async def isolate_agent(
    name: Name, body: WhyBody, services: Given, caller: Annotated[Caller, may("isolate", "agent", own=True)]
) -> AgentView:
    """Stop an agent now: its next action, and open streams at their next piece."""
    for _ in range(ATTEMPTS):
        agent = caller.agent(services, name)
        if agent.status is Status.RETIRED:
            raise Conflict(f"agent `{name}` is retired")
        try:
            return await _set_status(services, caller, agent, Status.ISOLATED, body.why)
        except Conflict:
            continue  # somebody changed it meanwhile; stopping it does not depend on what they changed
    raise Conflict(f"agent `{name}` keeps changing", remedy="repeat")


@routes.post("/{name}/restore")
async def restore_agent(name: Name, body: WhyBody, services: Given, caller: Annotated[Caller, may("restore", "agent")]) -> AgentView:
    """Let an isolated agent run again, or bring a retired one back as a draft."""
    agent = caller.agent(services, name)
    if agent.status is Status.RETIRED:
        return await _set_status(services, caller, agent, Status.DRAFT, body.why)
    if agent.status is not Status.ISOLATED:
        raise Conflict(f"agent `{name}` is {agent.status.value}, not isolated")
    lacking = _check(services, agent, is_reviewing=False).missing()
    return await _set_status(services, caller, agent, Status.DRAFT if lacking else Status.ACTIVE, body.why)


@routes.get("/{name}/card")
async def show_card(name: Name, services: Given, caller: Annotated[Caller, may("show", "agent", own=True)]) -> CardView:
    """Show the A2A card an agent is pinned to, and what changed since it was accepted."""
    caller.agent(services, name)
    return _card(services, services.cards.known(name))


@routes.post("/{name}/card/accept")
async def accept_card(name: Name, body: AcceptCard, services: Given, caller: Annotated[Caller, may("activate", "agent")]) -> CardView:
    """Accept exactly the card that was looked at, so that others may delegate to the agent again."""
    caller.agent(services, name)
    return _card(services, await services.cards.accept(name, body.digest, by=caller.name, why=body.why))


@routes.get("/{name}/keys", response_model=KeyPage)
async def list_keys(
    *, name: Name, services: Given, caller: Annotated[Caller, may("list", "key", own=True)], limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List an agent's keys, without their secrets."""
    caller.agent(services, name)
    return page([_key(key) for key in services.keys.list(AGENT, name)], lambda view: view.id, limit, after)


@routes.post("/{name}/keys", status_code=201)
async def issue_key(name: Name, body: KeyBody, services: Given, caller: Annotated[Caller, may("key", "agent", own=True)]) -> IssuedKeyView:
    """Make a key for an agent. The secret is shown this once."""
    agent = caller.agent(services, name)
    if agent.status is Status.RETIRED:
        raise Conflict(f"agent `{name}` is retired")
    issued = await services.keys.issue_agent_key(name, by=caller.name, ttl_s=body.ttl_s)
    return IssuedKeyView(issued.id, issued.prefix, issued.secret, issued.expires_at)


@keys.post("/{id}/rotate", status_code=201)
async def rotate_key(id: Id, body: RotateBody, services: Given, caller: Annotated[Caller, may("rotate", "key", own=True)]) -> IssuedKeyView:  # noqa: A002
    """Make a successor of an agent's key; the old one works a while longer."""
    _within_reach(services, caller, id)
    overlap_s = services.settings.identity.key_overlap_s if body.overlap_s is None else body.overlap_s
    issued = await services.keys.rotate(id, by=caller.name, overlap_s=overlap_s)
    return IssuedKeyView(issued.id, issued.prefix, issued.secret, issued.expires_at)


@keys.delete("/{id}", status_code=204)
async def revoke_key(id: Id, services: Given, caller: Annotated[Caller, may("revoke", "key", own=True)], why: Why = "") -> None:  # noqa: A002
    """Revoke an agent's key now, with the sessions it opened."""
    _within_reach(services, caller, id)
    await services.keys.revoke(id, by=caller.name, reason=why)


def _within_reach(services: Services, caller: Caller, key_id: str) -> None:
    key = services.keys.find(key_id)
    if key is None or key.kind != AGENT or not caller.sees(services.registrar.registry.agents.get(key.holder)):
        raise NotFound("there is no agent key of that id that you may see", remedy="ostiary agent key AGENT --list")


def _check(services: Services, agent: Agent, *, is_reviewing: bool) -> checklist.Checklist:
    return checklist.check(
        services.registrar.registry,
        agent,
        is_recording=services.is_recording(),
        policies=services.policy_files(),
        is_reviewing=is_reviewing,
    )


async def _let_run(services: Services, caller: Caller, agent: Agent, why: str) -> AgentView:
    lacking = _check(services, agent, is_reviewing=True).missing()
    if lacking:
        findings = "; ".join(f"{item.name}: {item.finding}" for item in lacking)
        raise Conflict(f"agent `{agent.name}` may not run yet: {findings}", remedy="; ".join(item.remedy for item in lacking))
    return await _become(services, caller, agent, replace(agent, status=Status.ACTIVE, reviewed=agent.manifest), why)


async def _set_status(services: Services, caller: Caller, agent: Agent, status: Status, why: str) -> AgentView:
    return await _become(services, caller, agent, replace(agent, status=status), why)


async def _become(services: Services, caller: Caller, agent: Agent, changed: Agent, why: str) -> AgentView:
    """Put `changed` in the place of exactly the agent that was looked at."""
    seen = preview(services.registrar.registry, [RegistryChange("agents", agent.name, agent)])
    await services.registrar.change([RegistryChange("agents", agent.name, changed)], by=caller.name, why=why, seen=seen)
    return _view(services, changed)


def _checked(found: checklist.Checklist) -> ChecklistView:
    items = [ItemView(item.name, item.is_met, item.finding, item.remedy) for item in found.items]
    return ChecklistView(found.agent, found.status, found.is_passed, items)


def _view(services: Services, agent: Agent) -> AgentView:
    return AgentView(
        name=agent.name,
        id=spiffe_id(services.registrar.registry.trust_domain, "agent", agent.name),
        owner=agent.owner,
        purpose=agent.purpose,
        status=agent.status,
        roles=sorted(agent.roles),
        groups=sorted(agent.groups),
        attributes=dict(agent.attributes),
        model=agent.model,
        servers=list(agent.servers),
        scopes=list(agent.scopes),
        autonomous=agent.autonomous,
        a2a=plain(agent)["a2a"],
        prompt_digest=agent.prompt_digest,
        manifest=agent.manifest,
        reviewed=agent.reviewed,
    )


def _card(services: Services, card: Card) -> CardView:
    difference = services.cards.difference(card.agent)
    return CardView(
        card.agent, card.url, card.digest, card.accepted, list(card.findings), difference, card.signed_by, plain(card)["definition"]
    )


def _key(key: Any) -> KeyView:
    return KeyView(key.id, key.prefix, key.holder, key.created_at, key.created_by, key.expires_at, key.revoked_at)
