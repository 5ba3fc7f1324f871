"""A declaration: what should be registered, written down; compared with what is, and applied as the difference."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from ostiary.core.errors import InvalidConfig
from ostiary.core.ids import is_name
from ostiary.core.registry import Agent, Profile, Registry, Server, User
from ostiary.core.subject import Status
from ostiary.governance import checklist, references
from ostiary.governance.registrar import NOUNS, Registered, RegistryChange, plain
from ostiary.governance.shapes import SHAPES, ZONED, Fields, prompt_path
from ostiary.governance.strict_yaml import Node, parse
from ostiary.settings import nearest

MAX_FILES = 1000
MAX_BYTES = 6 * 1024 * 1024
MAX_THINGS = 10_000
KEYS = frozenset(SHAPES) | {"policies"}
_VARIABLE = re.compile(r"\$\{([^}]{0,128})\}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything a declaration is made of, read by whoever applies it; paths are relative and stay inside the folder."""

    declarations: Mapping[str, str]
    """YAML texts by file name."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Policy and prompt texts by path."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Values for `${env:NAME}`, of the names that are used."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a declaration says, each thing with where it was written."""

    things: Mapping[str, Mapping[str, Registered]]
    """By noun, by name."""
    places: Mapping[tuple[str, str], Node]
    policies: Mapping[str, str] | None
    """Policy files by path; None when the declaration does not speak of policies."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: `verb` is create, change or retire; before and after are JSON values."""

    verb: str
    noun: str
    name: str
    before: Any = None
    after: Any = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that differ."""
        before, after = self.before or {}, self.after or {}
        return tuple(sorted(key for key in {*before, *after} if before.get(key) != after.get(key)))


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying would do: registry changes, and the policy files when they differ."""

    differences: tuple[Difference, ...]
    changes: tuple[RegistryChange, ...]
    registry: Registry
    """The registry as it would be."""
    policies: Mapping[str, str] | None
    """The new policy files; None leaves them as they are."""
    notes: tuple[str, ...] = ()
    """What the one who applies should know: agents that will not run, and why."""


def read(bundle: Bundle) -> Declared:
    """Return what the bundle declares. Raises InvalidConfig with file, line and nearest name."""
    _check_size(bundle)
    things: dict[str, dict[str, Registered]] = {noun: {} for noun in SHAPES}
    places: dict[tuple[str, str], Node] = {}
    policies: dict[str, str] | None = None
    for file, text in sorted(bundle.declarations.items()):
        document = _resolve(parse(text, file), bundle.environment)
        for key, node in document.only("the declaration", KEYS).items():
            if key == "policies":
                policies = {**(policies or {}), **_policies(node, bundle.files)}
                continue
            for name, each in node.mapping(f"`{key}`").items():
                _check_new(key, name, node, places)
                things[key][name] = _thing(key, name, each, bundle.files)
                places[key, name] = replace(each, line=node.key_lines[name])
    if len(places) > MAX_THINGS:
        raise InvalidConfig(f"a declaration holds at most {MAX_THINGS} things, got {len(places)}")
    return Declared(things, places, policies)


def plan(
    declared: Declared,
    registry: Registry,
    current: Mapping[str, str],
    *,
    is_recording: bool = True,
    prune: bool = False,
) -> Plan:
    """Return the difference between what is declared and what is registered. Raises InvalidConfig for broken references.

    With `prune`, what is registered but not declared is retired: people and agents keep their record, the rest is taken out.
    `current` are the policy files of now, `is_recording` says whether the ledger can write.
    """
    wanted = {noun: dict(mapping) for noun, mapping in declared.things.items()}
    for name in wanted.get("agents", {}):
        _check_name_is_free(name, declared.places["agents", name], registry)
    changes = [
        RegistryChange(noun, name, settled)
        for noun, mapping in wanted.items()
        for name, value in mapping.items()
        if (settled := _settle(value, getattr(registry, noun).get(name))) != getattr(registry, noun).get(name)
    ]
    changes += _pruned(wanted, registry) if prune else []
    after = preview(registry, changes)
    references.check(declared.things, declared.places, after)
    policies = declared.policies if declared.policies is not None and dict(declared.policies) != dict(current) else None
    judged = policies if policies is not None else current
    changes = [_activated(change, after, registry, judged, is_recording=is_recording) for change in changes]
    after = preview(registry, changes)
    differences = [_difference(change, registry) for change in changes] + _policy_differences(policies, current)
    return Plan(tuple(differences), tuple(changes), after, policies, _notes(changes, after, judged, is_recording=is_recording))


def preview(registry: Registry, changes: "list[RegistryChange] | tuple[RegistryChange, ...]") -> Registry:
    """Return the registry as it would be after the changes."""
    mappings: dict[str, Any] = {noun: dict(getattr(registry, noun)) for noun in NOUNS}
    for change in changes:
        if change.value is None:
            mappings[change.noun].pop(change.name, None)
        else:
            mappings[change.noun][change.name] = change.value
    return replace(registry, **mappings)


