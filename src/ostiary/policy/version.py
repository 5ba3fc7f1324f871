"""A policy version: files and the schema they were checked against, immutable and named by its hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from ostiary.core.canonical import canonical, digest


@dataclass(frozen=True)
class PolicyVersion:
    """Policy files by name, and the digest of each action they were validated with."""

    files: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""
    """The revision of the schema."""
    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each tool's action by name: the digest of what policy can see of it, then its arguments."""

    @cached_property
    def revision(self) -> str:
        """The SHA-256 over policies and schema, in hex."""
        return digest([dict(self.files), self.schema])

    def encode(self) -> bytes:
        """Return the version as it is stored."""
        return canonical(
            {"files": dict(self.files), "schema": self.schema, "actions": {name: list(each) for name, each in self.actions.items()}}
        )

    @classmethod
    def decode(cls, body: Mapping[str, Any]) -> Self:
        """Return a stored version."""
        return cls(dict(body["files"]), str(body["schema"]), {name: tuple(each) for name, each in body["actions"].items()})
