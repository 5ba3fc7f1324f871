"""Tool definitions pinned by digest: a tool is what it was when it was accepted, or it is quarantined (rug pull, poisoning)."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ostiary.core.canonical import digest
from ostiary.core.errors import Conflict, InvalidAction, NotFound
from ostiary.core.registry import Pin, Profile, Registry, Tool
from ostiary.governance.registrar import Registrar, RegistryChange

Find = Callable[[str, Mapping[str, Any], Sequence[Tool]], tuple[str, ...]]
"""`controls.tool_definition.findings`: what is hostile in a definition, looked at beside all other tools."""
Infer = Callable[[Mapping[str, Any]], Profile]
"""`provenance.profile.infer`: a first guess of what a tool does."""

MAX_TOOLS = 1000
MAX_DEFINITION = 256 * 1024
MAX_LINES = 40
MAX_NAME = 128


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at a server found."""

    changed: bool
    present: frozenset[str]


class ToolPins:
    """Compares what servers offer with what was accepted, and keeps both. The registrar records each change."""

    def __init__(self, registrar: Registrar, find: Find, infer: Infer) -> None:
        self._registrar = registrar
        self._find = find
        self._infer = infer
        self._present: dict[str, frozenset[str]] = {}
        self._moved: dict[str, str] = {}
        self._places = _places(registrar.registry)
        self._locks: dict[str, asyncio.Lock] = {}
        registrar.subscribe(self._on_change)

    def is_present(self, server: str, name: str) -> bool:
        """Say whether the server offered the tool when it was looked at last; False before the first look."""
        return name in self._present.get(server, ())

    def has_looked(self, server: str) -> bool:
        """Say whether the server was looked at where it is now."""
        return server in self._present

    async def observe(self, server: str, definitions: Sequence[Mapping[str, Any]], *, version: str = "", key: str = "") -> Observation:
        """Pin what is new, quarantine what changed or looks hostile, note what vanished.

        `version` is what the server calls itself, `key` the digest of its certificate's public key. Raises InvalidAction
        for a list that is too long or holds a definition that is no tool or stands twice.
        """
        async with self._locks.setdefault(server, asyncio.Lock()):
            named = _by_name(definitions)
            pins = self._pinned(server, version, key)
            moved = self._moved.get(server, "") or self._updated(pins)
            tools = [self._pin(server, name, definition, moved) for name, definition in named.items()]
            known = self._registrar.registry.tools
            changes = [RegistryChange("tools", tool.id, tool) for tool in tools if known.get(tool.id) != tool]
            changes += [*self._pinning(server, tools), *pins]
            if changes:
                await self._registrar.change(changes, by="ostiary", why=f"what server `{server}` offers differs from what is pinned")
            self._moved.pop(server, None)
            before, present = self._present.get(server), frozenset(named)
            self._present[server] = present
            return Observation(bool(changes) or before != present, present)

    async def accept(self, tool_id: str, definition_digest: str, *, by: str, why: str) -> Tool:
        """Accept exactly the definition a person looked at. Raises NotFound, or Conflict when it changed meanwhile."""
        server, _, _ = tool_id.partition("/")
        async with self._locks.setdefault(server, asyncio.Lock()):
            tool = self._registrar.registry.tools.get(tool_id)
            if tool is None:
                raise NotFound(f"there is no tool `{tool_id}`")
            if tool.digest != definition_digest:
                raise Conflict(f"tool `{tool_id}` has digest {tool.digest[:12]} now, not {definition_digest[:12]}: look at it again")
            accepted = self._made(Tool(server, tool.name, tool.definition, tool.digest))
            changes = [RegistryChange("tools", tool_id, accepted), *self._pinning(server, [accepted])]
            await self._registrar.change(changes, by=by, why=why)
            return accepted

    async def repin(self, server: str, *, by: str, why: str) -> None:
        """Let a server have another certificate key, the one it shows when it is reached next. Raises NotFound."""
        async with self._locks.setdefault(server, asyncio.Lock()):
            pin = self._registrar.registry.pins.get(server)
            if pin is None:
                raise NotFound(f"server `{server}` is pinned to nothing yet", remedy="ostiary server refresh")
            await self._registrar.change([RegistryChange("pins", server, replace(pin, key=""))], by=by, why=why)

    def difference(self, tool_id: str) -> list[str]:
        """Return what an operator is shown: each place where the definition differs from the one accepted before."""
        tool = self._registrar.registry.tools.get(tool_id)
        if tool is None:
            raise NotFound(f"there is no tool `{tool_id}`")
        return difference(tool.previous, tool.definition) if tool.previous is not None else difference({}, tool.definition)

    def _pin(self, server: str, name: str, definition: Mapping[str, Any], moved: str) -> Tool:
        known = self._registrar.registry.tools.get(f"{server}/{name}")
        seen = digest(definition)
        if known is not None and known.digest == seen and not moved:
            return self._profiled(known)
        findings = list(self._find(server, definition, self._others(server, name)))
        if known is None:
            return self._made(Tool(server, name, definition, seen, not findings, tuple(findings)))
        previous = known.definition if known.accepted else known.previous
        if known.digest != seen:
            shown = difference(previous or {}, definition)
            findings = [f"the definition changed: {line}" for line in shown] + findings or ["the definition changed"]
        if moved:
            findings.insert(0, moved)
        return self._made(Tool(server, name, definition, seen, False, tuple(findings[:MAX_LINES]), previous=previous))

    def _made(self, tool: Tool) -> Tool:
        return self._profiled(replace(tool, profile=self._infer(tool.definition)))

    def _profiled(self, tool: Tool) -> Tool:
        """Put the declared profile in place of the guess."""
        server = self._registrar.registry.servers.get(tool.server)
        declared = server.profile_of(tool.name, tool.digest) if server is not None else None
        profile = declared if declared is not None else self._infer(tool.definition) if tool.profile.confirmed else tool.profile
        return replace(tool, profile=profile)

    def _pinning(self, name: str, tools: Sequence[Tool]) -> list[RegistryChange]:
        """Pin the declared profiles of a server to the accepted definitions they are first seen with."""
        server = self._registrar.registry.servers.get(name)
        if server is None:
            return []
        new = {tool.name: tool.digest for tool in tools if tool.accepted and tool.name in server.profiles}
        pinned = {each: replace(server.profiles[each], pinned=seen) for each, seen in new.items() if not server.profiles[each].pinned}
        return [RegistryChange("servers", name, replace(server, profiles={**server.profiles, **pinned}))] if pinned else []

    def _pinned(self, name: str, version: str, key: str) -> list[RegistryChange]:
        """Pin a server to what it calls itself and to its certificate's key, where that is new."""
        server = self._registrar.registry.servers.get(name)
        if server is None:
            return []
        before = self._registrar.registry.pin_of(server)
        pin = Pin(name, server.place, version or (before.version if before else ""), "" if server.follow_certificate else key)
        return [] if before == pin else [RegistryChange("pins", name, pin)]

    def _updated(self, pins: Sequence[RegistryChange]) -> str:
        """Say what another version under the same name means: the same words may stand for something else now."""
        for change in pins:
            pin, before = change.value, self._registrar.registry.pins.get(change.name)
            if isinstance(pin, Pin) and before is not None and before.place == pin.place and before.version not in ("", pin.version):
                return f"the server was `{before.version}` and calls itself `{pin.version}` now"
        return ""

    def _others(self, server: str, name: str) -> list[Tool]:
        return [tool for tool in self._registrar.registry.tools.values() if (tool.server, tool.name) != (server, name)]

    def _on_change(self, registry: Registry) -> None:
        """Notice a server that now lives elsewhere: what it offers must be looked at again before anything is called."""
        places = _places(registry)
        for server, place in places.items():
            before = self._places.get(server)
            if before is not None and before != place:
                self._moved[server] = f"the server moved from `{_shown(before)}` to `{_shown(place)}`"
                self._present.pop(server, None)
        self._places |= places


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the differing places as `path: old → new`, at most 40 lines."""
    left, right = dict(_leaves(before)), dict(_leaves(after))
    lines = []
    for path in sorted(left.keys() | right.keys()):
        old, new = left.get(path), right.get(path)
        if old != new:
            lines.append(f"{path}: {_text(old)} → {_text(new)}")
    return lines[:MAX_LINES]


def _leaves(value: Any, path: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value and depth < 32:
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}" if path else str(key), depth + 1)]
    return [(path, value)]


def _text(value: Any) -> str:
    """Show a value so that nothing invisible in it stays so."""
    return "nothing" if value is None else json.dumps(value, ensure_ascii=True)[:200]


def _places(registry: Registry) -> dict[str, tuple[str, ...]]:
    return {name: server.place for name, server in registry.servers.items()}


def _shown(place: tuple[str, ...]) -> str:
    return " ".join(place)[:200]


def _by_name(definitions: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    if len(definitions) > MAX_TOOLS:
        raise InvalidAction(f"a server offers {len(definitions)} tools, at most {MAX_TOOLS} are taken")
    named: dict[str, Mapping[str, Any]] = {}
    for definition in definitions:
        name = definition.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not isinstance(definition.get("inputSchema"), Mapping):
            raise InvalidAction("a server offers something that is no tool: it needs a name and an inputSchema")
        if name in named:
            raise InvalidAction(f"a server offers tool `{name[:64]}` twice")
        if len(json.dumps(definition)) > MAX_DEFINITION:
            raise InvalidAction(f"the definition of tool `{name[:64]}` is over {MAX_DEFINITION} bytes")
        named[name] = definition
    return named