def settle(noun: str, name: str, node: Node, registry: Registry) -> Registered:
    """Return one thing read on its own (a verb, not a file), fitted to what is registered. Raises InvalidConfig."""
    if not is_name(name):
        node.refuse(_no_name(noun, name))
    if noun == "agents":
        _check_name_is_free(name, node, registry)
    value = _settle(SHAPES[noun](name, node), getattr(registry, noun).get(name))
    after = preview(registry, [RegistryChange(noun, name, value)])
    references.check({noun: {name: value}}, {(noun, name): node}, after)
    return value


def retired(noun: str, name: str, registry: Registry) -> list[RegistryChange]:
    """Return the changes that retire a thing: people and agents keep their record, so that their name is never taken again.

    A server takes its pinned tools, and what it is pinned to, with it.
    """
    value = getattr(registry, noun)[name]
    if isinstance(value, User | Agent):
        gone = replace(value, status=Status.RETIRED)
        return [] if gone == value else [RegistryChange(noun, name, gone)]
    if noun != "servers":
        return [RegistryChange(noun, name, None)]
    tools = [RegistryChange("tools", tool.id, None) for tool in registry.server_tools(name)]
    return [RegistryChange(noun, name, None), *tools, *([RegistryChange("pins", name, None)] if name in registry.pins else [])]


def dependents(noun: str, name: str, registry: Registry) -> list[str]:
    """Return who still needs a thing, and which zone it stands in: it cannot be retired before them."""
    zones = [zone for zone in registry.zones.values() if noun in ZONED and name in getattr(zone, noun)]
    is_kept = noun in ("users", "agents")
    return _needing(noun, name, registry) + [f"zone `{zone.name}`" for zone in zones if not is_kept]


def _needing(noun: str, name: str, registry: Registry) -> list[str]:
    live = [agent for agent in registry.agents.values() if agent.status is not Status.RETIRED]
    if noun == "users":
        return [f"agent `{agent.name}`" for agent in live if agent.owner == name]
    if noun == "models":
        return [f"agent `{agent.name}`" for agent in live if agent.model == name]
    if noun == "servers":
        return [f"agent `{agent.name}`" for agent in live if name in agent.servers]
    if noun == "groups":
        members: list[User | Agent] = [*registry.users.values(), *live]
        return [f"`{member.name}`" for member in members if name in member.groups and member.status is not Status.RETIRED]
    return []


def _check_size(bundle: Bundle) -> None:
    texts = {**bundle.declarations, **bundle.files}
    if not bundle.declarations:
        raise InvalidConfig("no declaration file", remedy="name a .yaml file, or a folder that holds one")
    if len(texts) > MAX_FILES:
        raise InvalidConfig(f"a declaration has at most {MAX_FILES} files, got {len(texts)}")
    if sum(map(len, texts.values())) > MAX_BYTES:
        raise InvalidConfig(f"a declaration is at most {MAX_BYTES} bytes with its files", code="too_large", status=413)
    for path in texts:
        if not is_inside(path):
            raise InvalidConfig(f"path `{path[:128]}` leads out of the declaration's folder")


def is_inside(path: str) -> bool:
    """Say whether a relative path stays in its folder and is spelled in one way."""
    pure = PurePosixPath(path)
    is_spelled = path.rstrip("/") == pure.as_posix() and path.isprintable() and len(path) <= 512
    return bool(path) and is_spelled and not pure.is_absolute() and ".." not in pure.parts and "\\" not in path and path != "."


def variables(text: str) -> list[str]:
    """Return the names of the environment variables a declaration text uses."""
    return sorted({name.removeprefix("env:") for name in _VARIABLE.findall(text) if name.startswith("env:")})


def _resolve(node: Node, environment: Mapping[str, str]) -> Node:
    """Put the values of `${env:NAME}` in."""
    if isinstance(node.value, dict):
        return replace(node, value={key: _resolve(item, environment) for key, item in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_resolve(item, environment) for item in node.value])
    if not isinstance(node.value, str) or "${" not in node.value:
        return node

    def found(match: re.Match[str]) -> str:
        kind, _, name = match[1].partition(":")
        if kind == "secret":
            node.refuse(f"`{match[0]}`: a secret is never put into text", remedy=f"write `credential: secret:{name}`")
        if kind != "env":
            node.refuse(f"`{match[0]}` is not known; write ${{env:NAME}}")
        if name not in environment:
            node.refuse(f"environment variable `{name}` is not set")
        return environment[name]

    return replace(node, value=_VARIABLE.sub(found, node.value))


def _check_new(noun: str, name: str, node: Node, places: Mapping[tuple[str, str], Node]) -> None:
    line = node.key_lines[name]
    if not is_name(name):
        node.refuse(_no_name(noun, name), line=line)
    if (first := places.get((noun, name))) is not None:
        node.refuse(f"`{name}` is declared in {noun} twice, first in {first.file} line {first.line}", line=line)


def _no_name(noun: str, name: str) -> str:
    return f"`{name[:64]}` cannot be a name in {noun}: letters, digits and `._@-`, at most 128, starting with a letter or digit"


