"""What a tool's arguments and results mean now: the confirmed profile where it still fits the tool, a guess everywhere else."""

from collections.abc import Mapping
from typing import Any

from ostiary.core.action import Action
from ostiary.core.registry import Profile, Registry, Tool
from ostiary.provenance.profile import infer, properties_of

MAX_KEPT = 10_000
"""Definitions whose guess and schema are remembered."""


class Meanings:
    """Profiles and schemas of tools, computed once a definition."""

    def __init__(self) -> None:
        self._guesses: dict[str, Profile] = {}
        self._rules: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def profile(self, registry: Registry, tool: Tool | None, action: Action) -> Profile:
        """Return the tool's profile; where nobody confirmed one, everything not plainly prose decides."""
        if tool is None:
            return Profile(control=frozenset(action.arguments))
        profile = _stated(registry, tool)
        if profile.confirmed and (profile.control or profile.payload or profile.effect == "read"):
            return profile
        guess = self._guess(tool)
        if profile.confirmed:
            return Profile(
                profile.effect,
                profile.external,
                guess.control,
                guess.payload,
                profile.attested,
                profile.directory,
                profile.labels,
                confirmed=True,
            )
        known = self.properties(tool)
        unknown = frozenset(name for name in action.arguments if name not in known)
        return Profile(
            profile.effect, profile.external, guess.control | profile.control | unknown, guess.payload, labels=profile.labels | guess.labels
        )

    def properties(self, tool: Tool | None) -> Mapping[str, Mapping[str, Any]]:
        """Return what the tool's pinned schema says of each argument."""
        if tool is None:
            return {}
        found = self._rules.get(tool.digest)
        if found is None:
            if len(self._rules) > MAX_KEPT:
                self._rules.clear()
            schema = tool.definition.get("inputSchema")
            found = self._rules[tool.digest] = properties_of(schema) if isinstance(schema, Mapping) else {}
        return found

    def _guess(self, tool: Tool) -> Profile:
        guess = self._guesses.get(tool.digest)
        if guess is None:
            if len(self._guesses) > MAX_KEPT:
                self._guesses.clear()
            guess = self._guesses[tool.digest] = infer(tool.definition)
        return guess


def _stated(registry: Registry, tool: Tool) -> Profile:
    """Return the declared profile, while the definition is the one it was confirmed for; else what the tool itself carries."""
    server = registry.servers.get(tool.server)
    declared = server.profile_of(tool.name, tool.digest) if server is not None else None
    if declared is None and tool.profile.confirmed and not tool.profile.holds_for(tool.digest):
        return Profile(labels=tool.profile.labels)
    return declared or tool.profile
