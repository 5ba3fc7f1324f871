"""Arguments as policy sees them: a JSON Schema becomes a Cedar type and the function that converts a value to it.

Only the types below ever reach Cedar, each built here, so nothing a caller sends can pose as an entity or an
extension value (`__entity`, `__extn`): a string stays a string, and a record holds declared names only.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ostiary.core.errors import InvalidAction

MAX_LONG = 2**63 - 1
MAX_DEPTH = 8
"""Deepest nesting of records, sets and references that is typed; anything deeper is free-form."""
UNITS = 10_000
"""A Cedar decimal counts ten-thousandths in 64 bits."""

Convert = Callable[[Any, str], Any]
"""Takes a JSON value and its path, returns the value in Cedar's JSON form. Raises InvalidAction."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One typed argument: its Cedar type (JSON schema form) and its conversion."""

    type: Mapping[str, Any]
    convert: Convert
    nullable: bool = False
    """True when `null` is allowed, which policy sees as absent."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The typed arguments of an action, or the members of a record in one."""

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    free: frozenset[str] = frozenset()
    """Declared, but of no type a policy could check."""
    required: frozenset[str] = frozenset()
    is_open: bool = False
    """True when undeclared names are allowed too."""

    @property
    def is_free_form(self) -> bool:
        """Say whether anything in it escapes the policy's sight."""
        return self.is_open or bool(self.free)

    @property
    def names(self) -> frozenset[str]:
        """Every declared name."""
        return self.free.union(self.shapes)

    def is_optional(self, name: str) -> bool:
        """Say whether policy must guard `name` with `has`."""
        return name not in self.required or name in self.free or self.shapes[name].nullable

    def type(self) -> dict[str, Any]:
        """Return the Cedar record type (JSON schema form)."""
        attributes = {
            name: {**shape.type, **({"required": False} if self.is_optional(name) else {})} for name, shape in self.shapes.items()
        }
        return {"type": "Record", "attributes": attributes}

    def convert(self, values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
        """Return the declared values in Cedar's JSON form. Raises InvalidAction with what does not fit."""
        found: dict[str, Any] = {}
        shapes = self.shapes
        for name, value in values.items():
            shape = shapes.get(name)
            if shape is not None:
                if value is None and shape.nullable:
                    continue
                found[name] = shape.convert(value, f"{path}{name}")
            elif not self.is_open and name not in self.free:
                raise _unknown(f"{path}{name}", name, self.names)
        if not self.required <= values.keys():
            missing = min(self.required - values.keys())
            raise misfit(f"argument `{path}{missing}` is missing")
        return found


def misfit(detail: str) -> InvalidAction:
    """Return the refusal for arguments that do not fit."""
    return InvalidAction(detail, code="invalid_arguments", status=422, remedy="send arguments that fit the tool's schema")


def nearest(name: str, known: Any) -> str:
    """Return the known name closest to `name`, as a remark in brackets, or nothing."""
    close = difflib.get_close_matches(name, sorted(each for each in known if each != name), 1, 0.6)
    return f" (nearest: `{close[0]}`)" if close else ""


def fields_of(schema: Any, root: Any = None, depth: int = 0) -> Fields:
    """Return the typed fields of a JSON Schema of an object; what it cannot type is free-form."""
    root = schema if root is None else root
    schema = _resolve(schema, root)
    if not isinstance(schema, Mapping):
        return Fields(is_open=True)
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties", False)
    is_open = (
        extra is not False
        or bool(schema.keys() & {"patternProperties", "anyOf", "oneOf", "allOf", "if", "propertyNames", "dependentSchemas", "not"})
        or schema.get("type", "object") != "object"
        or not isinstance(properties, Mapping)
    )
    if not isinstance(properties, Mapping):
        return Fields(is_open=True)
    typed = {name: None if name.startswith("__") else shape_of(each, root, depth + 1) for name, each in properties.items()}
    required = schema.get("required", ())
    known = frozenset(name for name in required if isinstance(name, str)) if isinstance(required, list | tuple) else frozenset()
    return Fields(
        {name: shape for name, shape in typed.items() if shape is not None},
        frozenset(name for name, shape in typed.items() if shape is None),
        known & typed.keys(),
        is_open,
    )


def shape_of(schema: Any, root: Any, depth: int = 0) -> Shape | None:
    """Return the type of one JSON Schema, or None when it is free-form."""
    schema = _resolve(schema, root)
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return None
    kind, nullable = _kind(schema)
    if kind == "" and (options := _options(schema)) is not None:
        option, nullable = options
        inner = shape_of(option, root, depth + 1)
        return Shape(inner.type, inner.convert, nullable or inner.nullable) if inner else None
    if schema.keys() & {"anyOf", "oneOf", "allOf", "not", "if"}:
        return None
    found = _typed(kind, schema, root, depth)
    return Shape(found.type, found.convert, nullable) if found and nullable else found


def decimal(value: Any, path: str) -> dict[str, Any]:
    """Convert a number to a Cedar decimal: four places, 64 bits of ten-thousandths."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise misfit(f"argument `{path}` must be a number, got {_called(value)}")
    text = _fixed(value)
    whole, _, fraction = text.partition(".")
    if len(fraction) > 4:
        raise misfit(f"argument `{path}` is `{text[:40]}`: policy reads numbers to four decimal places")
    units = abs(int(whole)) * UNITS + int(fraction.ljust(4, "0"))
    if units > MAX_LONG:
        raise misfit(f"argument `{path}` is out of range: policy reads numbers up to 922337203685477.5807")
    return extension("decimal", f"{whole}.{fraction or '0'}")


def extension(function: str, text: str) -> dict[str, Any]:
    """Return an extension value in Cedar's JSON form."""
    return {"__extn": {"fn": function, "arg": text}}


def entity(kind: str, name: str) -> dict[str, Any]:
    """Return an entity reference in Cedar's JSON form."""
    return {"__entity": {"type": kind, "id": name}}


def moment(value: datetime) -> dict[str, Any]:
    """Return a time in Cedar's JSON form, in UTC to the millisecond."""
    return extension("datetime", value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def _typed(kind: str, schema: Mapping[str, Any], root: Any, depth: int) -> Shape | None:
    if kind == "string":
        return _DATETIME if schema.get("format") == "date-time" else _STRING
    if kind == "array":
        inner = None if "prefixItems" in schema else shape_of(schema.get("items"), root, depth + 1)
        return Shape({"type": "Set", "element": inner.type}, _each(inner)) if inner and not inner.nullable else None
    if kind == "object":
        inner_fields = fields_of(schema, root, depth)
        if inner_fields.is_free_form or not inner_fields.shapes:
            return None
        return Shape(inner_fields.type(), _record(inner_fields))
    return {"integer": _LONG, "number": _DECIMAL, "boolean": _BOOL}.get(kind)


def _kind(schema: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the one JSON type a schema allows, and whether null is allowed beside it."""
    declared = schema.get("type")
    names = declared if isinstance(declared, list) else [declared] if isinstance(declared, str) else []
    rest = [name for name in names if name != "null"]
    if len(rest) == 1 and isinstance(rest[0], str):
        return rest[0], len(rest) < len(names)
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if not names and isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return "string", False
    return "", False


def _options(schema: Mapping[str, Any]) -> tuple[Any, bool] | None:
    """Return the one alternative beside null of an `anyOf` or `oneOf`."""
    options = schema.get("anyOf", schema.get("oneOf"))
    if not isinstance(options, list):
        return None
    rest = [each for each in options if not (isinstance(each, Mapping) and each.get("type") == "null")]
    return (rest[0], len(rest) < len(options)) if len(rest) == 1 else None


def _resolve(schema: Any, root: Any) -> Any:
    """Follow references inside the same document, at most MAX_DEPTH of them."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        target = root
        reference = schema["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, Mapping) else None
        schema = target
    return None


def _string(value: Any, path: str) -> str:
    if type(value) is not str:
        raise misfit(f"argument `{path}` must be a string, got {_called(value)}")
    return value


def _long(value: Any, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise misfit(f"argument `{path}` must be an integer, got {_called(value)}")
    if not -MAX_LONG - 1 <= value <= MAX_LONG:
        raise misfit(f"argument `{path}` is beyond 64 bits")
    return value


def _bool(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise misfit(f"argument `{path}` must be true or false, got {_called(value)}")
    return value


def _datetime(value: Any, path: str) -> dict[str, Any]:
    text = _string(value, path)
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        raise misfit(f"argument `{path}` must be a date-time as in RFC 3339, got `{text[:40]}`") from None
    if found.tzinfo is None or len(text) < 20:
        raise misfit(f"argument `{path}` must be a date-time with its offset, got `{text[:40]}`")
    try:
        return moment(found)
    except OverflowError:
        raise misfit(f"argument `{path}` is out of range") from None


def _each(inner: Shape) -> Convert:
    def convert(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise misfit(f"argument `{path}` must be an array, got {_called(value)}")
        return [inner.convert(item, f"{path}[]") for item in value]

    return convert


def _record(inner: Fields) -> Convert:
    def convert(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise misfit(f"argument `{path}` must be an object, got {_called(value)}")
        return inner.convert(value, f"{path}.")

    return convert


def _fixed(value: float) -> str:
    """Return a number without an exponent, exactly as its shortest form says."""
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    shift = int(exponent)
    if shift < 0:
        return f"{sign}0.{'0' * (-shift - 1)}{whole}{fraction}"
    return f"{sign}{whole}{fraction.ljust(shift, '0')}"


def _unknown(path: str, name: str, known: Any) -> InvalidAction:
    return misfit(f"argument `{path[:80]}` is not in the tool's schema{nearest(name, known)}")


def _called(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number"}
    return names.get(type(value), "null" if value is None else "something else")


_STRING = Shape({"type": "String"}, _string)
_LONG = Shape({"type": "Long"}, _long)
_BOOL = Shape({"type": "Boolean"}, _bool)
_DECIMAL = Shape({"type": "Extension", "name": "decimal"}, decimal)
_DATETIME = Shape({"type": "Extension", "name": "datetime"}, _datetime)
