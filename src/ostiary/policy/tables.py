"""Decision tables: rows of who, what and circumstances with the decision they must get (`ostiary policy test`)."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from ostiary.core.action import Origins
from ostiary.core.decision import Context, Decision
from ostiary.core.errors import InvalidConfig, OstiaryError
from ostiary.core.subject import Integrity, SessionState
from ostiary.policy.cases import Case, approval
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.values import nearest

MAX_TABLE_BYTES = 1_000_000
NOW = 1_800_000_000.0
"""The time at which rows happen unless they say `at`."""

_CIRCUMSTANCES = {"chain", "resource", "arguments", "origins", "control", "unsafe", "session", "detected", "ip", "size", "at", "approval"}
_ROW = {"name", "action", "expect", "code", "policies", "obligations", *_CIRCUMSTANCES}
_SESSION = {"purpose", "labels", "integrity", "actions", "denied", "spent", "depth", "age", "method", "mfa", "bound"}
_APPROVAL = {"group", "by", "reason"}


@dataclass(frozen=True, slots=True)
class Row:
    """One case and what it must come to; None is not looked at."""

    name: str
    where: str
    case: Case
    expect: str
    code: str | None = None
    policies: frozenset[str] | None = None
    obligations: Mapping[str, frozenset[str]] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row that was asked. `differences` is empty when it came out as expected."""

    row: Row
    decision: Decision | None
    differences: tuple[str, ...]

    @property
    def is_ok(self) -> bool:
        """Say whether the row came out as expected."""
        return not self.differences


def read(text: str, file: str = "table.yaml") -> tuple[Row, ...]:
    """Return the rows of a decision table. Raises InvalidConfig with file, row and nearest name."""
    body = _yaml(text, file)
    _known(body, {"defaults", "rows"}, file)
    defaults = body.get("defaults", {})
    _known(defaults, _CIRCUMSTANCES | {"action"}, f"{file}: defaults")
    rows = body.get("rows")
    if not isinstance(rows, list) or not rows:
        raise InvalidConfig(f"{file}: expected `rows`, a list of cases")
    return tuple(_row(each, defaults, file, number) for number, each in enumerate(rows, 1))


def run(engine: PolicyEngine, rows: tuple[Row, ...]) -> tuple[Outcome, ...]:
    """Ask the engine every row."""
    return tuple(_ask(engine, row) for row in rows)


def _ask(engine: PolicyEngine, row: Row) -> Outcome:
    found = engine.snapshot
    try:
        action, session = row.case.asked(found.schema), row.case.session(found.registry)
    except OstiaryError as error:
        return Outcome(row, None, (error.detail,))
    decision = engine.decide(session, action, row.case.traced, row.case.about)
    return Outcome(row, decision, tuple(_differences(row, decision)))


def _differences(row: Row, decision: Decision) -> list[str]:
    found: list[str] = []
    obligations = {each.name: frozenset(each.values) for each in decision.obligations}
    if decision.effect.value != row.expect:
        why = "; ".join(decision.reasons)
        by = f" by {', '.join(decision.policies)}" if decision.policies else ""
        found.append(
            f"expected {row.expect}, got {decision.effect.value}{f' ({decision.code})' if decision.code else ''}{by}{': ' if why else ''}{why}"
        )
    if row.code is not None and decision.code != row.code:
        found.append(f"expected code `{row.code}`, got `{decision.code}`")
    if row.policies is not None and frozenset(decision.policies) != row.policies:
        found.append(f"expected policies {_list(row.policies)}, got {_list(decision.policies)}")
    if row.obligations is not None and obligations != row.obligations:
        found.append(f"expected obligations {_list(row.obligations)}, got {_list(obligations)}")
    return found


def _row(row: Any, defaults: Mapping[str, Any], file: str, number: int) -> Row:
    where = f"{file}: row {number}"
    if not isinstance(row, dict):
        raise InvalidConfig(f"{where}: expected a mapping")
    _known(row, _ROW, where)
    full = {**defaults, **row}
    name = _text(full, "name", where, f"row {number}")
    expect = full.get("expect")
    if expect not in ("allow", "deny", "hold"):
        raise InvalidConfig(f"{where}: `expect` must be allow, deny or hold, got `{expect}`")
    obligations = full.get("obligations")
    return Row(
        name,
        where,
        _case(full, where),
        expect,
        _text(full, "code", where) if "code" in full else None,
        _names(full, "policies", where) if "policies" in full else None,
        {each: _names(obligations, each, where) for each in _mapping(full, "obligations", where)} if obligations is not None else None,
    )


