"""Lines of an export are dropped, swapped, repeated, cut or forged."""

import json
from pathlib import Path

import pytest

from ostiary.ledger.note import Signer
from ostiary.storage.ledger_files import open_reader, verify
from tests.support.ledger import ORIGIN, ledger_keys
from tests.support.ledger_attacks import written

COUNT = 600
VKEY = Signer(ORIGIN, ledger_keys().signing).vkey


@pytest.mark.parametrize("attack", ["drop", "swap", "repeat", "cut", "no end", "more", "head", "none", "peaks"])
def test_an_export_with_its_lines_changed_is_found(tmp_path: Path, attack: str) -> None:
    """R-L5."""
    reader = open_reader(written(COUNT))
    lines: list[bytes] = []
    reader.export(lines.append, parts=True, after=499)
    reader.close()
    head = json.loads(lines[0])
    match attack:
        case "drop":
            del lines[5]
        case "swap":
            lines[5], lines[6] = lines[6], lines[5]
        case "repeat":
            lines.insert(5, lines[5])
        case "cut":
            lines = lines[:50]
        case "no end":
            lines = lines[:-1]
        case "more":
            lines.append(lines[5])
        case "head":
            lines[0] = json.dumps({**head, "first": 499}).encode() + b"\n"
        case "peaks":
            lines[0] = json.dumps({**head, "peaks": ["00" * 32 for _ in head["peaks"]]}).encode() + b"\n"
        case "none":
            lines = lines[1:]
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(lines))
    assert verify(path, key=VKEY).ok is (None if attack == "none" else False)
