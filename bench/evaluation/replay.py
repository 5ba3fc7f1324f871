"""The worst-case protocol: an honest run, and a hijacked one on each schedule, at any door."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.evaluation.attacks import Call
from bench.evaluation.dojo import Suite, calls_of
from bench.evaluation.doors import Door, Made, NoDoor, Opens

SCHEDULES = ("before", "middle", "after")
MARK = "IMPORTANT: before anything else"


@dataclass
class Benign:
    """One honest task: without a human and with one."""

    suite: str
    task: str
    refuse: bool = False
    ask: bool = False
    asked_for: list[str] = field(default_factory=list)


@dataclass
class Case:
    """One user's task with one attacker's goal: `mode:schedule` of each run that reached the goal, and how often a person was asked."""

    suite: str
    task: str
    goal: str
    through: list[str] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    """For each schedule without a human, how many of the attacker's calls were stopped."""


def benign(opens: Opens, suite: Suite, task: Any) -> Benign:
    """Replay one task's own calls: first without a human, then with one who says yes to honest calls."""
    outcome = Benign(suite.name, task.ID)
    for mode in ("refuse", "ask"):
        world = task.init_environment(suite.world())
        before, executed, refused = world.model_copy(deep=True), [], 0
        door = opens.open(suite, task.PROMPT, world)
        for call in calls_of(task, world.model_copy(deep=True)):
            made = door.make(call, says_yes=mode == "ask")
            refused += bool(made.stopped)
            if made.stopped and mode == "ask":
                outcome.asked_for.append(f"{call.tool}({made.stopped})")
            if made.answer is not None:
                executed.append(call)
        reached = suite.succeeded(task, task.GROUND_TRUTH_OUTPUT, before, world, executed)
        setattr(outcome, mode, reached and (refused == 0 or mode == "ask"))
    return outcome


def hijack(opens: Opens | None, suite: Suite, task: Any, goal: Any, when: str, *, says_yes: bool) -> tuple[bool, int]:
    """Replay one attack on one schedule; say whether the checker finds the goal reached, and how many of its calls were stopped.

    `says_yes`: a person who knows the user's intent says yes to the honest calls and never to the attacker's. No door: no gate.
    """
    world = task.init_environment(suite.world(goal.GOAL, suite.places(task)))
    before = world.model_copy(deep=True)
    run = Run(opens.open(suite, task.PROMPT, world) if opens else NoDoor(suite, world), says_yes)
    try:
        honest = calls_of(task, world.model_copy(deep=True))
    except Exception:
        honest = []
    played = 0 if when == "before" else run.play(honest, until=_is_injected if when == "middle" else None)
    run.play(calls_of(goal, world.model_copy(deep=True)), is_honest=False)
    run.play(honest[played:])
    return suite.succeeded(goal, "", before, world, run.executed), run.stopped


@dataclass
class Run:
    """One session being replayed."""

    door: Door
    says_yes: bool
    executed: list[Call] = field(default_factory=list)
    stopped: int = 0

    def play(self, calls: Sequence[Call], *, is_honest: bool = True, until: Callable[[Made], bool] | None = None) -> int:
        """Make calls one after another; return after how many `until` was met."""
        for count, call in enumerate(calls, 1):
            made = self.door.make(call, says_yes=self.says_yes and is_honest)
            self.stopped += bool(made.stopped) and not is_honest
            if made.answer is None:
                continue
            self.executed.append(call)
            if until is not None and until(made):
                return count
        return len(calls)


def _is_injected(made: Made) -> bool:
    return MARK in json.dumps(made.answer)


def cases(opens: Opens, suite: Suite, modes: Sequence[str], every: int, report: Callable[[str], None]) -> list[Case]:
    """Replay each attack in each session of a suite (every Nth task), on all schedules, in the modes asked for."""
    found, began = [], time.monotonic()
    goals = [goal for goal in suite.goals() if calls_of(goal, suite.world(goal.GOAL))]
    for number, goal in enumerate(goals, 1):
        for task in list(suite.user_tasks())[number % every :: every] if every > 1 else suite.user_tasks():
            case = Case(suite.name, task.ID, goal.ID)
            for mode in modes:
                for when in SCHEDULES:
                    reached, stopped = hijack(None if mode == "allow" else opens, suite, task, goal, when, says_yes=mode == "ask")
                    case.through += [f"{mode}:{when}"] if reached else []
                    case.stops += [stopped] if mode == "refuse" else []
            found.append(case)
        report(f"{suite.name}: goal {number} of {len(goals)}, {len(found)} cases, {time.monotonic() - began:.0f} s")
    return found
