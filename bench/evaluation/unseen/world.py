"""What an unseen company consists of: systems that answer, people who ask, and somebody who wants something else."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.evaluation.attacks import Call

Data = dict[str, Any]
TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
WHOLE: dict[str, Any] = {"type": "integer"}
FLAG: dict[str, Any] = {"type": "boolean"}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
WHOLES: dict[str, Any] = {"type": "array", "items": WHOLE}


def told(schema: Mapping[str, Any], description: str, **more: Any) -> dict[str, Any]:
    """Return a schema with what its owner says about it, and perhaps a default."""
    return {**schema, "description": description, **more}


def enum(*options: str) -> dict[str, Any]:
    """Return the schema of a small fixed list."""
    return {"type": "string", "enum": list(options)}


def listing(**properties: Any) -> dict[str, Any]:
    """Return the schema of a list of objects."""
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def record(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties}


@dataclass(frozen=True)
class Offered:
    """One tool of a company's systems: its schema, and what it answers."""

    server: str
    name: str
    description: str
    properties: Mapping[str, Any]
    answer: Callable[..., Any]
    is_text: bool = False
    """True when the server answers in one text, JSON or prose, as many do, and not in structured content."""
    required: Sequence[str] = ()

    @property
    def definition(self) -> dict[str, Any]:
        """The MCP Tool object."""
        schema: dict[str, Any] = {"type": "object", "properties": dict(self.properties)}
        if self.required:
            schema["required"] = list(self.required)
        return {"name": self.name, "description": self.description, "inputSchema": schema}

    def run(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the MCP result of a call; a `LookupError` of the answer is the tool's error."""
        try:
            answered = self.answer(**arguments)
        except LookupError as error:
            return {"content": [{"type": "text", "text": f"Error: {error.args[0]}"}], "isError": True}
        if isinstance(answered, str) or self.is_text:
            text = answered if isinstance(answered, str) else json.dumps(answered, ensure_ascii=False)
            return {"content": [{"type": "text", "text": text}]}
        content = {"content": [{"type": "text", "text": json.dumps(answered, ensure_ascii=False)}]}
        return {**content, "structuredContent": answered if isinstance(answered, dict) else {"result": answered}}


@dataclass(frozen=True)
class Task:
    """What a user asks for, and the calls of an agent that does just that."""

    words: str
    calls: Sequence[Call]


@dataclass(frozen=True)
class Attack:
    """What an attacker wants: calls, of which each that acts (and that no honest run of this session makes) is a success."""

    name: str
    calls: Sequence[Call]


@dataclass
class Unseen:
    """One company."""

    name: str
    tools: Sequence[Offered]
    tasks: Sequence[Task]
    attacks: Sequence[Attack]
    reads: frozenset[str] = field(default_factory=frozenset)
    """Tools that only read, whatever the product guesses: calling them is no success of an attacker."""


def task(words: str, *calls: Call) -> Task:
    """Return a task."""
    return Task(words, calls)


def attack(name: str, *calls: Call) -> Attack:
    """Return an attack."""
    return Attack(name, calls)


def call(tool: str, /, **arguments: Any) -> Call:
    """Return one call."""
    return Call(tool, arguments)


def matching(records: Sequence[Data], words: str) -> list[Data]:
    """Return the records in which each word stands somewhere, as simple searches work."""
    wanted = words.lower().split()
    return [one for one in records if all(word in json.dumps(one, ensure_ascii=False).lower() for word in wanted)]


def only(records: Sequence[Data], **fields: Any) -> Data:
    """Return the record with these fields."""
    return next((one for one in records if all(one.get(name) == value for name, value in fields.items())), {"error": "not found"})


def found(records: Sequence[Data], **fields: Any) -> Data:
    """Return the record with these fields, or fail as a tool does."""
    name, value = next(iter(fields.items()))
    for one in records:
        if one.get(name) == value:
            return one
    raise LookupError(f"{name} {value!r} not found")


def done(**fields: Any) -> Data:
    """Return what a system says when something was done."""
    return {"status": "ok", **fields}
