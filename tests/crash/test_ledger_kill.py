"""kill −9 at random moments: nothing acknowledged is ever lost, and the next start is the normal start."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ostiary.core.errors import Corrupt
from ostiary.ledger.leaf import decode
from ostiary.ledger.note import read_unverified
from ostiary.ledger.tree import leaf_hash
from ostiary.storage.ledger_files import verify
from ostiary.storage.sqlite_ledger import SqliteLedgerSource, SqliteLedgerStore
from tests.support.ledger import ledger_keys, running

KILLS = int(os.environ.get("OSTIARY_TEST_KILLS", "20"))
TAILS = int(os.environ.get("OSTIARY_TEST_TAILS", "120"))
ROOT = Path(__file__).parents[2]
Acknowledged = dict[int, tuple[str, bytes]]


def spawn(directory: Path, waiters: int, *more: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.support.ledger_child", str(directory), str(waiters), *more]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})


def run_and_kill(directory: Path, waiters: int, alive_s: float) -> Acknowledged:
    """Let a writer run, kill it, and return what it had been told."""
    child = spawn(directory, waiters)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(alive_s)
    child.kill()
    said = child.stdout.read()
    child.wait()
    child.stdout.close()
    return parse(said)


def parse(said: bytes) -> Acknowledged:
    lines = [line.split() for line in said.split(b"\n")[:-1] if line[:1].isdigit()]
    return {int(index): (entry_id.decode(), bytes.fromhex(node.decode())) for index, entry_id, node in lines}


def missing(directory: Path, acknowledged: Acknowledged) -> list[int]:
    source = SqliteLedgerSource(directory)
    stored = {index: (decode(leaf).id, leaf_hash(leaf)) for index, leaf in source.leaves(0, source.size())}
    source.close()
    return [index for index, entry in acknowledged.items() if stored.get(index) != entry]


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    """R-L1, R-L2: one ledger, killed again and again; every receipt stays true, every intent gets its outcome."""
    rng = random.Random("kill")
    directory, acknowledged, held = tmp_path / "ledger", Acknowledged(), b""
    for _ in range(KILLS):
        acknowledged |= run_and_kill(directory, rng.choice([1, 4, 32]), rng.random() * 0.15)
        assert missing(directory, acknowledged) == []
        if held:
            assert verify(directory, checkpoint=held, check_index=False).ok, verify(directory, checkpoint=held).problems
        held = (directory / "checkpoint").read_bytes()
    assert len(acknowledged) > KILLS * 5

    async def restart() -> None:
        async with running(SqliteLedgerStore(directory)):
            pass

    asyncio.run(restart())
    found = verify(directory, checkpoint=held, keys=ledger_keys())
    assert (found.ok, found.anchored) == (True, True), found.problems
    assert missing(directory, acknowledged) == []
    source = SqliteLedgerSource(directory)
    leaves = [decode(leaf) for _, leaf in source.leaves(0, source.size())]
    source.close()
    opened = {leaf.id for leaf in leaves if leaf.kind == "intent" and leaf.decision == "allow"}
    assert opened
    assert sorted(leaf.intent for leaf in leaves if leaf.kind == "outcome") == sorted(opened)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Acknowledged]:
    directory = tmp_path_factory.mktemp("killed") / "ledger"
    acknowledged = run_and_kill(directory, 8, 0.3)
    assert (directory / "ledger.db-wal").stat().st_size > 50_000
    return directory, acknowledged


def _damage(raw: bytes, rng: random.Random) -> bytes:
    match rng.choice(["cut", "garbage", "flip", "zeros", "overwrite"]):
        case "cut":
            return raw[: rng.randrange(len(raw))]
        case "garbage":
            return raw + rng.randbytes(rng.randrange(1, 9_000))
        case "flip":
            place = rng.randrange(len(raw) * 8)
            return raw[: place >> 3] + bytes([raw[place >> 3] ^ 1 << (place & 7)]) + raw[(place >> 3) + 1 :]
        case "zeros":
            at = rng.randrange(len(raw))
            return raw[:at] + bytes(len(raw) - at)
    at = rng.randrange(len(raw))
    return raw[:at] + rng.randbytes(len(raw) - at)


def test_a_torn_tail_is_never_cut_below_what_was_released(killed: tuple[Path, Acknowledged], tmp_path: Path) -> None:
    """R-L2: the write-ahead log is torn, cut, zeroed, flipped: the ledger starts with every released entry, or refuses and changes nothing."""
    original, acknowledged = killed
    rng = random.Random("tails")
    released = read_unverified((original / "checkpoint").read_bytes()).size
    assert released
    started = refused = 0
    for number in range(TAILS):
        copy = tmp_path / f"{number}"
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns("ballast", "*-shm"))
        wal = copy / "ledger.db-wal"
        wal.write_bytes(_damage(wal.read_bytes(), rng))
        evidence = {name: (copy / name).read_bytes() for name in ("ledger.db", "ledger.db-wal", "checkpoint")}

        async def start(directory: Path = copy) -> None:
            async with running(SqliteLedgerStore(directory)):
                pass

        try:
            asyncio.run(start())
        except Corrupt:
            refused += 1
            assert {name: (copy / name).read_bytes() for name in evidence} == evidence
        else:
            started += 1
            sealed = {index: entry for index, entry in acknowledged.items() if index < released}
            assert missing(copy, sealed) == []
            assert verify(copy).ok
        shutil.rmtree(copy)
    assert started
    assert refused


def test_a_file_that_cannot_grow_stops_the_ledger_and_loses_nothing(tmp_path: Path) -> None:
    """R-L1: writes fail with EFBIG, as they would on a full disk; the writer says so and ends; a restart has all of it."""
    for limit in (150_000, 250_000, 600_000):
        directory = tmp_path / f"{limit}"
        child = spawn(directory, 4, str(limit))
        said, _ = child.communicate(timeout=60)
        assert child.returncode == 3, said[-300:]
        assert b"stopped the ledger stopped" in said
        acknowledged = parse(said)
        assert missing(directory, acknowledged) == []

        async def restart(path: Path = directory) -> None:
            async with running(SqliteLedgerStore(path)):
                pass

        asyncio.run(restart())
        assert verify(directory).ok
        assert missing(directory, acknowledged) == []


def test_a_process_killed_while_it_recovers_recovers_the_next_time(tmp_path: Path) -> None:
    """R-L1: closing open intents is itself only appending."""
    directory, acknowledged = tmp_path / "ledger", run_and_kill(tmp_path / "ledger", 32, 0.2)
    for _ in range(3):
        child = spawn(directory, 1)
        time.sleep(0.35)
        child.kill()
        child.communicate()
    assert missing(directory, acknowledged) == []

    async def restart() -> None:
        async with running(SqliteLedgerStore(directory)) as ledger:
            await ledger.seal()

    asyncio.run(restart())
    assert verify(directory).ok
