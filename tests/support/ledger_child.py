"""A process that writes to a ledger until it is killed, and says on standard output what was acknowledged."""

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

from ostiary.core.errors import OstiaryError
from ostiary.ledger import Pace
from ostiary.storage.sqlite_ledger import SqliteLedgerStore
from tests.support.ledger import make_entry, running

PACE = Pace(seal_s=0.005, watermark=0, max_age_s=600.0)


async def write(directory: Path, waiters: int) -> None:
    """Append for ever, every fourth entry an action that begins."""
    async with running(SqliteLedgerStore(directory), pace=PACE) as ledger:
        os.write(1, b"ready\n")

        async def one(number: int) -> None:
            count = 0
            while True:
                count += 1
                entry = make_entry(decision="allow", code="") if count % 4 == 0 else make_entry(session=f"s-{number}")
                receipt = await ledger.append(entry)
                os.write(1, f"{receipt.index} {entry.id} {receipt.leaf_hash.hex()}\n".encode())

        await asyncio.gather(*map(one, range(waiters)))


def main() -> None:
    """Run as `python -m tests.support.ledger_child DIRECTORY WAITERS [LARGEST FILE]`."""
    if len(sys.argv) > 3:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    try:
        asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
    except OstiaryError as error:
        os.write(1, f"stopped {error.detail}\n".encode())
        sys.exit(3)


if __name__ == "__main__":
    main()