def _thing(noun: str, name: str, node: Node, files: Mapping[str, str]) -> Registered:
    value: Registered = SHAPES[noun](name, node)
    if isinstance(value, Agent) and (prompt := prompt_path(node)) is not None:
        path = Fields(f"`manifest` of agent `{name}`", node.mapping("")["manifest"], "prompt").text("prompt", is_required=True)
        if path not in files:
            prompt.refuse(f"prompt file `{path[:128]}` was not found{nearest(path, set(files))}")
        return replace(value, prompt_digest=prompt_digest(files[path]))
    return value


def prompt_digest(prompt: str) -> str:
    """Return the digest of a prompt as it stands in a manifest."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def _policies(node: Node, files: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in node.sequence("`policies`"):
        path = item.value if isinstance(item.value, str) else item.refuse("a policy path must be text")
        if not is_inside(path):
            item.refuse(f"policy path `{path[:128]}` leads out of the declaration's folder")
        folder = path.rstrip("/") + "/"
        matching = {name: text for name, text in files.items() if name.endswith(".cedar") and (name == path or name.startswith(folder))}
        if not matching:
            item.refuse(f"no policy file at `{path[:128]}`{nearest(path, {name for name in files if name.endswith('.cedar')})}")
        found |= matching
    return found


def _settle(value: Registered, current: Registered | None) -> Registered:
    """Keep what a declaration does not speak of: whether somebody was isolated, what was reviewed, what profiles are pinned to."""
    if isinstance(value, User) and isinstance(current, User):
        return replace(value, status=Status.ACTIVE if current.status is Status.RETIRED else current.status)
    if isinstance(value, Agent) and isinstance(current, Agent):
        return replace(value, status=current.status, reviewed=current.reviewed)
    if isinstance(value, Server) and isinstance(current, Server):
        return replace(value, profiles={name: _as_pinned(each, current.profiles.get(name)) for name, each in value.profiles.items()})
    return value


def _as_pinned(profile: Profile, current: Profile | None) -> Profile:
    """Keep which definition an unchanged profile was confirmed for: declaring it again confirms nothing anew."""
    is_same = current is not None and not profile.pinned and replace(current, pinned="") == profile
    return current if current is not None and is_same else profile


def _check_name_is_free(name: str, node: Node, registry: Registry) -> None:
    """A retired agent's name is not taken again in passing: what was recorded under it must not seem another's."""
    agent = registry.agents.get(name)
    if agent is not None and agent.status is Status.RETIRED:
        node.refuse(f"agent `{name}` was retired", remedy=f"choose another name, or ostiary agent restore {name}")


def _activated(
    change: RegistryChange, after: Registry, before: Registry, policies: Mapping[str, str], *, is_recording: bool
) -> RegistryChange:
    """A new agent whose checklist passes is reviewed by being declared; one that was there before waits for `agent activate`."""
    agent = change.value
    if not isinstance(agent, Agent) or agent.name in before.agents:
        return change
    result = checklist.check(after, agent, is_recording=is_recording, policies=policies, is_reviewing=True)
    return replace(change, value=replace(agent, status=Status.ACTIVE, reviewed=agent.manifest)) if result.is_passed else change


def _pruned(wanted: Mapping[str, Mapping[str, Registered]], registry: Registry) -> list[RegistryChange]:
    gone = [(noun, name) for noun in SHAPES for name in getattr(registry, noun) if name not in wanted[noun]]
    return [change for noun, name in gone for change in retired(noun, name, registry)]


def _difference(change: RegistryChange, registry: Registry) -> Difference:
    before = getattr(registry, change.noun).get(change.name)
    is_retired = change.value is None or getattr(change.value, "status", None) is Status.RETIRED
    verb = "retire" if is_retired else "create" if before is None else "change"
    return Difference(verb, change.noun, change.name, plain(before), plain(change.value))


def _policy_differences(policies: Mapping[str, str] | None, current: Mapping[str, str]) -> list[Difference]:
    if policies is None:
        return []
    found = []
    for path in sorted({*policies, *current}):
        before, after = current.get(path), policies.get(path)
        if before != after:
            verb = "create" if before is None else "retire" if after is None else "change"
            found.append(Difference(verb, "policies", path, {"text": before} if before else None, {"text": after} if after else None))
    return found


def _notes(changes: list[RegistryChange], after: Registry, policies: Mapping[str, str], *, is_recording: bool) -> tuple[str, ...]:
    notes = []
    for change in changes:
        agent = change.value
        if isinstance(agent, Agent) and agent.status is not Status.RETIRED:
            missing = checklist.check(after, agent, is_recording=is_recording, policies=policies).missing()
            if missing:
                notes.append(f"agent `{agent.name}` will not run: {missing[0].finding}; to do: {missing[0].remedy}")
            elif agent.status is not Status.ACTIVE:
                notes.append(f"agent `{agent.name}` is {agent.status.value} and will not run until ostiary agent activate {agent.name}")
    return tuple(notes)
