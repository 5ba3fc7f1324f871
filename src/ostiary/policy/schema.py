"""The Cedar schema of a registry: what policies are checked against, and how each action's arguments are typed."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cedarpy import _internal as cedar

from ostiary.core.canonical import canonical
from ostiary.core.registry import Registry, Tool
from ostiary.policy.values import Fields, Shape, fields_of

PRINCIPALS = ("User", "Agent", "Process", "Model")
EFFECTS = ("read", "reversible", "irreversible")
TOOL_GROUPS = ("call_tool", *EFFECTS, "external")
"""Action groups that tools belong to by what they do."""
OTHER_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "generate": ("Model",),
    "embed": ("Model",),
    "read_resource": ("Server",),
    "get_prompt": ("Server",),
    "complete": ("Server",),
    "answer_request": ("Server",),
    "call_api": ("Api", "Operation"),
    "read_rows": ("Source",),
    "write_rows": ("Source",),
    "search": ("Source",),
    "delegate": ("Agent",),
    "run_code": ("Registry",),
    "open_session": ("Agent", "Session", "Registry"),
    "approve": ("Approval",),
    "administer": ("Registry", "Session", "Approval", "Policy", "User", "Agent", "Model", "Server", "Tool", "Api", "Source"),
}
"""Actions that are no tool, and the resource types each acts on."""
RESERVED = frozenset(TOOL_GROUPS) | OTHER_ACTIONS.keys()
"""Names of actions and groups of ours: a server or group of that name gets no action group, so it cannot widen a rule."""

_STRING = {"type": "String"}
_LONG = {"type": "Long"}
_BOOL = {"type": "Boolean"}
_NAMES = {"type": "Set", "element": _STRING}
_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "generate": {"stream": {"type": ["boolean", "null"]}, "max_tokens": {"type": ["integer", "null"]}},
    "read_resource": {"uri": {"type": "string"}},
    "get_prompt": {"name": {"type": "string"}},
    "answer_request": {"method": {"type": "string"}},
    "call_api": {"method": {"type": "string"}, "path": {"type": "string"}},
    "delegate": {
        "purpose": {"type": "string"},
        "scopes": {"type": "array", "items": {"type": "string"}},
        "text": {"type": ["string", "null"]},
    },
    "open_session": {"purpose": {"type": "string"}, "scopes": {"type": "array", "items": {"type": "string"}}},
}


@dataclass(frozen=True, slots=True)
class ActionShape:
    """What may be asked under one action name."""

    name: str
    resources: tuple[str, ...]
    fields: Fields
    groups: frozenset[str] = frozenset()
    is_accepted: bool = True
    is_tool: bool = False
    """True for `server/tool`, whose only resource is the tool of that name."""
    digest: str = ""
    """Changes when anything a policy can see of the action changes."""

    @property
    def context(self) -> dict[str, Any]:
        """The Cedar type of this action's context."""
        return _context(self.fields)


@dataclass(frozen=True)
class PolicySchema:
    """The schema generated from one registry snapshot."""

    document: Mapping[str, Any]
    """Cedar's JSON schema."""
    actions: Mapping[str, ActionShape]
    findings: tuple[str, ...] = ()
    """What of the registry could not be given a name in policy."""
    groups: frozenset[str] = frozenset()
    """Every action group, of members or not."""
    revision: str = field(default="")

    @cached_property
    def handle(self) -> Any:
        """The schema as Cedar has parsed it."""
        return cedar.Schema.from_json_str(canonical(self.document).decode(), release_gil=True)

    @cached_property
    def text(self) -> str:
        """The schema in Cedar's own syntax, as `ostiary policy schema` prints it."""
        return str(self.handle)

    @cached_property
    def fingerprints(self) -> Mapping[str, tuple[str, ...]]:
        """Each tool's digest and typed arguments, by name: what a later schema is compared with."""
        return {name: (shape.digest, *sorted(shape.fields.shapes)) for name, shape in self.actions.items() if shape.is_tool}

    @cached_property
    def contexts(self) -> Mapping[str, Mapping[str, Any]]:
        """The Cedar type of each action's context, by the action."""
        return {name: shape.context for name, shape in self.actions.items()}

    @cached_property
    def members(self) -> Mapping[str, frozenset[str]]:
        """The actions that can be asked for, by the action or group that covers them."""
        found: dict[str, set[str]] = {group: set() for group in self.groups}
        for name, shape in self.actions.items():
            for covering in (name, *shape.groups):
                found.setdefault(covering, set()).add(name)
        return {name: frozenset(actions) for name, actions in found.items()}


