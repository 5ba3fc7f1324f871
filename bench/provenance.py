"""What labels and origins cost: CPU µs for a call and for 1 KB of result, at ten and at 10,000 values, and the memory they take.

python bench/provenance.py [--json]
"""

import gc
import json
import random
import string
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.provenance.flow import packed, snapshot
from tests.support.provenance import World, structured, text

REPEAT = 2_000
LIMITS = {"call_us": 60.0, "result_us_per_kb": 60.0, "memory_bytes": 2_000_000, "store_copy_us": 2_000.0}
"""`store_copy_us` is what storing a session takes of the event loop; packing happens beside it."""
PURPOSE = "Please pay Bob Smith 1,250.00 EUR to GB29 NWBK 6016 1331 9268 19 on May 24th and mail the receipt to bob@example.com. " * 4
RANDOM = random.Random(7)


def word(size: int = 8) -> str:
    """Return a word nobody has used."""
    return "".join(RANDOM.choices(string.ascii_lowercase, k=size))


def prose(size: int) -> str:
    """Return text of about `size` characters, with an address and a number here and there."""
    made, length = [], 0
    while length < size:
        made.append(RANDOM.choice((word(RANDOM.randint(2, 10)), word(4), f"{word()}@{word()}.example", str(RANDOM.randint(1, 99999)))))
        length += len(made[-1]) + 1
    return " ".join(made)[:size]


def contacts(count: int) -> dict[str, Any]:
    """Return an answer with `count` records of a trusted directory, two values each."""
    return structured({"result": [{"name": word(), "email": f"{word()}@{word(6)}.example", "kind": "person"} for _ in range(count)]})


def cpu_us(work: Callable[[], object], repeat: int = REPEAT) -> float:
    """Return the CPU µs of one run: the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(repeat // 5):
            work()
        best = min(best, (time.process_time_ns() - began) / (repeat // 5))
    return best / 1000


def filled(values: int) -> World:
    """Return a world whose session has `values` values from a directory and as many tokens of somebody's text."""
    world = World(PURPOSE)
    for _ in range(values // 500 or 1):
        world.answer("people/contacts", contacts(min(values, 500)), query="x")
        world.answer("mail/read", text(prose(4096)), id="1")
    return world


def measure(values: int) -> dict[str, float]:
    """Return the figures at a session size."""
    gc.collect()
    tracemalloc.start()
    world = filled(values)
    gc.collect()
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    pay = world.action(
        "bank/pay", recipient="GB29NWBK60161331926819", amount=1250, date="2025-05-24", note="the rent as agreed on the phone"
    )
    bad = world.action("bank/pay", recipient="DE89370400440532013000", amount=9999, date="2025-01-01", note=prose(200))
    mail = world.action("mail/send", to=["bob@example.com", "ann@example.com"], subject="receipt", body=prose(1024))
    read, listed = text(prose(1024)), contacts(14)
    passage = Passage(Credential("", "mcp"), session=world.session, action=world.action("mail/read", id="1"))
    asked = Passage(Credential("", "mcp"), session=world.session, action=world.action("people/contacts", query="x"))
    engine, session = world.provenance, world.session
    flow = engine.flow(session.id)
    assert flow is not None
    taken = snapshot(flow)
    return {
        "values": values,
        "call_safe_us": cpu_us(lambda: engine.trace(session, pay)),
        "call_unsafe_us": cpu_us(lambda: engine.trace(session, bad)),
        "call_mail_1kb_us": cpu_us(lambda: engine.trace(session, mail)),
        "text_us_per_kb": cpu_us(lambda: engine.absorb(passage, read)),
        "directory_us_per_kb": cpu_us(lambda: engine.absorb(asked, listed)) / (len(json.dumps(listed["structuredContent"])) / 1024),
        "text_10mb_ms": cpu_us(lambda: engine.absorb(passage, huge), 10) / 1000,
        "memory_bytes": memory,
        "store_copy_us": cpu_us(lambda: snapshot(flow), 50),
        "store_pack_us": cpu_us(lambda: packed(taken), 20),
        "stored_bytes": len(packed(taken)),
    }


huge = text(prose(1024) * 10_240)


def main() -> int:
    """Print the figures; 1 when one is over its limit."""
    figures = [measure(values) for values in (10, 1_000, 10_000)]
    if "--json" in sys.argv:
        print(json.dumps({"figures": figures, "limits": LIMITS}))
    else:
        for name in figures[0]:
            print(f"{name:22}" + "".join(f"{row[name]:>14,.1f}" for row in figures))
    worst_call = max(row[name] for row in figures for name in ("call_safe_us", "call_unsafe_us", "call_mail_1kb_us"))
    worst_result = max(row[name] for row in figures for name in ("text_us_per_kb", "directory_us_per_kb"))
    memory = max(row["memory_bytes"] for row in figures)
    copy = max(row["store_copy_us"] for row in figures)
    found = {"call_us": worst_call, "result_us_per_kb": worst_result, "memory_bytes": memory, "store_copy_us": copy}
    return int(any(found[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
