"""One bit is flipped, anywhere."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from ostiary.ledger.note import Signer
from ostiary.storage.ledger_files import open_reader, verify
from tests.support.ledger import ORIGIN, ledger_keys
from tests.support.ledger_attacks import content, written

COUNT = 600
VKEY = Signer(ORIGIN, ledger_keys().signing).vkey
ROUNDS = int(os.environ.get("OSTIARY_TEST_FLIP_ROUNDS", "4"))


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_one_flipped_bit_anywhere_is_found_or_harmless(tmp_path: Path, seed: int) -> None:
    """R-L2: hundreds of bits over all files, a hundred a round; whatever still verifies still says exactly the same."""
    original = written(270)
    rng = random.Random(f"bits {seed}")
    expected = content(original)
    copy = tmp_path / "ledger"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("ballast", "lock", "*-shm", "*-wal"))
    files = ["ledger.db"] * 6 + ["keys.db", "index.db", "checkpoint"]
    caught = 0
    for _ in range(100):
        name = rng.choice(files)
        raw = bytearray((original / name).read_bytes())
        place = rng.randrange(len(raw) * 8)
        raw[place >> 3] ^= 1 << (place & 7)
        (copy / name).write_bytes(raw)
        if verify(copy, key=VKEY, keys=ledger_keys()).ok is True:
            assert content(copy) == expected, f"bit {place} of {name} changed something unseen"
        else:
            caught += 1
        shutil.copyfile(original / name, copy / name)
        for extra in ("-wal", "-shm"):
            (copy / f"{name}{extra}").unlink(missing_ok=True)
    assert caught > 40
    assert verify(copy, key=VKEY, keys=ledger_keys()).ok


@pytest.mark.parametrize("with_parts", [False, True])
def test_one_flipped_bit_of_an_export_is_found_or_harmless(tmp_path: Path, with_parts: bool) -> None:
    """R-L5: an export verifies by itself, and only as it was written."""
    rng = random.Random(f"export {with_parts}")
    reader = open_reader(written(COUNT))
    lines: list[bytes] = []
    assert reader.export(lines.append, parts=with_parts, after=399) == 200
    reader.close()
    raw, path = b"".join(lines), tmp_path / "export.jsonl"
    path.write_bytes(raw)
    held = (written(COUNT) / "checkpoint").read_bytes()
    whole = verify(path, key=VKEY, checkpoint=held)
    assert (whole.ok, whole.anchored, whole.entries) == (True, True, 200)
    for _ in range(250):
        place = rng.randrange(len(raw) * 8)
        flipped = bytearray(raw)
        flipped[place >> 3] ^= 1 << (place & 7)
        path.write_bytes(flipped)
        if verify(path, key=VKEY, checkpoint=held).ok is True:
            assert [json.loads(line) for line in bytes(flipped).splitlines()[1:-1]] == [json.loads(line) for line in lines[1:-1]]
