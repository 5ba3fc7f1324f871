"""Arguments fit the tool's own schema, or the call stops here with the place, what came and what was expected."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from ostiary.core.action import Action
from ostiary.core.decision import Refusal, refuse
from ostiary.core.ports import RegistrySource
from ostiary.core.registry import Tool

MAX_LEAVES = 100_000
MAX_DEPTH = 64
MAX_SCHEMA_BYTES = 512 * 1024
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=50_000, size_limit=1_000_000, dfa_size_limit=1_000_000)


class InputValidation:
    """Validates tool arguments; a schema is compiled once a tool digest and never fetches anything."""

    def __init__(self, registry: RegistrySource, max_schemas: int = 2048) -> None:
        self._registry = registry
        self._compiled: OrderedDict[str, Any] = OrderedDict()
        self._max_schemas = max_schemas

    def check(self, action: Action) -> Refusal | None:
        """Return why the arguments of a tool call do not fit; None for anything else."""
        if action.resource.type != "Tool":
            return None
        tool = self._registry.registry.tools.get(action.resource.id)
        if tool is None:
            return refuse("not_found", f"no tool `{action.resource.id}`, or none you may see")
        validator = self._validator(tool)
        if validator is None:
            return refuse("unavailable", f"the schema of tool `{tool.id}` cannot be used, so no call can be checked against it")
        if validator.is_valid(action.arguments):
            return None
        return self._explain(validator, action.arguments)

    def _validator(self, tool: Tool) -> Any | None:
        key = tool.digest or repr(tool.definition)
        if key in self._compiled:
            self._compiled.move_to_end(key)
            return self._compiled[key]
        if len(self._compiled) >= self._max_schemas:
            self._compiled.popitem(last=False)
        validator = self._compiled[key] = compiled(tool.definition.get("inputSchema"))
        return validator

    @staticmethod
    def _explain(validator: Any, arguments: Mapping[str, Any]) -> Refusal:
        error = next(iter(validator.iter_errors(arguments)), None)
        if error is None:
            return refuse("invalid_arguments", "the arguments do not fit the tool's schema")
        place = "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in error.instance_path)
        return refuse(
            "invalid_arguments",
            f"argument `{place[:200]}` does not fit: {_wanted(error)}",
            remedy="send arguments as the tool's inputSchema says",
        )


def compiled(schema: Any) -> Any | None:
    """Return a validator for a tool's inputSchema, or None when it cannot be used safely."""
    if not isinstance(schema, Mapping) or _weight(schema) > MAX_SCHEMA_BYTES:
        return None
    try:
        return jsonschema_rs.validator_for(
            {"type": "object", "allOf": [dict(schema)]} if "type" not in schema else dict(schema),
            retriever=_no_retrieval,
            pattern_options=_PATTERNS,
        )
    except Exception:
        return None


_SCALARS = frozenset({str, int, float, bool, type(None)})
_NESTED = (Mapping, list, tuple)


def measure(arguments: Mapping[str, Any]) -> Refusal | None:
    """Return why arguments are too many or too deep to be read at all."""
    leaves, depth = 0, 0
    level: list[Any] = [arguments]
    while level:
        depth += 1
        below: list[Any] = []
        for node in level:
            items = node.values() if type(node) is dict or isinstance(node, Mapping) else node
            leaves += len(node)
            below += [item for item in items if type(item) not in _SCALARS and isinstance(item, _NESTED)]
        if leaves > MAX_LEAVES:
            return refuse("too_large", f"the arguments hold more than {MAX_LEAVES} values")
        if below and depth >= MAX_DEPTH:
            return refuse("too_large", f"the arguments are nested more than {MAX_DEPTH} deep")
        level = below
    return None


def _no_retrieval(uri: str) -> Any:
    raise ValueError(f"schema refers to `{uri}`, which is not fetched")


def _weight(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _weight(item) for key, item in value.items()) + 2
    if isinstance(value, list | tuple):
        return sum(map(_weight, value)) + 2
    return len(value) + 2 if isinstance(value, str) else 8


def _wanted(error: Any) -> str:
    """Say what was got and expected without repeating a value, which may be secret."""
    kind = error.kind.as_dict() if hasattr(error.kind, "as_dict") else {}
    name, value, got = error.kind.name, kind.get("value"), _type_name(error.instance)
    match name:
        case "type":
            types = kind.get("types") or []
            return f"got {got}, expected {' or '.join(map(str, types)) or value}"
        case "required":
            return f"`{str(kind.get('property'))[:64]}` is missing"
        case "additionalProperties" | "unevaluatedProperties":
            return f"unknown argument {', '.join(f'`{str(item)[:64]}`' for item in list(kind.get('unexpected') or [])[:5])}"
        case "enum":
            options = kind.get("options")
            return f"got another value, expected one of {str(options)[:200]}"
        case "const" | "constant":
            return f"got another value, expected {str(kind.get('expected_value'))[:100]}"
        case (
            "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "multipleOf"
            | "minLength"
            | "maxLength"
            | "minItems"
            | "maxItems"
            | "pattern"
            | "format"
        ):
            limit = next((item for key, item in kind.items() if key != "value"), "")
            return f"got {got}, expected {name} {str(limit)[:100]}"
        case _:
            return f"got {got}, expected it to satisfy `{name}`"


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return f"a string of {len(value)} characters"
        case int() | float():
            return "number"
        case Mapping():
            return "object"
        case _:
            return "array"