def _case(full: Mapping[str, Any], where: str) -> Case:
    session = _mapping(full, "session", where)
    _known(session, _SESSION, f"{where}: session")
    chain = full.get("chain")
    if not isinstance(chain, list) or not chain:
        raise InvalidConfig(f"{where}: `chain` must list who asks, as [user:alice, agent:invoice-bot]")
    origins = {str(name): str(origin) for name, origin in _mapping(full, "origins", where).items()}
    return Case(
        tuple(map(str, chain)),
        _text(full, "action", where),
        _text(full, "resource", where, ""),
        _mapping(full, "arguments", where),
        Origins(origins, _text(full, "control", where, "user"), _names(full, "unsafe", where)),
        _state(session, where),
        _about(full, where),
        _text(session, "purpose", where, ""),
        _number(session, "age", where),
        int(_number(session, "depth", where)),
        _text(session, "method", where, "session_token"),
        session.get("mfa") is True,
        session.get("bound") is True,
    )


def _state(session: Mapping[str, Any], where: str) -> SessionState:
    integrity = _text(session, "integrity", where, "trusted")
    if integrity not in list(Integrity):
        raise InvalidConfig(f"{where}: `integrity` must be trusted or untrusted, got `{integrity}`")
    counts = {name: int(_number(session, name, where)) for name in ("actions", "denied")}
    spent = round(_number(session, "spent", where) * 1_000_000)
    return SessionState(Integrity(integrity), _names(session, "labels", where), spent=spent, **counts)


def _about(full: Mapping[str, Any], where: str) -> Context:
    at = _moment(full, where)
    given = None
    if "approval" in full:
        said = _mapping(full, "approval", where)
        _known(said, _APPROVAL, f"{where}: approval")
        given = approval(_text(said, "group", where), _names(said, "by", where), at, _text(said, "reason", where, ""))
    return Context(at, int(_number(full, "size", where)), _text(full, "ip", where, "127.0.0.1"), _names(full, "detected", where), given)


def _yaml(text: str, file: str) -> dict[str, Any]:
    if len(text.encode(errors="surrogatepass")) > MAX_TABLE_BYTES:
        raise InvalidConfig(f"{file}: a table is at most {MAX_TABLE_BYTES} bytes")
    try:
        if any(isinstance(event, AliasEvent) for event in YAML(typ="safe", pure=True).parse(io.StringIO(text))):
            raise InvalidConfig(f"{file}: aliases (`*name`) are not used in tables: write the value out")
        body = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidConfig(f"{file}{line}: {error.problem or error.context or 'not YAML'}") from None
    except (YAMLError, ValueError, RecursionError):
        raise InvalidConfig(f"{file}: not valid YAML") from None
    if not isinstance(body, dict):
        raise InvalidConfig(f"{file}: expected a mapping with `rows`")
    return body


def _known(body: Any, names: set[str], where: str) -> None:
    if not isinstance(body, dict):
        raise InvalidConfig(f"{where}: expected a mapping")
    for name in body:
        if name not in names:
            raise InvalidConfig(f"{where}: unknown key `{name}`{nearest(str(name), names)}")


def _mapping(body: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise InvalidConfig(f"{where}: `{name}` must be a mapping")
    return value


def _names(body: Mapping[str, Any], name: str, where: str) -> frozenset[str]:
    value = body.get(name, [])
    if not isinstance(value, list):
        raise InvalidConfig(f"{where}: `{name}` must be a list")
    return frozenset(map(str, value))


def _text(body: Mapping[str, Any], name: str, where: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise InvalidConfig(f"{where}: `{name}` must be text, got `{value}`")
    return value


def _number(body: Mapping[str, Any], name: str, where: str, default: float = 0) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidConfig(f"{where}: `{name}` must be a number, got `{value}`")
    return value


def _moment(body: Mapping[str, Any], where: str) -> float:
    """Return `at`, a time as people write it (UTC unless it says otherwise) or seconds since 1970."""
    value = body.get("at", NOW)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidConfig(f"{where}: `at` must be a time as 2026-01-31T12:00:00Z, got `{value}`") from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).timestamp()
    return _number(body, "at", where, NOW)


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
