"""Go's sumdb library, which shares nothing with us, accepts our checkpoints and proofs and refuses every mutation."""

import asyncio
import base64
import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ostiary.ledger.nodes import Nodes
from ostiary.ledger.note import Signer, Verifier
from ostiary.ledger.tree import consistency_proof
from ostiary.storage.ledger_files import open_reader
from ostiary.storage.sqlite_ledger import SqliteLedgerSource, SqliteLedgerStore
from tests.support.ledger import ORIGIN, ledger_keys, make_entry, running

SOURCE = Path(__file__).parent / "sumdb"
VKEY = Signer(ORIGIN, ledger_keys().signing).vkey
Case = dict[str, Any]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    assert go, "Go is needed for the independent ledger verifier: install it, or deselect tests/conformance/test_sumdb.py"
    target = tmp_path_factory.mktemp("sumdb") / "sumdb"
    subprocess.run([go, "build", "-o", target, "."], cwd=SOURCE, check=True, env={**os.environ, "GOFLAGS": "-mod=readonly"})
    return target


def answers(program: Path, cases: Sequence[Case]) -> list[bool]:
    """Return for each case whether Go accepts it."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    found = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(found) == len(cases)
    return [line == "ok" for line in found]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A ledger with checkpoints over 1, 2, 3, 255, 256, 257, 600 entries."""
    directory = tmp_path_factory.mktemp("ledger") / "ledger"
    notes: list[bytes] = []

    async def write() -> None:
        async with running(SqliteLedgerStore(directory)) as running_ledger:
            for size in (1, 2, 3, 255, 256, 257, 600):
                await asyncio.gather(*[running_ledger.append(make_entry()) for _ in range(size - running_ledger.size)])
                notes.append(await running_ledger.seal())

    asyncio.run(write())
    return directory, notes


def inclusion_cases(directory: Path) -> list[Case]:
    reader = open_reader(directory)
    cases = []
    for row in reader.tail(-1, limit=1000):
        leaf = base64.b64encode(reader.leaf(row["id"])).decode()
        cases.append({"vkey": VKEY, "leaf": leaf, "proof": reader.prove(row["id"]).decode()})
    reader.close()
    return cases


def consistency_cases(directory: Path, notes: list[bytes]) -> list[Case]:
    source, cases = SqliteLedgerSource(directory), []
    for older in notes:
        for newer in notes:
            old, new = (Verifier.parse(VKEY).open(note)[0].size for note in (older, newer))
            if old <= new:
                path = consistency_proof(old, new, Nodes(source, new))
                hashes = [base64.b64encode(node).decode() for node in path]
                cases.append({"vkey": VKEY, "old": older.decode(), "new": newer.decode(), "consistency": hashes})
    source.close()
    return cases


def test_go_accepts_every_inclusion_proof(program: Path, ledger: tuple[Path, list[bytes]]) -> None:
    """R-L5: each of 600 entries, with its leaf as stored; each file at most 1.2 KB."""
    cases = inclusion_cases(ledger[0])
    assert len(cases) == 600
    assert all(answers(program, cases))
    assert max(len(case["proof"]) for case in cases) <= 1_200


def test_go_accepts_every_consistency_proof(program: Path, ledger: tuple[Path, list[bytes]]) -> None:
    """R-L2: between any two of the checkpoints."""
    cases = consistency_cases(*ledger)
    assert len(cases) == 28
    assert all(answers(program, cases))


def test_go_refuses_every_flipped_bit(program: Path, ledger: tuple[Path, list[bytes]]) -> None:
    """R-L2: of the leaf, the index, the path, the checkpoint and its signature."""
    rng = random.Random("sumdb")
    whole = inclusion_cases(ledger[0])
    mutated: list[Case] = []
    for case in rng.sample(whole, 60):
        leaf = bytearray(base64.b64decode(case["leaf"]))
        leaf[rng.randrange(len(leaf))] ^= 1 << rng.randrange(8)
        mutated.append({**case, "leaf": base64.b64encode(leaf).decode()})
        mutated.append({**case, "proof": case["proof"].replace("index ", "index 1")})
        head, blank, note = case["proof"].partition("\n\n")
        lines = note.split("\n")
        for at in (1, 2, 4):  # size, root, our signature; the timestamped one of line 5 is another algorithm
            changed = [*lines[:at], _other(lines[at], rng), *lines[at + 1 :]]
            mutated.append({**case, "proof": head + blank + "\n".join(changed)})
        path = head.split("\n")
        at = rng.randrange(2, len(path))
        path[at] = _other(path[at], rng)
        mutated.append({**case, "proof": "\n".join(path) + blank + note})
    mutated += [{**case, "leaf": other["leaf"]} for case, other in pairwise(whole)]
    assert not any(answers(program, mutated))


def test_go_refuses_consistency_between_other_trees(program: Path, ledger: tuple[Path, list[bytes]]) -> None:
    """R-L2: a proof of another pair, one hash more, less or changed."""
    whole = [case for case in consistency_cases(*ledger) if case["consistency"]]
    mutated = []
    for case in whole:
        path = case["consistency"]
        mutated += [{**case, "consistency": path[:-1]}, {**case, "consistency": [*path, path[0]]}]
        mutated.append({**case, "consistency": [base64.b64encode(bytes(32)).decode(), *path[1:]]})
        mutated.append({**case, "old": case["new"], "new": case["old"]})
    assert len(mutated) > 40
    assert not any(answers(program, mutated))


def test_go_refuses_another_key(program: Path, ledger: tuple[Path, list[bytes]]) -> None:
    """R-L2."""
    other = Signer(ORIGIN, ledger_keys("other").signing).vkey
    assert not any(answers(program, [{**case, "vkey": other} for case in inclusion_cases(ledger[0])[:20]]))


def _other(text: str, rng: random.Random) -> str:
    """Change one character that means something."""
    first = 0 if text.isdigit() else text.rfind(" ") + 8
    spots = [at for at, sign in enumerate(text) if at >= first and sign.isalnum() and sign.isascii()]
    at = rng.choice(spots[:-2] or spots)
    options = "123456789" if text.isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text[:at] + rng.choice([sign for sign in options if sign != text[at]]) + text[at + 1 :]