def generate(registry: Registry) -> PolicySchema:
    """Return the schema for everything registered."""
    findings: list[str] = []
    named = _named_groups(registry, findings)
    actions = {tool.id: _tool_shape(tool, named) for tool in registry.tools.values()}
    actions |= {name: _other_shape(name, resources) for name, resources in OTHER_ACTIONS.items()}
    groups = frozenset(TOOL_GROUPS).union(*named.values()) | {name for name in registry.groups if name not in RESERVED}
    groups |= {name for name in registry.servers if name not in RESERVED}
    document = {"": {"commonTypes": _COMMON, "entityTypes": _ENTITIES, "actions": _action_types(actions, groups)}}
    return PolicySchema(document, actions, tuple(findings), groups, hashlib.sha256(canonical(document)).hexdigest())


def is_external(tool: Tool, fields: Fields) -> bool:
    """Say whether a call counts as leaving the company; what nobody confirmed, or policy cannot see into, does."""
    return tool.profile.external or not tool.profile.confirmed or fields.is_free_form


def effect_of(tool: Tool, fields: Fields) -> str:
    """Return the tool's effect; what nobody confirmed, or policy cannot see into, is irreversible."""
    is_known = tool.profile.confirmed and not fields.is_free_form and tool.profile.effect in EFFECTS
    return tool.profile.effect if is_known else "irreversible"


def _named_groups(registry: Registry, findings: list[str]) -> dict[str, set[str]]:
    """Return the servers and declared groups each tool belongs to, by tool id."""
    found: dict[str, set[str]] = {}
    for tool in registry.tools.values():
        found.setdefault(tool.id, set()).add(tool.server)
    for group in registry.groups.values():
        for member in group.tools:
            found.setdefault(member, set()).add(group.name)
    taken = {*registry.servers, *registry.groups, *(tool.server for tool in registry.tools.values())} & RESERVED
    findings.extend(
        f"`{name}` is an action of ours, so no action group is made for the server or group of that name: rename it"
        for name in sorted(taken)
    )
    return {tool: names - RESERVED for tool, names in found.items()}


def _tool_shape(tool: Tool, named: Mapping[str, set[str]]) -> ActionShape:
    fields = fields_of(tool.definition.get("inputSchema", {}))
    groups = {"call_tool", effect_of(tool, fields), *named[tool.id]}
    if is_external(tool, fields):
        groups.add("external")
    digest = hashlib.sha256(canonical([fields.type(), sorted(fields.free), sorted(groups)])).hexdigest()
    return ActionShape(tool.id, ("Tool",), fields, frozenset(groups), tool.accepted, is_tool=True, digest=digest)


def _other_shape(name: str, resources: tuple[str, ...]) -> ActionShape:
    declared = fields_of({"properties": _ARGUMENTS.get(name, {})})
    return ActionShape(name, resources, Fields(declared.shapes, is_open=True), digest=name)


def _action_types(actions: Mapping[str, ActionShape], groups: Iterable[str]) -> dict[str, Any]:
    """Return the actions of the schema; a group without members stands for a tool without arguments, so rules on it are checked."""
    found: dict[str, Any] = {}
    taken: set[str] = set()
    for shape in actions.values():
        found[shape.name] = _applies(shape.resources, shape.context, sorted(shape.groups))
        taken |= shape.groups
    for group in groups:
        found[group] = {} if group in taken else _applies(("Tool",), _context(Fields()), [])
    return found


