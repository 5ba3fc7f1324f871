"""Text as a terminal may have it: nothing that moves the cursor, colours, reorders or hides, whoever wrote it."""

import json
from typing import Any, Final

_POINTS = (
    *(point for point in (*range(32), *range(0x7F, 0xA0)) if point not in (9, 10)),
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x180E, 0x2028, 0x2029, 0x3164, 0xFEFF, 0xFFA0),
    *(*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFFF9, 0xFFFC)),
    *(*range(0xE0000, 0xE0080), *range(0xE0100, 0xE01F0)),
)


def _escaped(point: int) -> str:
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


INERT: Final = {point: _escaped(point) for point in _POINTS}
"""For `str.translate`; tabs and line breaks stay."""
INERT_LINE: Final = INERT | {10: "\\n"}
"""The same, for what must stay one line."""
_JSON = {point: json.dumps(chr(point))[1:-1] for point in _POINTS}


def inert_json(value: Any) -> str:
    """Return a value as JSON that says the same and that a terminal only shows."""
    return json.dumps(value, ensure_ascii=False).translate(_JSON)
