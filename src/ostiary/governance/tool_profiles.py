"""Tool profiles: what is guessed of a server's tools, what a person confirmed, and confirming it for exactly one definition."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ostiary.core.errors import Conflict, InvalidConfig, NotFound
from ostiary.core.registry import Profile, Registry, Server, Tool
from ostiary.governance.registrar import Registrar, RegistryChange
from ostiary.settings import nearest

Infer = Callable[[Mapping[str, Any]], Profile]
Explain = Callable[[Mapping[str, Any], Profile], Mapping[str, str]]

GUESS, CONFIRMED, CHANGED, UNSEEN = "guess", "confirmed", "changed", "not seen"
MAX_FIELDS = 2_000
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Understood:
    """What is understood of one tool. `state` is guess, confirmed, changed (since it was confirmed) or not seen (declared only)."""

    tool: str
    state: str
    digest: str
    profile: Profile
    """What holds now."""
    guess: Profile
    why: Mapping[str, str]
    """Why the guess is what it is: by argument, and for `effect` and `external`."""
    problems: tuple[str, ...]
    """Where a declared profile does not fit the tool's schema."""


class ToolProfiles:
    """Shows and changes the profiles of registered servers. The registrar records each change, with who and why."""

    def __init__(self, registrar: Registrar, infer: Infer, explain: Explain) -> None:
        self._registrar = registrar
        self._infer = infer
        self._explain = explain

    def of(self, server_name: str) -> list[Understood]:
        """Return what is understood of each tool of a server, by name. Raises NotFound."""
        registry = self._registrar.registry
        server = _server(registry, server_name)
        tools = {tool.name: tool for tool in registry.server_tools(server_name)}
        return [self._understood(server, name, tools.get(name)) for name in sorted({*tools, *server.profiles})]

    async def confirm(self, server_name: str, seen: Mapping[str, str], *, by: str, why: str) -> None:
        """Confirm the guesses of tools, by name, with the digest of the definition that was looked at each. Raises as `put` does."""
        tools = self._registrar.registry.tools
        guesses = {}
        for name, digest in seen.items():
            tool = tools.get(f"{server_name}/{name}")
            if tool is not None:
                guesses[name] = replace(self._infer(tool.definition), confirmed=True, pinned=digest)
        await self.put(server_name, {name: guesses.get(name, Profile(pinned=digest)) for name, digest in seen.items()}, by=by, why=why)

    async def put(self, server_name: str, profiles: Mapping[str, Profile], *, by: str, why: str) -> None:
        """Confirm these profiles, all or none. `pinned` is the digest looked at; empty takes the definition of now.

        Raises NotFound for no such server or tool, Conflict when a tool is quarantined or changed meanwhile, InvalidConfig
        when a profile does not fit its schema.
        """
        registry = self._registrar.registry
        server = _server(registry, server_name)
        confirmed: dict[str, Profile] = {}
        changes = []
        for name, profile in profiles.items():
            tool = _tool(registry, server_name, name)
            _check_definition(tool, profile.pinned)
            if problems := misfits(tool.definition, profile):
                raise InvalidConfig(f"profile of `{tool.id}`: {problems[0]}", status=422, remedy=f"ostiary tool show {tool.id}")
            confirmed[name] = replace(profile, confirmed=True, pinned=tool.digest)
            changes.append(RegistryChange("tools", tool.id, replace(tool, profile=confirmed[name])))
        changed = replace(server, profiles={**server.profiles, **confirmed})
        await self._registrar.change([RegistryChange("servers", server_name, changed), *changes], by=by, why=why, seen=registry)

    async def unconfirm(self, server_name: str, names: "list[str]", *, by: str, why: str) -> None:
        """Make the profiles of tools guesses again. Raises NotFound."""
        registry = self._registrar.registry
        server = _server(registry, server_name)
        changes = []
        for name in names:
            if name not in server.profiles:
                raise NotFound(f"no profile of `{server_name}/{name}` is confirmed", remedy=f"ostiary server profile {server_name}")
            tool = registry.tools.get(f"{server_name}/{name}")
            if tool is not None:
                changes.append(RegistryChange("tools", tool.id, replace(tool, profile=self._infer(tool.definition))))
        left = {name: profile for name, profile in server.profiles.items() if name not in names}
        changed = RegistryChange("servers", server_name, replace(server, profiles=left))
        await self._registrar.change([changed, *changes], by=by, why=why, seen=registry)

    def _understood(self, server: Server, name: str, tool: Tool | None) -> Understood:
        declared = server.profiles.get(name)
        if tool is None:
            return Understood(name, UNSEEN, "", declared or Profile(), Profile(), {}, ())
        guess = self._infer(tool.definition)
        holds = declared is not None and declared.holds_for(tool.digest)
        state = CONFIRMED if holds else CHANGED if declared is not None else GUESS
        problems = misfits(tool.definition, declared) if declared is not None else ()
        return Understood(
            name,
            state,
            tool.digest,
            declared if declared is not None and holds else guess,
            guess,
            self._explain(tool.definition, guess),
            problems,
        )


