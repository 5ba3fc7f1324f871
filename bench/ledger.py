"""What the ledger costs on this machine: the disk's own sync rate, durable records a second, and verification against pure hashing.

    python bench/ledger.py [--json] [--records N] [--directory DIR]

All in one run, so that the ratios mean something on a noisy machine.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.ids import new_id
from ostiary.ledger import Ledger, LedgerKeys, Pace
from ostiary.ledger.recorder import Recorder
from ostiary.ledger.vault import Vault
from ostiary.storage.ledger_files import open_reader, verify
from ostiary.storage.sqlite_ledger import SqliteLedgerSource, SqliteLedgerStore

ARGUMENTS = b'{"amount":12.5,"currency":"EUR","iban":"DE02120300000000202051","memo":"invoice 2026-1184","to":"ACME"}'


def entry(at: int) -> Entry:
    """Return an intent as the pipeline records it, or its outcome."""
    is_intent = at % 2 == 0
    shared: dict[str, Any] = {
        "id": new_id(),
        "family": Family.ACTION,
        "at_ns": time.time_ns(),
        "boundary": "agent_api",
        "actor": "spiffe://ostiary.local/agent/invoice-bot",
        "on_behalf_of": (f"user-{at % 50}",),
        "owner": "owner-1",
        "session": f"{at % 200:032x}",
        "verb": "call",
        "action": "payments/pay",
        "resource": "Tool::payments/pay",
        "decision": "allow",
        "policies": ("pay-small",),
        "policy_revision": "cd" * 32,
        "labels": ("pii",),
    }
    if is_intent:
        more: dict[str, Any] = {
            "digest": "ab" * 32,
            "origins": {"amount": "user", "iban": "directory"},
            "parts": (Part("arguments", ARGUMENTS),),
        }
        return Entry(kind=Kind.INTENT, **shared, **more)
    return Entry(kind=Kind.OUTCOME, intent=new_id(), upstream_status=200, duration_us=1_200, parts=(Part("result", ARGUMENTS),), **shared)


def probe(directory: Path, seconds: float = 1.0) -> dict[str, float]:
    """Return the disk's own rate: append 4 KiB, fdatasync, again."""
    descriptor = os.open(directory / "probe", os.O_RDWR | os.O_CREAT)
    took, end = list[float](), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        os.write(descriptor, bytes(4096))
        os.fdatasync(descriptor)
        took.append(time.perf_counter() - began)
    os.close(descriptor)
    (directory / "probe").unlink()
    return {"per_s": len(took) / sum(took), "p50_us": statistics.median(took) * 1e6}


