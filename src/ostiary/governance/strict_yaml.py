"""YAML read once and strictly: plain mappings, lists and scalars, each knowing its line; nothing that expands or constructs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from ostiary.core.errors import InvalidConfig
from ostiary.settings import nearest

MAX_BYTES = 512 * 1024
MAX_DEPTH = 24
MAX_NODES = 50_000
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
_AMBIGUOUS = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Booleans in YAML 1.1 and strings in 1.2: whoever reads the file must not have to know which."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the place it was written. `value` is a scalar, a list of nodes, or a mapping of nodes."""

    value: Any
    file: str
    line: int
    key_lines: Mapping[str, int] = field(default_factory=dict)

    def refuse(self, message: str, *, line: int | None = None, remedy: str | None = None) -> NoReturn:
        """Raise InvalidConfig that says where."""
        where = line or self.line
        raise InvalidConfig(f"{self.file}{f' line {where}' if where else ''}: {message}", remedy=remedy)

    def mapping(self, what: str) -> Mapping[str, "Node"]:
        """Return the value as a mapping. Raises InvalidConfig."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            self.refuse(f"{what} must be a mapping, got {kind_of(self.value)}")
        return self.value

    def sequence(self, what: str) -> list["Node"]:
        """Return the value as a list. Raises InvalidConfig."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.refuse(f"{what} must be a list, got {kind_of(self.value)}")
        return self.value

    def only(self, what: str, known: frozenset[str]) -> Mapping[str, "Node"]:
        """Return the value as a mapping that has no key outside `known`. Raises InvalidConfig with the nearest name."""
        found = self.mapping(what)
        for key in found:
            if key not in known:
                self.refuse(f"unknown key `{key}` in {what}{nearest(key, known)}", line=self.key_lines[key])
        return found

    def plain(self) -> Any:
        """Return the value without its places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


def from_plain(value: Any, file: str, depth: int = 0) -> Node:
    """Return JSON values as a node of no line, so that what arrives over HTTP is checked like what stands in a file."""
    if depth > MAX_DEPTH:
        raise InvalidConfig(f"{file}: nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        return Node(
            {str(key): from_plain(item, file, depth + 1) for key, item in value.items()}, file, 0, dict.fromkeys(map(str, value), 0)
        )
    if isinstance(value, list | tuple):
        return Node([from_plain(item, file, depth + 1) for item in value], file, 0)
    return Node(value, file, 0)


def kind_of(value: Any) -> str:
    """Return what a YAML author calls a value of this type."""
    names = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "nothing")


def parse(text: str, file: str) -> Node:
    """Return the one document in `text`. Raises InvalidConfig for what is not plain: see `docs/reference/declaration.md`."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidConfig(f"{file}: over {MAX_BYTES} bytes", code="too_large", status=413)
    try:
        reader = _Reader(YAML(typ="safe", pure=True).parse(text), file, text)
        return reader.document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InvalidConfig(f"{file} line {mark.line + 1 if mark else 1}: not YAML: {error.problem or error.context}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidConfig(f"{file}: not YAML: {str(error).splitlines()[0] if str(error) else 'nested too deep'}") from None


class _Reader:
    """Builds nodes from parser events, refusing at the first one that is not plain, before anything can grow."""

    def __init__(self, events: Iterator[Event], file: str, text: str) -> None:
        self._events = events
        self._file = file
        self._text = text
        self._count = 0

    def document(self) -> Node:
        node: Node | None = None
        for event in self._events:
            if isinstance(event, StreamStartEvent | StreamEndEvent) or not isinstance(event, DocumentStartEvent):
                continue
            if node is not None:
                self._refuse(event, "a second document; write one a file")
            if event.version or event.tags:
                self._refuse(event, "directives are not accepted")
            node = self._node(next(self._events), 0)
        return node or Node(None, self._file, 1)

    def _node(self, event: Event, depth: int) -> Node:
        self._check(event, depth)
        line = event.start_mark.line + 1
        if isinstance(event, MappingStartEvent):
            return self._mapping(line, depth)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(line, depth)
        assert isinstance(event, ScalarEvent)
        return Node(self._scalar(event), self._file, line)

    def _check(self, event: Event, depth: int) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._refuse(event, f"more than {MAX_NODES} values")
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(event, "anchors and aliases are not accepted; write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            self._refuse(event, f"tag `{tag}` is not accepted; write plain values")

    def _mapping(self, line: int, depth: int) -> Node:
        values: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            self._check(event, depth + 1)
            if not isinstance(event, ScalarEvent):
                self._refuse(event, "a key must be text")
            if self._is_marked(event):
                self._refuse(event, "keys marked with `?` are read in two ways; write `key: value`, or put the text in quotes")
            key = event.value
            if key == "<<" and event.style is None:
                self._refuse(event, "merge keys are not accepted; write the values out")
            if key in values:
                self._refuse(event, f"key `{key[:64]}` appears twice, first on line {lines[key]}")
            lines[key] = event.start_mark.line + 1
            values[key] = self._node(next(self._events), depth + 1)
        return Node(values, self._file, line, lines)

    def _is_marked(self, key: Event) -> bool:
        """Say whether a key stands behind a `?`."""
        at: int = key.start_mark.index
        while at and self._text[at - 1] in " \t":
            at -= 1
        return self._text[at - 1 : at] == "?"

    def _sequence(self, line: int, depth: int) -> Node:
        values = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            values.append(self._node(event, depth + 1))
        return Node(values, self._file, line)

    def _scalar(self, event: ScalarEvent) -> Any:
        text: str = event.value
        if event.style is not None:
            return text
        if text.lower() in _AMBIGUOUS:
            self._refuse(event, f"`{text}` is read in two ways; write `true` or `false`, or put it in quotes")
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        return _number(text)

    def _refuse(self, event: Event, message: str) -> NoReturn:
        raise InvalidConfig(f"{self._file} line {event.start_mark.line + 1}: {message}")


def _number(text: str) -> Any:
    """A plain decimal integer or fraction is a number; everything else (dates, `0o7`, `1e3`, `.inf`) is text."""
    digits = text.removeprefix("-")
    if len(text) > 18 or not digits.isascii():
        return text
    if digits.isdigit() and (digits == "0" or digits[0] != "0"):
        return int(text)
    whole, point, fraction = digits.partition(".")
    return float(text) if point and whole.isdigit() and fraction.isdigit() else text
