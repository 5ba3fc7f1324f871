"""References of a declaration: what one thing says of another must lead somewhere."""

from collections.abc import Mapping

from ostiary.core.registry import Agent, Registry, TrustedDirectory, User, Zone
from ostiary.core.subject import Status
from ostiary.governance.registrar import Registered
from ostiary.governance.shapes import ZONED
from ostiary.governance.strict_yaml import Node
from ostiary.settings import nearest


def check(things: Mapping[str, Mapping[str, Registered]], places: Mapping[tuple[str, str], Node], after: Registry) -> None:
    """Raise InvalidConfig when something names what is not registered, nor declared beside it."""
    for (noun, name), node in places.items():
        value = things[noun][name]
        if isinstance(value, TrustedDirectory):
            _check_directory(node, value, after)
        if isinstance(value, Agent):
            _check_agent(node, value, after)
        if isinstance(value, Agent | User):
            for group in sorted(value.groups):
                _must_exist(node, "groups", group, noun="groups", known=set(after.groups), what=f"`{name}`")
        if isinstance(value, Zone):
            _check_zone(node, value, after)
    for group_name, group_value in things.get("groups", {}).items():
        for tool in sorted(getattr(group_value, "tools", ())):
            server = tool.partition("/")[0]
            _must_exist(
                places["groups", group_name],
                "tools",
                server,
                noun="servers",
                known=set(after.servers),
                what=f"group `{group_name}`",
            )


def _check_agent(node: Node, agent: Agent, after: Registry) -> None:
    what = f"agent `{agent.name}`"
    _must_exist(node, "owner", agent.owner, noun="users", known=_active_users(after), what=what)
    if agent.model:
        _must_exist(node, "model", agent.model, noun="models", known=set(after.models), what=what)
    for server in agent.servers:
        _must_exist(node, "servers", server, noun="servers", known=set(after.servers), what=what)


def _check_directory(node: Node, directory: TrustedDirectory, after: Registry) -> None:
    if directory.tool:
        server = directory.tool.partition("/")[0]
        _must_exist(node, "from", server, noun="servers", known=set(after.servers), what=f"directory `{directory.name}`")


def _check_zone(node: Node, zone: Zone, after: Registry) -> None:
    """Everything in a zone is registered, and stands in no other: two answers to where it is would be none."""
    for noun in (*ZONED, "networks"):
        for member in sorted(getattr(zone, noun)):
            if noun in ZONED:
                _must_exist(node, noun, member, noun=noun, known=set(getattr(after, noun)), what=f"zone `{zone.name}`")
            for other in after.zones.values():
                if other.name != zone.name and member in getattr(other, noun):
                    place = node.value.get(noun, node) if isinstance(node.value, dict) else node
                    place.refuse(
                        f"`{member}` stands in zone `{other.name}` and in zone `{zone.name}`", remedy="leave it in one, or in none"
                    )


def _active_users(registry: Registry) -> set[str]:
    return {user.name for user in registry.users.values() if user.status is not Status.RETIRED}


def _must_exist(node: Node, key: str, name: str, *, noun: str, known: set[str], what: str) -> None:
    if name not in known:
        place = node.value.get(key, node) if isinstance(node.value, dict) else node
        place.refuse(
            f"{key} of {what}: there is no `{name[:64]}` in {noun}{nearest(name, known)}",
            remedy="declare or register it first, or mend the name",
        )
