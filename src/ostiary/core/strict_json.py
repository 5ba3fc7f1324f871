"""JSON read once and strictly, so that no second parser downstream can see something the policy did not."""

import json
from typing import Any

from ostiary.core.errors import InvalidAction

MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1


def parse(body: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value of a JSON text.

    Refuses what two parsers could read in two ways: duplicate keys, NaN and infinities, integers beyond
    64 bits, invalid UTF-8, a byte-order mark, lone surrogates; and what could exhaust us: more than
    `max_bytes` bytes or `max_depth` levels. Raises InvalidAction.
    """
    if len(body) > max_bytes:
        raise InvalidAction(f"body of {len(body)} bytes is over the limit of {max_bytes}", code="too_large", status=413)
    try:
        text = body.decode()
        value = _decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise InvalidAction("body is not valid UTF-8") from None
    except RecursionError:
        raise InvalidAction("body is nested too deep") from None
    except ValueError as error:
        raise InvalidAction(f"body is not valid JSON: {_plain(error)}") from None
    if body.count(b"[") + body.count(b"{") > max_depth and _depth(value) > max_depth:
        raise InvalidAction(f"body is nested more than {max_depth} deep")
    return value


def parse_object(body: bytes, *, max_bytes: int) -> dict[str, Any]:
    """Return the value of a JSON text that must be an object. Raises InvalidAction."""
    value = parse(body, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise InvalidAction(f"body must be a JSON object, got {type(value).__name__}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key `{twice[:64]}` appears twice")
    return value


def _integer(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > MAX_INTEGER:
        raise ValueError("an integer is beyond 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"number `{text[:32]}` is out of range")
    return value + 0.0  # a negative zero is decided about, digested and approved as zero, so it is sent as one


def _constant(text: str) -> float:
    raise ValueError(f"`{text}` is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant)
_scan = _DECODER.scan_once  # type: ignore[attr-defined]


def _decode(text: str) -> Any:
    """Return what `JSONDecoder.decode` does, without its two searches for space: most texts have none around them."""
    if text[:1] != "{" or text[-1:] != "}":
        return _DECODER.decode(text)
    try:
        value, end = _scan(text, 0)
    except StopIteration as stop:
        raise json.JSONDecodeError("Expecting value", text, stop.value) from None
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [item for node in level if isinstance(node, dict | list) for item in (node.values() if isinstance(node, dict) else node)]
        level = [item for item in level if isinstance(item, dict | list)]
    return depth


def _plain(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at line {error.lineno} column {error.colno}"
    return str(error)
