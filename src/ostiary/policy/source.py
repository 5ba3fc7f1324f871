"""Cedar files as we read them: one policy at a time, each with its place, so that every complaint names file, line and column."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from cedarpy import _internal as cedar
from cedarpy import pst

from ostiary.core.decision import ApprovalRule, Obligation
from ostiary.policy import places
from ostiary.policy.obligations import approval_rule, obligations_of
from ostiary.policy.reading import mentions, resource_zones

MAX_FILE_BYTES = 1_000_000
MAX_NESTING = 32
MAX_OPERATORS = 300
"""Cedar's parser recurses, and a policy nested or chained without bound ends the process: found by attack."""
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that let a reviewer see another policy than the parser does."""
_END = "unexpected end of input"
_DEEPENING = frozenset({"&&", "||", ".", "+", "-", "*", "!", "!=", "==", "<", ">", "<=", ">=", "if", "has", "in", "like", "is", "::"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a policy file; a warning does not stop it from loading."""

    file: str
    line: int
    column: int
    message: str
    policy: str = ""
    is_warning: bool = False

    def __str__(self) -> str:
        """Return the problem as compilers print it."""
        kind = "warning: " if self.is_warning else ""
        return f"{self.file}:{self.line}:{self.column}: {kind}{self.message}"


@dataclass(frozen=True)
class Policy:
    """One policy with its place. `node` carries our `@id` as its Cedar id, so that diagnostics name it."""

    id: str
    node: pst.Template
    file: str
    line: int
    column: int
    text: str

    @property
    def effect(self) -> str:
        """`permit` or `forbid`."""
        return self.node.effect

    @property
    def annotations(self) -> Mapping[str, str]:
        """The annotations by name."""
        return self.node.annotations

    @property
    def because(self) -> str:
        """What the refused is told."""
        return self.node.annotations.get("because", "")

    @property
    def is_shadow(self) -> bool:
        """Say whether it decides nothing."""
        return self.node.annotations.get("shadow") == "true"

    @cached_property
    def reads_origin(self) -> bool:
        """Say whether it looks at where arguments came from."""
        return any(not path or path[0] in ("control", "origins") for path in mentions(self.node))

    @cached_property
    def zones(self) -> frozenset[str]:
        """The zones that this policy says the resource may be in: those it names."""
        return resource_zones(self.node)

    @cached_property
    def approval(self) -> ApprovalRule | None:
        """What would lift this forbid, if a person can."""
        return approval_rule(self.id, self.node.annotations) if self.node.effect == "forbid" else None

    @cached_property
    def obligations(self) -> tuple[Obligation, ...]:
        """What this permit demands."""
        return obligations_of(self.node.annotations)

    def anywhere(self) -> Self:
        """Return the policy without its scope, for a request that the scope is known to match."""
        return replace(self, node=replace(self.node, principal=pst.ScopeAny(), action=pst.ScopeAny(), resource=pst.ScopeAny()))

    def problem(self, message: str, near: str = "", *, annotation: str = "", is_warning: bool = False) -> Problem:
        """Return a problem at the place where `near` stands in the policy, or in an annotation; else at its start."""
        line, column = self.line, self.column
        found = places.find(self.text, near, annotation) if near or annotation else None
        if found is not None:
            row, offset = places.place(self.text, found)
            line, column = self.line + row - 1, offset if row > 1 else self.column + offset - 1
        return Problem(self.file, line, column, message, self.id, is_warning)


def read(files: Mapping[str, str]) -> tuple[list[Policy], list[Problem]]:
    """Return every policy that parses, and what is wrong with the others."""
    policies: list[Policy] = []
    problems: list[Problem] = []
    for name, text in sorted(files.items()):
        if len(text.encode(errors="surrogatepass")) > MAX_FILE_BYTES:
            problems.append(Problem(name, 1, 1, f"a policy file is at most {MAX_FILE_BYTES} bytes"))
            continue
        if (hidden := _HIDDEN.search(text)) is not None:
            message = f"invisible character U+{ord(hidden.group()):04X}: a policy must read as it is"
            problems.append(Problem(name, *places.place(text, hidden.start()), message))
            continue
        for start, piece in _pieces(text):
            line, column = places.place(text, start)
            parsed = _parse(name, line, column, piece)
            (problems if isinstance(parsed, Problem) else policies).append(parsed)  # type: ignore[arg-type]
    return policies, problems


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Cut a file after each `;` that is not in a string or comment."""
    start: int | None = None
    for token in places.TOKEN.finditer(text):
        word = token.group()
        if start is None and not places.is_blank(word):
            start = token.start()
        if word == ";" and start is not None:
            yield start, text[start : token.end()]
            start = None
    if start is not None:
        yield start, text[start:]


def _parse(file: str, line: int, column: int, text: str) -> Policy | Problem:
    if (deep := _too_deep(text)) is not None:
        return Problem(file, line, column, deep)
    try:
        parsed: Any = cedar.policies_to_pst(text)
    except (ValueError, UnicodeError) as error:
        row, offset = places.place(text, places.stopped(text, str(error), _is_beginning))
        where = (line + row - 1, offset if row > 1 else column + offset - 1)
        return Problem(file, *where, f"does not parse: {_sentence(str(error))}")
    if parsed.templates or len(parsed.static_policies) != 1:
        return Problem(file, line, column, "templates (`?principal`, `?resource`) are not used here: write the policy out")
    (node,) = parsed.static_policies.values()
    name = node.annotations.get("id", "")
    return Policy(name, replace(node, id=name), file, line, column, text)


def _too_deep(text: str) -> str | None:
    """Return why a policy must not reach the parser."""
    depth = operators = 0
    for token in places.TOKEN.finditer(text):
        word = token.group()
        if word in ("(", "[", "{"):
            depth += 1
        elif word in (")", "]", "}"):
            depth -= 1
        operators += word in _DEEPENING
        if depth > MAX_NESTING:
            return f"a policy is nested at most {MAX_NESTING} deep: split it"
        if operators > MAX_OPERATORS:
            return f"a policy has at most {MAX_OPERATORS} operators: split it"
    return None


def _is_beginning(text: str) -> bool:
    try:
        cedar.PolicySet.from_str(text)
    except (ValueError, UnicodeError) as error:
        return _END in str(error)
    return True


def _sentence(message: str) -> str:
    return " ".join(message.split())
