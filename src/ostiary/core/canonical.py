"""One byte string for one JSON value: RFC 8785 canonical JSON, and the digests made from it."""

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from ostiary.core.beside import PIECE

_checked = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False, check_circular=False)
_make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
_chunks = _make and _make(None, _checked.default, json.encoder.encode_basestring, None, ":", ",", True, False, False)
"""The encoder that `JSONEncoder.encode` would make anew for every value."""
_string = json.JSONEncoder(ensure_ascii=False).encode


def _encode(value: Any) -> str:
    return "".join(_chunks(value, 0)) if _chunks else _checked.encode(value)


def _text(value: Any) -> str:
    return _encode(value) if _is_plain(value) else _slow(value)


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of `value` (RFC 8785).

    Raises ValueError for NaN, infinities and lone surrogates (UnicodeEncodeError is one).
    """
    return _text(value).encode()


def canonical_in_pieces(value: Any) -> bytes:
    """Return the same, made of many short calls into C: for large values beside the event loop."""
    return _pieces(value).encode()


def _pieces(value: Any) -> str:
    if isinstance(value, str) and len(value) > PIECE:
        return f'"{"".join(_string(value[at : at + PIECE])[1:-1] for at in range(0, len(value), PIECE))}"'
    if isinstance(value, Mapping):
        if _is_short(value.values()):
            return _text(value)
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join([f"{_string(key)}:{_pieces(value[key])}" for key in keys]) + "}"
    if isinstance(value, list | tuple):
        if _is_short(value):
            return _text(value)
        return "[" + ",".join([_pieces(item) for item in value]) + "]"
    return _text(value)


def _is_short(items: Collection[Any]) -> bool:
    """Say whether some items hold no further ones, are few and no long texts, so that one call may encode them."""
    return len(items) <= 64 and not any(
        isinstance(item, dict | list | tuple) or (isinstance(item, str) and len(item) > 1024) for item in items
    )


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _is_plain(value: Any) -> bool:
    """Say whether the C encoder's output is already canonical: no floats that look otherwise, no keys beyond the BMP's low part."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is dict:
        for key, item in value.items():  # noqa: SIM110 - a generator costs more than the work
            if key >= "\ud800" or (type(item) is not str and not _is_plain(item)):
                return False
        return True
    if isinstance(value, str):
        return True
    if isinstance(value, dict):
        return all(key < "\ud800" and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):  # Python and ECMAScript write these alike; whole and very small or large ones they do not
        return 1e-4 <= abs(value) < 1e16 and value % 1 != 0
    return isinstance(value, int)


def _slow(value: Any) -> str:
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_string(key)}:{_slow(value[key])}" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_slow, value)) + "]"
    return _encode(value)


def _number(value: float) -> str:
    """Return a float as ECMAScript writes it (RFC 8785 section 3.2.2.3)."""
    if not math.isfinite(value):
        raise ValueError("a number that is not finite has no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    digits = digits.rstrip("0") or "0"
    return sign + _layout(digits, point)


def _layout(digits: str, point: int) -> str:
    """Place the decimal point: `point` digits stand before it (ECMA-262 Number::toString)."""
    size = len(digits)
    if size <= point <= 21:
        return digits + "0" * (point - size)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = point - 1
    mark = "+" if exponent > 0 else "-"
    head = digits if size == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{head}e{mark}{abs(exponent)}"