def _applies(resources: Iterable[str], context: Mapping[str, Any], parents: Iterable[str]) -> dict[str, Any]:
    applies = {"principalTypes": list(PRINCIPALS), "resourceTypes": list(resources), "context": context}
    return {"memberOf": [{"id": parent} for parent in parents], "appliesTo": applies}


def _context(fields: Fields) -> dict[str, Any]:
    origins = {name: {**_STRING, "required": _is_always_there(fields, name)} for name in fields.names}
    attributes = {
        "arguments": fields.type(),
        "origins": _record(origins),
        "control": _type("Control"),
        "session": _type("SessionContext"),
        "detected": _NAMES,
        "authn": _type("Authentication"),
        "request": _type("RequestContext"),
        "approval": {**_type("ApprovalContext"), "required": False},
    }
    return _record(attributes)


def _is_always_there(fields: Fields, name: str) -> bool:
    shape: Shape | None = fields.shapes.get(name)
    return name in fields.required and not (shape is not None and shape.nullable)


def _record(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "Record", "attributes": attributes}


def _type(name: str) -> dict[str, Any]:
    return {"type": "EntityOrCommon", "name": name}


def _extension(name: str) -> dict[str, Any]:
    return {"type": "Extension", "name": name}


def _entity(parents: Iterable[str] = (), *, tags: bool = False, **attributes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"memberOfTypes": list(parents), "shape": _record(attributes)}
    return {**found, "tags": _STRING} if tags else found


def _optional(kind: Mapping[str, Any]) -> dict[str, Any]:
    return {**kind, "required": False}


_USER = {"type": "Entity", "name": "User"}
_COMMON = {
    "Control": _record({"origin": _STRING, "unsafe": _NAMES}),
    "SessionContext": _record(
        {
            "id": _STRING,
            "user": _optional(_USER),
            "purpose": _STRING,
            "age": _extension("duration"),
            "integrity": _STRING,
            "labels": _NAMES,
            "actions": _LONG,
            "denied": _LONG,
            "spent": _extension("decimal"),
            "depth": _LONG,
        }
    ),
    "Authentication": _record({"method": _STRING, "bound": _BOOL, "mfa": _BOOL, "age": _extension("duration")}),
    "RequestContext": _record(
        {
            "at": _extension("datetime"),
            "ip": _extension("ipaddr"),
            "zone": _optional({"type": "Entity", "name": "Zone"}),
            "size": _LONG,
        }
    ),
    "ApprovalContext": _record(
        {"group": _STRING, "by": {"type": "Set", "element": _USER}, "at": _extension("datetime"), "reason": _STRING}
    ),
}
_MEMBER = ("Role", "Group", "Zone")
_TOOL: dict[str, Any] = {"effect": _STRING, "external": _BOOL, "labels": _NAMES}
_ENTITIES = {
    "Role": _entity(),
    "Group": _entity(),
    "Zone": _entity(),
    "User": _entity(_MEMBER, tags=True, email=_optional(_STRING)),
    "Agent": _entity(
        _MEMBER,
        tags=True,
        owner=_USER,
        purpose=_STRING,
        model=_optional({"type": "Entity", "name": "Model"}),
        manifest=_STRING,
    ),
    "Process": _entity(_MEMBER, owner=_USER),
    "Model": _entity(("Zone",), provider=_STRING, region=_optional(_STRING), accepts=_NAMES, trust=_STRING),
    "Server": _entity(("Zone",), trust=_STRING),
    "Tool": _entity(("Server", "Group", "Zone"), **_TOOL),
    "Api": _entity(("Zone",), trust=_STRING),
    "Operation": _entity(("Api",), **_TOOL),
    "Source": _entity(("Source", "Zone"), labels=_NAMES),
    "Session": _entity(),
    "Approval": _entity(),
    "Policy": _entity(),
    "Registry": _entity(),
}