def check(registry: Registry, before: Registry) -> None:
    """Raise InvalidConfig when a profile that is new in `registry` does not fit the schema of its tool, as far as that is known."""
    for name, server in registry.servers.items():
        known = before.servers.get(name)
        for tool_name, profile in server.profiles.items():
            tool = registry.tools.get(f"{name}/{tool_name}")
            if tool is None or (known is not None and known.profiles.get(tool_name) == profile):
                continue
            if problems := misfits(tool.definition, profile):
                raise InvalidConfig(f"profile of `{tool.id}`: {problems[0]}", remedy=f"ostiary tool show {tool.id}")


def misfits(definition: Mapping[str, Any], profile: Profile) -> tuple[str, ...]:
    """Return where a profile speaks of arguments or result fields that the definition does not have, with the nearest name."""
    arguments = set(_mapping(_mapping(definition.get("inputSchema")).get("properties")))
    stated = _mapping(definition.get("outputSchema"))
    fields = set(_paths(stated, _mapping(stated.get("$defs")), "", 0)) if stated else set()
    found = [
        f"there is no argument `{name}`, named in `{where}`{nearest(name, arguments)}"
        for where, names in (("control", profile.control), ("payload", profile.payload))
        for name in sorted(names - arguments)
    ]
    found += [f"`{name}` cannot be both `control` and `payload`" for name in sorted(profile.control & profile.payload)]
    found += [
        f"there is no result field `{path}`, named in `{where}`{nearest(path, fields)}"
        for where, paths in (("attested", profile.attested), ("directory", profile.directory))
        for path in sorted(paths)
        if fields and not _stands(path, fields)
    ]
    return tuple(found)


def _stands(path: str, fields: set[str]) -> bool:
    """Say whether a path, or a pattern for paths, leads to a field of the schema."""
    if path in {"*", "*#", "result"} or path in fields or path.startswith(("*~", "?")):
        return True
    return path.startswith("*.") and any(field.rpartition(".")[2] == path[2:] for field in fields)


def _paths(schema: Mapping[str, Any], defined: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    """Iterate the dotted paths of a result schema; items of a list stand under the list's own name."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        schema = _mapping(defined.get(reference.rpartition("/")[2]))
    if depth > MAX_DEPTH:
        return
    for word in ("anyOf", "oneOf", "allOf"):
        options = schema.get(word)
        for option in options[:16] if isinstance(options, list) else ():
            yield from _paths(_mapping(option), defined, path, depth + 1)
    if "items" in schema:
        yield from _paths(_mapping(schema.get("items")), defined, path, depth + 1)
    for name, rule in list(_mapping(schema.get("properties")).items())[:MAX_FIELDS]:
        here = f"{path}.{name}" if path else str(name)
        yield here
        yield from _paths(_mapping(rule), defined, here, depth + 1)


def _server(registry: Registry, name: str) -> Server:
    server = registry.servers.get(name)
    if server is None:
        raise NotFound(f"there is no `{name}` in servers", remedy="ostiary server list")
    return server


def _tool(registry: Registry, server: str, name: str) -> Tool:
    tool = registry.tools.get(f"{server}/{name}")
    if tool is None:
        known = {each.name for each in registry.server_tools(server)}
        raise NotFound(f"server `{server}` offers no tool `{name}`{nearest(name, known)}", remedy=f"ostiary server profile {server}")
    return tool


def _check_definition(tool: Tool, looked_at: str) -> None:
    if not tool.accepted:
        raise Conflict(f"tool `{tool.id}` is quarantined", remedy=f"look at it and accept it first: ostiary tool accept {tool.id}")
    if looked_at not in ("", tool.digest):
        raise Conflict(
            f"tool `{tool.id}` has digest {tool.digest[:12]} now, not {looked_at[:12]}: look at it again",
            remedy=f"ostiary server profile {tool.server} {tool.name}",
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
