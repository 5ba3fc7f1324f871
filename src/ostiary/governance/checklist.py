"""What an agent must have before it runs (R-G1): each item with what to do when it is missing."""

from collections.abc import Mapping
from dataclasses import dataclass

from ostiary.core.ids import spiffe_id
from ostiary.core.registry import Agent, Registry
from ostiary.core.subject import Status


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist; `remedy` is empty when it is met."""

    name: str
    is_met: bool
    finding: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    """The whole list for one agent."""

    agent: str
    status: Status
    items: tuple[Item, ...]

    @property
    def is_passed(self) -> bool:
        """Say whether the agent may be activated: everything holds."""
        return all(item.is_met for item in self.items)

    def missing(self) -> tuple[Item, ...]:
        """Return what does not hold."""
        return tuple(item for item in self.items if not item.is_met)


def check(registry: Registry, agent: Agent, *, is_recording: bool, policies: Mapping[str, str], is_reviewing: bool = False) -> Checklist:
    """Return the checklist of `agent` against `registry`.

    `is_recording` says whether the ledger can write, `policies` are the current policy files. `is_reviewing` is true while a
    person accepts the manifest (activation, first declaration), which is what meets that item.
    """
    items = (
        _identity(registry, agent),
        _owner(registry, agent),
        _purpose(agent),
        _resources(registry, agent),
        _permissions(agent, policies),
        _recording(is_recording),
        _manifest(agent, is_reviewing),
    )
    return Checklist(agent.name, agent.status, items)


def _item(name: str, is_met: bool, met: str, missing: str, remedy: str) -> Item:
    return Item(name, is_met, met if is_met else missing, "" if is_met else remedy)


def _identity(registry: Registry, agent: Agent) -> Item:
    is_met = agent.name in registry.agents and agent.status is not Status.RETIRED
    missing = f"agent `{agent.name}` is not registered, or was retired"
    return _item("identity", is_met, spiffe_id(registry.trust_domain, "agent", agent.name), missing, "declare it and run ostiary apply")


def _owner(registry: Registry, agent: Agent) -> Item:
    owner = registry.users.get(agent.owner)
    is_met = owner is not None and owner.status is Status.ACTIVE
    state = f"owner `{agent.owner}` is {owner.status.value}" if owner else f"owner `{agent.owner}` is not a registered user"
    return _item("owner", is_met, f"`{agent.owner}` answers for it", state, "name a registered, active user as owner")


def _purpose(agent: Agent) -> Item:
    return _item("purpose", bool(agent.purpose.strip()), agent.purpose, "no purpose is written down", "say what it is for: purpose")


def _manifest(agent: Agent, is_reviewing: bool) -> Item:
    manifest = agent.manifest
    missing = "the manifest was never reviewed" if not agent.reviewed else "the manifest changed since it was reviewed"
    is_met = is_reviewing or agent.reviewed == manifest
    return _item(
        "manifest", is_met, f"reviewed, sha256 {manifest[:12]}", missing, f"look at the change, then ostiary agent activate {agent.name}"
    )


def _resources(registry: Registry, agent: Agent) -> Item:
    gone = [f"server `{name}`" for name in agent.servers if name not in registry.servers]
    gone += [f"model `{agent.model}`"] if agent.model and agent.model not in registry.models else []
    return _item(
        "resources", not gone, "what it is made of is registered", f"{', '.join(gone)} is not registered", "register it, or take it out"
    )


def _permissions(agent: Agent, policies: Mapping[str, str]) -> Item:
    needs_scopes = agent.autonomous and not agent.scopes
    named = f'Agent::"{agent.name}"'
    is_met = not needs_scopes and bool(agent.roles or agent.groups or agent.scopes or any(named in text for text in policies.values()))
    missing = "an autonomous agent needs scopes" if needs_scopes else "it has no role, group or scope, and no policy names it"
    return _item(
        "permissions", is_met, "scoped by role, group, scope or policy", missing, "give it a role that policies speak about, or scopes"
    )


def _recording(is_recording: bool) -> Item:
    return _item("recording", is_recording, "every action is recorded", "the ledger cannot write", "ostiary doctor")