async def load(ledger: Ledger, waiters: int, records: int) -> dict[str, float]:
    """Append with that many callers, each waiting for its receipt."""
    work = [[entry(at) for at in range(records // waiters)] for _ in range(waiters)]
    took: list[float] = []

    async def one(entries: list[Entry]) -> None:
        for item in entries:
            began = time.perf_counter()
            await ledger.append(item)
            took.append(time.perf_counter() - began)

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*map(one, work))
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    took.sort()
    return {
        "per_s": len(took) / elapsed,
        "p50_us": took[len(took) // 2] * 1e6,
        "p99_us": took[len(took) * 99 // 100] * 1e6,
        "cpu_us": cpu / len(took) * 1e6,
    }


def timed(work: Callable[[], object], count: int) -> float:
    """Return the best of five, in microseconds an item."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best / count * 1e6


def sealing(keys: LedgerKeys, directory: Path) -> float:
    """Return microseconds to seal, encode and hash one record, without any store."""
    source = SqliteLedgerSource(directory)
    recorder = Recorder("bench.example/ledger", "n1", Vault(keys, source))
    entries = [entry(at) for at in range(2_000)]
    found = timed(lambda: [recorder.record(item) for item in entries], len(entries))
    source.close()
    return found


def verifying(directory: Path) -> dict[str, float]:
    """Return microseconds an entry to verify everything, and to hash the same bytes and nothing else."""
    source = SqliteLedgerSource(directory)
    size = source.size()
    leaves = [leaf for _, leaf in source.leaves(0, size)]
    blobs = [part.blob for _, _, part in source.parts(0, size)]
    source.close()

    def pure() -> None:
        level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
        while len(level) > 1:
            level = [sha256(b"\1" + b"".join(level[at : at + 2])).digest() for at in range(0, len(level), 2)]
        for blob in blobs:
            sha256(blob).digest()

    def whole(*, check_index: bool) -> None:
        found = verify(directory, check_index=check_index)
        if not found.ok:
            raise SystemExit(f"the ledger does not verify: {found.problems[:3]}")

    hashing = timed(pure, size)
    evidence = timed(lambda: whole(check_index=False), size)
    return {
        "hashing_us": hashing,
        "verify_us": evidence,
        "ratio": evidence / hashing,
        "with_index_us": timed(lambda: whole(check_index=True), size),
    }


def searching(directory: Path) -> dict[str, float]:
    """Return the median and the slowest of some searches, in milliseconds."""
    reader, took = open_reader(directory), list[float]()
    for at in range(100):
        began = time.perf_counter()
        reader.search(session=f"{at:032x}", kind="intent", limit=20)
        took.append(time.perf_counter() - began)
    reader.close()
    took.sort()
    return {"p50_ms": took[50] * 1e3, "p99_ms": took[98] * 1e3}


async def run(directory: Path, records: int) -> dict[str, Any]:
    """Measure everything in one go."""
    keys = LedgerKeys(Ed25519PrivateKey.generate(), os.urandom(32), os.urandom(32))
    results: dict[str, Any] = {"records": records, "probe": probe(directory)}
    place = directory / "ledger"
    ledger = Ledger(SqliteLedgerStore(place), keys, origin="bench.example/ledger", node="n1", pace=Pace(watermark=0, max_age_s=60.0))
    await ledger.start()
    await load(ledger, 64, 2_000)
    results["one_waiter"] = await load(ledger, 1, min(1_500, records))
    results["waiters_64"] = await load(ledger, 64, records)
    results["waiters_256"] = await load(ledger, 256, records)
    results["index_lag"] = ledger.index_lag
    began = time.perf_counter()
    size = ledger.size
    await ledger.close()
    results["close_s"] = time.perf_counter() - began
    results["bytes_a_record"] = sum((place / name).stat().st_size for name in ("ledger.db", "index.db", "keys.db")) / size - len(ARGUMENTS)
    results["record_us"] = sealing(keys, place)
    results["verify"] = verifying(place)
    results["search"] = searching(place)
    results["probe_after"] = probe(directory)
    sync = statistics.mean([results["probe"]["per_s"], results["probe_after"]["per_s"]])
    latency = statistics.mean([results["probe"]["p50_us"], results["probe_after"]["p50_us"]])
    results["ratios"] = {
        "waiters_64_to_probe": results["waiters_64"]["per_s"] / sync,
        "one_waiter_to_probe": results["one_waiter"]["p50_us"] / latency,
    }
    return results


def show(results: dict[str, Any]) -> None:
    """Print the figures for a person."""
    probed, one, many, most = (results[name] for name in ("probe", "one_waiter", "waiters_64", "waiters_256"))
    ratios, checked, found = results["ratios"], results["verify"], results["search"]
    print(f"probe         {probed['per_s']:8.0f} fdatasync/s   p50 {probed['p50_us']:.0f} µs")
    print(f"1 waiter      {one['per_s']:8.0f} records/s     p50 {one['p50_us']:.0f} µs = {ratios['one_waiter_to_probe']:.2f} × probe")
    print(
        f"64 waiters    {many['per_s']:8.0f} records/s     p99 {many['p99_us']:.0f} µs, {many['cpu_us']:.0f} CPU µs a record, {ratios['waiters_64_to_probe']:.1f} × probe"
    )
    print(f"256 waiters   {most['per_s']:8.0f} records/s     {most['cpu_us']:.0f} CPU µs a record; index {results['index_lag']} behind")
    print(
        f"seal, encode  {results['record_us']:8.1f} µs a record   {results['bytes_a_record']:.0f} bytes a record beside its payload, with index"
    )
    print(
        f"verify        {checked['verify_us']:8.1f} µs an entry   {checked['ratio']:.2f} × pure hashing; {checked['with_index_us']:.1f} µs with the index"
    )
    print(f"search        {found['p50_ms']:8.2f} ms p50       {found['p99_ms']:.2f} ms p99")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--records", type=int, default=20_000, help="records for each load")
    parser.add_argument("--directory", type=Path, help="where to write, on the disk to be measured")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="ostiary-bench-", dir=given.directory))
    try:
        if sys.platform != "win32":
            import uvloop

            results = uvloop.run(run(directory, given.records))
        else:
            results = asyncio.run(run(directory, given.records))
    finally:
        shutil.rmtree(directory)
    print(json.dumps(results)) if given.json else show(results)


if __name__ == "__main__":
    main()
