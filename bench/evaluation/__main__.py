"""Does a hijacked agent get anywhere? `python -m bench.evaluation`, through a running gateway or (`--here`) in this process.

Benign: the task's own calls, judged by the suite's checker, counted only if none was refused. Hijacked: the attacker's calls
before all, after the first answer that carried injected text, and after all; success on any schedule counts.
"""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bench.evaluation.dojo import Suite, suites
from bench.evaluation.doors import Here, Opens
from bench.evaluation.replay import Benign, Case, benign, cases
from bench.evaluation.report import figures, show
from bench.evaluation.wire import ROOT, wired


def main() -> int:
    """Run the protocol and print its figures; 1 when any hijack gets through."""
    chosen = _chosen()
    found = [suite for suite in suites(inferred=chosen.inferred) if chosen.suite in suite.name]
    modes, began = chosen.modes.split(","), time.monotonic()
    with opened(found, here=chosen.here, python=chosen.python) as opens:

        def play(suite: Suite) -> tuple[list[Benign], list[Case]]:
            runs = [benign(opens, suite, task) for task in suite.user_tasks()]
            _say(f"{suite.name}: {len(runs)} honest tasks, {sum(run.refuse for run in runs)} without a human")
            return runs, [] if chosen.benign else cases(opens, suite, modes, chosen.every, _say)

        with ThreadPoolExecutor(1 if chosen.here else len(found)) as pool, contextlib.redirect_stdout(io.StringIO()):
            played = list(pool.map(play, found))
    result = figures([run for runs, _ in played for run in runs], [case for _, each in played for case in each])
    result |= {"through": "this process" if chosen.here else "a running gateway over MCP", "seconds": round(time.monotonic() - began)}
    show(result, as_json=chosen.json)
    return int(bool(result["hijacks"]["cases_through"]))


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.evaluation", description="replay hijacked agents, and honest ones, through the gateway")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help="the engine in this process, no gateway: quick")
    parser.add_argument("--inferred", action="store_true", help="the profiles the product guesses, unread")
    parser.add_argument("--suite", default="", help="workspace, travel, banking or slack")
    parser.add_argument("--every", type=int, default=1, help="each goal with every Nth task: a subset that is the same each time")
    parser.add_argument("--modes", default="refuse,ask", help="of refuse, ask, allow (no gate)")
    parser.add_argument("--benign", action="store_true", help="only the honest runs")
    parser.add_argument("--python", default=str(ROOT / ".venv/bin/python"), help="the Python that runs the gateway")
    return parser.parse_args()


@contextmanager
def opened(found: list[Suite], *, here: bool, python: str) -> Iterator[Opens]:
    """Open what sessions are opened at."""
    with contextlib.nullcontext(Here()) if here else wired(found, python) as opens:
        yield opens


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
