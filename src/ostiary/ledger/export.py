"""The export: JSON lines with the exact leaves, ending in a checkpoint, so that it verifies with nothing else at hand.

First line: format, origin, verifier key, first index, and the peaks of the tree before it. Then one line an entry;
its leaf is a JSON string whose UTF-8 bytes are what was hashed. Last line: the checkpoint.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ostiary.core.errors import LedgerTampered, Unavailable
from ostiary.ledger.leaf import FORMAT
from ostiary.ledger.nodes import Nodes
from ostiary.ledger.note import read_unverified
from ostiary.ledger.store import LedgerSource, SealedPart
from ostiary.ledger.tree import spans

KIND = "ostiary-ledger-export"
_STEP = 256
_MAX_LINE = 256 * 1024 * 1024


def write(
    source: LedgerSource,
    out: Callable[[bytes], object],
    *,
    after: int = -1,
    parts: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the sealed entries after an index and return how many. Raises Unavailable when nothing is sealed."""
    note = source.newest_checkpoint()
    if note is None:
        raise Unavailable("nothing is under a signed checkpoint yet: ask again in a second")
    stop, first = read_unverified(note).size, max(0, after + 1)
    first = min(first, stop)
    nodes, meta = Nodes(source, stop), source.meta()
    peaks = [nodes(level, n).hex() for level, n in spans(0, first)]
    head = {"kind": KIND, "format": FORMAT, "origin": meta["origin"], "vkey": meta["vkey"], "first": first, "parts": parts, "peaks": peaks}
    out(_line(head))
    for low in range(first, stop, _STEP):
        high = min(low + _STEP, stop)
        sealed = _grouped(source, low, high) if parts else {}
        for index, leaf in source.leaves(low, high):
            item: dict[str, Any] = {"index": index, "leaf": leaf.decode()}
            if parts:
                item["parts"] = sealed.get(index, [])
            out(_line(item))
        if progress:
            progress(high - first, stop - first)
    out(_line({"checkpoint": note.decode()}))
    return stop - first


def lines(raw: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Iterate the objects of an export. Raises LedgerTampered at a line that is none."""
    for number, line in enumerate(raw, 1):
        try:
            item = json.loads(line) if len(line) <= _MAX_LINE else None
        except (ValueError, RecursionError):
            item = None
        if not isinstance(item, dict):
            raise LedgerTampered(f"line {number} of the export is not a JSON object")
        yield item


def sealed_part(item: Any) -> SealedPart:
    """Read one part of an entry line. Raises LedgerTampered."""
    try:
        return SealedPart(*(base64.b64decode(item[name], validate=True) for name in ("key", "wrapped", "blob")))
    except (KeyError, TypeError, ValueError):
        raise LedgerTampered("a part of the export is not well formed") from None


def _grouped(source: LedgerSource, low: int, high: int) -> dict[int, list[dict[str, str]]]:
    found: dict[int, list[dict[str, str]]] = {}
    for index, _, part in source.parts(low, high):
        fields = zip(("key", "wrapped", "blob"), part, strict=True)
        found.setdefault(index, []).append({name: base64.b64encode(raw).decode() for name, raw in fields})
    return found


def _line(item: dict[str, Any]) -> bytes:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
