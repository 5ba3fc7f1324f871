"""Checks an export with nothing else at hand but a public key."""

from collections.abc import Iterable

from ostiary.core.errors import InvalidConfig, LedgerTampered
from ostiary.ledger import export
from ostiary.ledger.checking import Check, Progress, Verification, begin, cannot_tell, damaged
from ostiary.ledger.note import Verifier
from ostiary.ledger.store import SealedPart
from ostiary.ledger.tree import TILE_WIDTH, Tree


def verify_export(
    raw: Iterable[bytes], *, key: str | None = None, checkpoint: bytes | None = None, progress: Progress | None = None
) -> Verification:
    """Check an export. Raises nothing: what is not well formed is tampered, what is no export cannot be told."""
    trusted = Verifier.parse(key) if key else None
    items = export.lines(raw)
    try:
        head = next(items, {})
    except LedgerTampered as error:
        return cannot_tell(error.detail)
    if head.get("kind") != export.KIND:
        return cannot_tell("not an export of a ledger")
    try:
        first = int(head["first"])
        tree = Tree.from_peaks(first, [bytes.fromhex(peak) for peak in head["peaks"]])
        check = begin(str(head["origin"]), str(head["vkey"]), trusted, tree)
    except (KeyError, TypeError, ValueError, InvalidConfig):
        return damaged("the first line of the export is damaged")
    notes = [f"entries before {first} are not in this export"] if first else []
    held = check.hold(checkpoint)
    check.compare()
    try:
        end = _read_export(items, check, with_parts=bool(head.get("parts")), progress=progress)
    except (LedgerTampered, KeyError, TypeError, ValueError, AttributeError) as error:
        check.problem(f"the export breaks off after entry {check.tree.size - 1}: {error}")
        end = None
    _end_export(check, end)
    if held is not None and not first <= held.size <= check.tree.size:
        notes.append(f"the checkpoint you hold is over {held.size} entries, which this export cannot show")
        check.wanted.pop(held.size)
        held = None
    check.finish("the export")
    return check.result(anchored=held is not None, notes=notes)


def _end_export(check: Check, note: bytes | None) -> None:
    if note is None:
        check.problem("the export does not end in its checkpoint: it was cut off")
        return
    check.expect(note, "the checkpoint of the export")
    if check.sealed != check.tree.size:
        check.problem(f"the export has entries to {check.tree.size - 1}, its checkpoint covers {check.sealed}", check.tree.size)
    check.compare()


def _read_export(items: Iterable[dict[str, object]], check: Check, *, with_parts: bool, progress: Progress | None) -> bytes | None:
    block: list[tuple[int, bytes]] = []
    parts: dict[int, list[SealedPart]] = {}
    for item in items:
        if "checkpoint" in item:
            if block:
                check.feed(block, parts if with_parts else None)
            if next(iter(items), None) is not None:
                check.problem("the export goes on after its checkpoint")
            return str(item["checkpoint"]).encode()
        index = item["index"]
        if type(index) is not int or index != (block[-1][0] + 1 if block else check.tree.size):
            check.problem(f"entry {block[-1][0] + 1 if block else check.tree.size} is missing or out of order")
            return None
        block.append((index, str(item["leaf"]).encode()))
        if with_parts:
            parts[index] = [export.sealed_part(part) for part in item["parts"]]  # type: ignore[attr-defined]
        if not (index + 1) % TILE_WIDTH:
            check.feed(block, parts if with_parts else None)
            block, parts = [], {}
            if progress:
                progress(index + 1, 0)
    if block:
        check.feed(block, parts if with_parts else None)
    return None
