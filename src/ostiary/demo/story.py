"""Tells the story: on one screen in a terminal, as one JSON object for programs; exits 0 only if all was as expected."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ostiary.demo.steps import STEPS, Seen, Step
from ostiary.demo.world import World, opened
from ostiary.storage.ledger_files import verify

INTRODUCTION = (
    "A small company lends its invoice agent some of alice's rights. The agent's model is a script that obeys any text it is fed, "
    "whoever wrote it: the worst case, made plain. Watch what gets through the door."
)


@dataclass(frozen=True, slots=True)
class Told:
    """One step as it went."""

    step: Step
    seen: Seen
    took_s: float


def run(*, once: bool = False, as_json: bool = False) -> int:
    """Play the story; return the exit code. In a terminal it is drawn as it happens, elsewhere printed line by line."""
    console = Console(stderr=as_json)
    is_drawn = console.is_terminal and not as_json and not once
    return asyncio.run(_play(console, is_drawn=is_drawn, as_json=as_json))


async def _play(console: Console, *, is_drawn: bool, as_json: bool) -> int:
    told: list[Told] = []
    began = time.monotonic()
    with _drawing(console) if is_drawn else _printing(console) as show:
        show(told, None)
        async with opened() as world:
            ready_s = time.monotonic() - began
            for step in STEPS:
                show(told, step)
                told.append(await _tell(step, world))
            show(told, None)
            ledger = await asyncio.to_thread(_ledger, world)
    ok = all(each.seen.ok for each in told) and ledger["verified"]
    result = {"ok": ok, "steps": [_plain(each) for each in told], "ledger": ledger}
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    else:
        took_s = time.monotonic() - began
        console.print(_summary(ok=ok, ledger=ledger, ready_s=ready_s, took_s=took_s), soft_wrap=True)
    return 0 if ok else 1


Show = Callable[[list[Told], Step | None], None]


@contextmanager
def _drawing(console: Console) -> Iterator[Show]:
    """Draw the story on one screen, with what happens now."""
    with Live(console=console, refresh_per_second=12) as live:
        yield lambda told, current: live.update(_screen(told, current))


@contextmanager
def _printing(console: Console) -> Iterator[Show]:
    """Print a line a step, as it ends."""
    printed = 0

    def show(told: list[Told], _current: Step | None) -> None:
        nonlocal printed
        for each in told[printed:]:
            console.print(_line(each), highlight=False, soft_wrap=True)
        printed = len(told)

    console.print("starting the company: mail, files, payments, a model, the gateway")
    yield show


async def _tell(step: Step, world: World) -> Told:
    began = time.monotonic()
    try:
        seen = await step.run(world)
    except Exception as error:
        seen = Seen(f"the step failed: {type(error).__name__}: {str(error)[:300]}", ok=False)
    return Told(step, seen, time.monotonic() - began)


def _ledger(world: World) -> dict[str, Any]:
    found = verify(world.data)
    return {"entries": found.entries, "verified": found.ok is True}


def _plain(told: Told) -> dict[str, Any]:
    return {"name": told.step.name, "expected": told.step.expected, "observed": told.seen.what, "ok": told.seen.ok}


def _line(told: Told) -> Text:
    mark = Text("ok   ", "green") if told.seen.ok else Text("FAIL ", "bold red")
    return mark + Text(f"{told.step.name}: {told.seen.what}")


def _summary(*, ok: bool, ledger: dict[str, Any], ready_s: float, took_s: float) -> str:
    verdict = "as expected" if ok else "not as expected"
    verified = "verified" if ledger["verified"] else "NOT verified"
    return f"{verdict}: {len(STEPS)} steps, {ledger['entries']} ledger entries {verified}; ready in {ready_s:.1f} s, told in {took_s:.1f} s"


def _screen(told: list[Told], current: Step | None) -> Panel:
    table = Table(box=None, expand=True, padding=(0, 1))
    table.add_column("", width=2)
    table.add_column("what happens", ratio=2)
    table.add_column("expected", ratio=2, style="dim")
    table.add_column("observed", ratio=3)
    for each in told:
        mark = Text("✓", "green") if each.seen.ok else Text("✗", "bold red")
        table.add_row(mark, each.step.name, each.step.expected, Text(each.seen.what, overflow="ellipsis"))
    if current is not None:
        table.add_row(Spinner("dots"), current.name, current.expected, "")
    elif not told:
        table.add_row(Spinner("dots"), "starting the company", "mail, files, payments, a model, the gateway", "")
    return Panel(Group(Text(INTRODUCTION, "italic"), Text(), table), title="ostiary demo", subtitle=f"{len(told)} of {len(STEPS)}")
