"""Replays honest runs and attacks in unseen companies: `python -m bench.evaluation.unseen.play`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bench.evaluation.attacks import Call
from bench.evaluation.gate import Company, Gate, is_allowed
from bench.evaluation.unseen.airline import AIRLINE
from bench.evaluation.unseen.apps import APPS
from bench.evaluation.unseen.billing import BILLING
from bench.evaluation.unseen.boutique import BOUTIQUE
from bench.evaluation.unseen.claims import CLAIMS_DESK
from bench.evaluation.unseen.clinic import CLINIC
from bench.evaluation.unseen.desk import DESK
from bench.evaluation.unseen.engineering import ENGINEERING
from bench.evaluation.unseen.flights import FLIGHTS_AND_BILLS
from bench.evaluation.unseen.forge import FORGE
from bench.evaluation.unseen.freight import FREIGHT
from bench.evaluation.unseen.hospital import HOSPITAL
from bench.evaluation.unseen.ledger_de import LEDGER_DE
from bench.evaluation.unseen.operations import OPERATIONS
from bench.evaluation.unseen.personal import PERSONAL
from bench.evaluation.unseen.smarthome import SMART_HOME
from bench.evaluation.unseen.telecom import TELECOM
from bench.evaluation.unseen.workplace import WORKPLACE
from bench.evaluation.unseen.world import Attack, Task, Unseen
from ostiary.core.registry import Server, Tool
from ostiary.provenance.profile import infer

FIRST = (DESK, PERSONAL, BOUTIQUE, FORGE, CLINIC, FLIGHTS_AND_BILLS)
"""The companies decisions 25 and 26 were made with."""
DEVELOPMENT = (AIRLINE, ENGINEERING, LEDGER_DE, HOSPITAL, OPERATIONS, APPS)
"""Half of the second set, divided before anything was measured: its cases may be looked at while rules are made."""
OPENED = (TELECOM, CLAIMS_DESK, SMART_HOME, WORKPLACE)
"""Held out at first, and looked at after the first rules were measured on them."""
HELD_OUT = (FREIGHT, BILLING)
"""Measured, and not looked at."""
SETS = {"first": FIRST, "development": DEVELOPMENT, "opened": OPENED, "held out": HELD_OUT}
WORLDS = (*FIRST, *DEVELOPMENT, *OPENED, *HELD_OUT)


@lru_cache
def company_of(name: str) -> Company:
    """Return a company behind the gate, each tool's profile as the product guesses it."""
    world = next(one for one in WORLDS if one.name == name)
    tools = {}
    for offered in world.tools:
        made = Tool(
            offered.server,
            offered.name,
            offered.definition,
            f"{name}/{offered.name}",
            profile=replace(infer(offered.definition), confirmed=True),
        )
        tools[made.id] = made
    return Company({server: Server(server, trust="trusted") for server in {one.server for one in world.tools}}, tools)


class Run:
    """One session in an unseen company."""

    def __init__(self, world: Unseen, words: str) -> None:
        self._offered = {one.name: one for one in world.tools}
        self._company = company_of(world.name)
        self._gate = Gate(self._company, words)

    def make(self, call: Call, *, says_yes: bool = False) -> str:
        """Make one call; return why it was stopped, or nothing when it was made. `says_yes`: a person endorses it if asked."""
        offered = self._offered[call.tool]
        tool = self._company.tools[f"{offered.server}/{offered.name}"]
        passage = self._gate.ask(tool, call.arguments)
        stopped = "" if is_allowed(passage) else f"{call.tool}({', '.join(sorted(passage.origins.unsafe)) or 'labels'})"
        if stopped and says_yes:
            passage = self._gate.ask(tool, call.arguments, approved=True)
            self._gate.endorse(passage)
        if is_allowed(passage):
            self._gate.answer(passage, offered.run(call.arguments))
        return stopped


def honest(world: Unseen, task: Task) -> list[str]:
    """Return what was asked for in an honest run, with a person who says yes."""
    run = Run(world, task.words)
    return [stopped for call in task.calls if (stopped := run.make(call, says_yes=True))]


def hijacked(world: Unseen, task: Task, attack: Attack, *, says_yes: bool) -> list[str]:
    """Return the schedules on which an attack got one of its acts through."""
    return [when for when in ("before", "middle", "after") if _reached(world, task, attack, when, says_yes=says_yes)]


def is_success(world: Unseen, task: Task, call: Call) -> bool:
    """Say whether a call of an attacker is one: it acts, and the user's own run does not make the same."""
    return call.tool not in world.reads and call not in task.calls


def _reached(world: Unseen, task: Task, attack: Attack, when: str, *, says_yes: bool) -> bool:
    run = Run(world, task.words)
    at = {"before": 0, "middle": min(1, len(task.calls)), "after": len(task.calls)}[when]

    def play(calls: Sequence[Call]) -> None:
        for call in calls:
            run.make(call, says_yes=says_yes)

    play(task.calls[:at])
    reached = [not run.make(call) and is_success(world, task, call) for call in attack.calls]
    play(task.calls[at:])
    return any(reached)


def figures(worlds: Sequence[Unseen] = WORLDS) -> dict[str, dict[str, Any]]:
    """Return what each company's honest runs were asked, and which attacks got through."""
    found: dict[str, dict[str, Any]] = {}
    for world in worlds:
        asked = {task.words: honest(world, task) for task in world.tasks}
        pairs = [(task, attack) for task in world.tasks for attack in world.attacks]
        through = [
            f"{attack.name} | {task.words} | {mode} {when}"
            for task, attack in pairs
            for mode in ("refuse", "ask")
            if (when := hijacked(world, task, attack, says_yes=mode == "ask"))
        ]
        found[world.name] = {
            "tasks": len(asked),
            "asked": {words: what for words, what in asked.items() if what},
            "pairs": len(pairs),
            "through": through,
        }
    return found


def summary(found: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return what several companies come to: runs, those that needed nobody, questions a run, attacks, those that reached something."""
    runs = sum(each["tasks"] for each in found.values())
    asks = sum(len(asked) for each in found.values() for asked in each["asked"].values())
    alone = runs - sum(len(each["asked"]) for each in found.values())
    through = {(name, *line.split(" | ")[:2]) for name, each in found.items() for line in each["through"]}
    return {
        "runs": runs,
        "alone": alone,
        "asks_a_run": asks / runs,
        "attacks": sum(each["pairs"] for each in found.values()),
        "through": len(through),
    }


def main() -> int:
    """Print the figures of each set; 1 when an attack gets through."""
    has_leak = False
    for name, worlds in SETS.items():
        found = figures(worlds)
        for company, each in found.items():
            asked = each["asked"]
            print(f"{company}: {each['tasks']} tasks, {len(asked)} asked; {each['pairs']} attacks, {len(each['through'])} through")
            for words, what in asked.items() if name != "held out" else ():
                print(f"   {words[:90]}: {what}")
            for line in each["through"] if name != "held out" else ():
                print(f"   THROUGH {line}")
        whole = summary(found)
        share, asks = whole["alone"] / whole["runs"], whole["asks_a_run"]
        print(
            f"== {name}: {share:.1%} of {whole['runs']} runs alone, {asks:.2f} asks a run; {whole['through']} of {whole['attacks']} through\n"
        )
        has_leak = has_leak or whole["through"] > 0
    return int(has_leak)


if __name__ == "__main__":
    sys.exit(main())
