"""Where a replayed agent makes its calls: in this process at the product's engine, or over MCP through a running gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bench.evaluation.attacks import Call
from bench.evaluation.dojo import Suite
from bench.evaluation.gate import Gate, is_allowed


@dataclass(frozen=True)
class Made:
    """What became of a call: the tool's answer, or None; and why it was stopped at first, if it was."""

    answer: Mapping[str, Any] | None
    stopped: str = ""


class Door(Protocol):
    """One session of one agent."""

    def make(self, call: Call, *, says_yes: bool = False) -> Made:
        """Make a call; `says_yes`: a person who is asked approves it."""


class Opens(Protocol):
    """Opens sessions."""

    def open(self, suite: Suite, words: str, world: Any) -> Door:
        """Return a new session of a user who asked for `words`, in a world of its own."""


@dataclass
class HereDoor:
    """The product's policy engine and information flow in this process: quick, for a look while developing."""

    suite: Suite
    gate: Gate
    world: Any

    def make(self, call: Call, *, says_yes: bool = False) -> Made:
        """Make a call."""
        tool = self.suite.tool(call.tool)
        passage = self.gate.ask(tool, call.arguments)
        stopped = "" if is_allowed(passage) else ", ".join(sorted(passage.origins.unsafe)) or "labels"
        if stopped and says_yes:
            passage = self.gate.ask(tool, call.arguments, approved=True)
        if not is_allowed(passage):
            return Made(None, stopped)
        answer, _ = self.suite.run(self.world, call)
        self.gate.answer(passage, answer)
        return Made(answer, stopped)


class Here:
    """Opens sessions in this process."""

    def open(self, suite: Suite, words: str, world: Any) -> HereDoor:
        """Return a new session."""
        return HereDoor(suite, Gate(suite.company, words), world)


@dataclass
class NoDoor:
    """No gate at all: shows that the attacks work."""

    suite: Suite
    world: Any

    def make(self, call: Call, *, says_yes: bool = False) -> Made:  # noqa: ARG002 - nobody is asked
        """Make a call."""
        return Made(self.suite.run(self.world, call)[0])
