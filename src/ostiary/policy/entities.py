"""The entities of a registry: who is in which role, which tool is on which server; parsed once a revision."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from cedarpy import _internal as cedar

from ostiary.core.canonical import canonical
from ostiary.core.registry import Agent, Registry, Tool, User
from ostiary.core.subject import Principal, PrincipalKind
from ostiary.policy.networks import Networks
from ostiary.policy.schema import PolicySchema, effect_of, is_external
from ostiary.policy.values import entity

Uid = tuple[str, str]
"""An entity's type and id."""
REGISTERED = frozenset({"User", "Agent", "Process", "Model", "Server", "Tool", "Api", "Source", "Zone"})
"""Types whose every entity is in the registry: another id means nothing."""
_NOWHERE: frozenset[str] = frozenset()
_ZONED = {"users": "User", "agents": "Agent", "servers": "Server", "models": "Model", "apis": "Api", "sources": "Source"}
KINDS: Mapping[PrincipalKind, str] = {
    PrincipalKind.USER: "User",
    PrincipalKind.AGENT: "Agent",
    PrincipalKind.PROCESS: "Process",
    PrincipalKind.MODEL: "Model",
}


class EntityGraph:
    """Every registered entity, for Cedar (`handle`) and for slicing (`within`)."""

    def __init__(self, registry: Registry, schema: PolicySchema, roles: Mapping[Uid, frozenset[str]] = MappingProxyType({})) -> None:
        """Build the graph; `roles` leaves a principal only those roles of its own."""
        zones = _zones(registry)
        documents = [*_documents(registry, schema), *(_document("Zone", name, {}) for name in registry.zones)]
        for document in documents:
            document["parents"] += [{"type": "Zone", "id": name} for name in sorted(zones.get(_uid(document["uid"]), ()))]
            kept = roles.get(_uid(document["uid"]))
            if kept is not None:
                document["parents"] = [each for each in document["parents"] if each["type"] != "Role" or each["id"] in kept]
        self.networks = Networks(registry.zones.values())
        self._zones = {uid: frozenset(names) for uid, names in zones.items()}
        self.handle = cedar.Entities.from_json_str(canonical(documents).decode(), schema.handle, release_gil=True)
        self._parents: dict[Uid, frozenset[Uid]] = {_uid(each["uid"]): frozenset(map(_uid, each["parents"])) for each in documents}

    def within(self, uid: Uid) -> frozenset[Uid]:
        """Return the entity and everything it is in. Nothing here nests deeper than one step."""
        return self._parents.get(uid, frozenset()) | {uid}

    def zones(self, uid: Uid) -> frozenset[str]:
        """Return the zones an entity stands in: one, or none."""
        return self._zones.get(uid, _NOWHERE)

    def has(self, uid: Uid) -> bool:
        """Say whether the entity is registered."""
        return uid in self._parents

    def registered(self, kind: str) -> frozenset[str]:
        """Return the ids of the registered entities of a type."""
        return frozenset(name for type_, name in self._parents if type_ == kind)

    def knows(self, kind: str) -> frozenset[str]:
        """Return the ids of a type, those that only occur as parents too."""
        found = {name for type_, name in self._parents if type_ == kind}
        return frozenset(found.union(name for parents in self._parents.values() for type_, name in parents if type_ == kind))


def principal_uid(principal: Principal) -> Uid:
    """Return the entity a link of the chain is asked as."""
    return KINDS[principal.kind], principal.name


def _uid(document: Mapping[str, str]) -> Uid:
    return document["type"], document["id"]


def _zones(registry: Registry) -> dict[Uid, set[str]]:
    """Return the zones of whoever and whatever stands in one; a tool stands where its server does."""
    found: dict[Uid, set[str]] = {}
    for zone in registry.zones.values():
        for noun, kind in _ZONED.items():
            for member in getattr(zone, noun):
                found.setdefault((kind, member), set()).add(zone.name)
    for tool in registry.tools.values():
        if (names := found.get(("Server", tool.server))) is not None:
            found["Tool", tool.id] = names
    return found


def _documents(registry: Registry, schema: PolicySchema) -> Iterable[dict[str, Any]]:
    for user in registry.users.values():
        email = {"email": user.email} if user.email else {}
        yield _document("User", user.name, email, _memberships(user), user.attributes)
    for agent in registry.agents.values():
        yield _agent(agent)
    for model in registry.models.values():
        region = {"region": model.region} if model.region else {}
        attributes = {"provider": model.provider, "accepts": sorted(model.accepts), "trust": model.trust, **region}
        yield _document("Model", model.name, attributes)
    for server in registry.servers.values():
        yield _document("Server", server.name, {"trust": server.trust})
    memberships: dict[str, list[Uid]] = {}
    for group in registry.groups.values():
        for member in group.tools:
            memberships.setdefault(member, []).append(("Group", group.name))
    for tool in registry.tools.values():
        yield _tool(tool, schema, memberships.get(tool.id, []))
    for api in registry.apis.values():
        yield _document("Api", api.name, {"trust": "untrusted"})
    for source in registry.sources.values():
        yield _document("Source", source.name, {"labels": _labels(source.declaration)})


def _agent(agent: Agent) -> dict[str, Any]:
    model = {"model": entity("Model", agent.model)} if agent.model else {}
    attributes = {"owner": entity("User", agent.owner), "purpose": agent.purpose, "manifest": agent.manifest, **model}
    return _document("Agent", agent.name, attributes, _memberships(agent), agent.attributes)


def _tool(tool: Tool, schema: PolicySchema, groups: list[Uid]) -> dict[str, Any]:
    fields = schema.actions[tool.id].fields
    attributes = {
        "effect": effect_of(tool, fields),
        "external": is_external(tool, fields),
        "labels": sorted(tool.profile.labels),
    }
    return _document("Tool", tool.id, attributes, [("Server", tool.server), *groups])


def _memberships(member: User | Agent) -> list[Uid]:
    return [*(("Role", name) for name in sorted(member.roles)), *(("Group", name) for name in sorted(member.groups))]


def _labels(declaration: Mapping[str, Any]) -> list[str]:
    labels = declaration.get("labels", [])
    return sorted(label for label in labels if isinstance(label, str)) if isinstance(labels, list | tuple) else []


def _document(
    kind: str, name: str, attributes: Mapping[str, Any], parents: Iterable[Uid] = (), tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "uid": {"type": kind, "id": name},
        "attrs": attributes,
        "parents": [{"type": type_, "id": id_} for type_, id_ in parents],
    }
    return {**found, "tags": dict(tags)} if tags else found
