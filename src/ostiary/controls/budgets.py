"""What a session was lent to use up: every use counts against it and each session above it, and none is overdrawn (R-B1)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.subject import Session

_SPENT: Final = {
    "actions": ("the session's {} actions are used up", "open a new session, or one with more actions"),
    "spend": ("the session's budget of {} is spent", "open a new session, or one with a larger budget"),
    "rows": ("the {} rows the session may read are used up", "ask for fewer rows, or open a session that may read more"),
    "bytes": ("the {} bytes the session may read are used up", "ask for less, or open a session that may read more"),
    "approvals": ("the session has put {} actions before people, as many as it may", "open a session that may ask more often"),
}
_MAX_DEPTH: Final = 64


def spent(session: Session) -> Refusal | None:
    """Return which limit of a session, or of one above it, is reached, so that nothing more may be done."""
    for each in session.line:
        limits, state = each.limits, each.state
        if limits.actions is not None and state.actions >= limits.actions:
            return _refuse("actions", limits.actions)
        if limits.spend is not None and state.spent >= limits.spend:
            return _refuse("spend", limits.spend / 1e6)
        if limits.rows is not None and state.rows >= limits.rows:
            return _refuse("rows", limits.rows)
        if limits.bytes is not None and state.bytes >= limits.bytes:
            return _refuse("bytes", limits.bytes)
    return None


def is_bounded(session: Session, name: str) -> bool:
    """Say whether the session, or one above it, has a limit of that name."""
    return any(getattr(each.limits, name) is not None for each in session.line)


def take(session: Session, name: str, amount: int) -> Refusal | None:
    """Take `rows`, `bytes` or `approvals` from a session and all above it, or from none of them."""
    for each in session.line:
        most = getattr(each.limits, name)
        if most is not None and getattr(each.state, name) + amount > most:
            return _refuse(name, most)
    for each in session.line:
        setattr(each.state, name, getattr(each.state, name) + amount)
    return None


def rows_of(content: Any) -> int:
    """Count the rows of an answer: the items of its outermost lists, also in text that is JSON or lines of it; other text is one row.

    What a tool says twice, as text and structured, counts once.
    """
    for name in ("content", "contents"):
        if isinstance(content, Mapping) and isinstance(content.get(name), list):
            blocks = sum(_rows_of_block(block) for block in content[name])
            return max(blocks, _rows(content.get("structuredContent"), 0))
    return _rows(content, 0)


def _rows_of_block(block: Any) -> int:
    if isinstance(block, Mapping) and isinstance(block.get("resource"), Mapping):
        block = block["resource"]
    text = block.get("text") if isinstance(block, Mapping) else None
    if not isinstance(text, str) or text.lstrip()[:1] not in {"[", "{"}:
        return 1
    try:
        return _rows(json.loads(text), 0)
    except (ValueError, RecursionError):
        return len(json_lines(text)) or 1


def json_lines(text: str) -> list[str]:
    """Return the lines of a text in which each is JSON, one record a line; of any other, none."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        for line in lines:
            json.loads(line)
    except (ValueError, RecursionError):
        return []
    return lines


def _rows(value: Any, depth: int) -> int:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return sum(_rows(item, depth + 1) for item in value.values())
    return 0


def _refuse(name: str, most: float) -> Refusal:
    what, remedy = _SPENT[name]
    return refuse("budget_spent", what.format(f"{most:g}" if name == "spend" else most), remedy=remedy)
