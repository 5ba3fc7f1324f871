"""Run every bench and write `docs/reference/performance.md`; raw results go to `bench/results/`, which git does not keep.

python bench/report.py [--short]
"""

import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "reference" / "performance.md"
NOTE = "<!-- Written by scripts/bench from a run; run it on your machine for yours. -->"
SERVERS = {
    "upstream": "upstream called directly",
    "nginx": "nginx, proxy only",
    "sdk": "official MCP SDK, proxy only",
    "gateway": "**Ostiary, everything on**",
}


def bench(name: str, *options: str) -> dict[str, Any]:
    """Run one bench and return what it printed as JSON; a limit it missed is in there too."""
    sys.stderr.write(f"bench: {name}\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=ROOT)
    if not done.stdout.strip():
        raise SystemExit(f"bench {name} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def machine() -> str:
    """Say what was measured on."""
    model = "an unnamed processor"
    with Path("/proc/cpuinfo").open() as lines:
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    plain = "built without profile-guided optimisation, which costs about a sixth"
    built = "of the distribution" if sys.base_prefix == "/usr" else "built with profile-guided optimisation" if optimised else plain
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()} {built}"


def page(found: dict[str, Any]) -> Iterator[str]:
    """Yield the page."""
    yield f"{NOTE}\n\n# Performance\n"
    yield (
        f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} with `scripts/bench` on {machine()}. Other work ran on the machine, so read the "
        "ratios and the CPU time a request; `ostiary bench` measures yours without any other tool.\n"
    )
    yield (
        "Everything on means: token and standing checked, scope, origins of every argument, content controls both ways, the starter policies "
        "for each link of the chain, an intent sealed and on disk before the next step, and so the outcome of what changes something. The gateway has one core, load and "
        "upstream the other.\n"
    )
    yield from gateway(found["gateway"])
    yield from parts(found)


def gateway(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the whole gateway does."""
    seconds, runs = found["seconds"], found["runs"]
    for name in ("chat completions", "MCP tools/call"):
        yield f"## {name[0].upper()}{name[1:]} (`python bench/gateway.py`)\n"
        yield f"1 KiB each way, closed loop of 64 connections, {runs} × {seconds:.0f} s in turns, medians.\n"
        yield "| | requests/s (least … most) | CPU µs a request | p50 ms | p99 ms |\n|---|---|---|---|---|"
        for server, label in SERVERS.items():
            if server in found[name]:
                row = found[name][server]
                rate = f"{row['per_s']:,.0f} ({row['least_per_s']:,.0f} … {row['most_per_s']:,.0f})"
                yield f"| {label} | {rate} | {row['cpu_us']:,.0f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} |"
        added = found[name]["added"]
        yield f"\nAdded at 200 requests/s, open loop: p50 {added['p50_ms']:.2f} ms, p99 {added['p99_ms']:.2f} ms.\n"
    yield (
        f"Ready {found['start_s']:.2f} s after `ostiary up` on an empty directory; {found['idle_mb']:.0f} MB resident idle, "
        f"{found['resident_mb']:.0f} MB under load.\n"
    )
    missed = "; ".join(found["missed"]) or "none"
    yield f"Floors (1,500/s each, 2 ms added at the median, 150 MB) missed in this run: {missed}.\n"


def parts(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the parts cost by themselves."""
    yield "## Decision (`python bench/decision.py`)\n\nCPU µs a decision for a chain of two links.\n"
    yield "| policies | never asked before | asked again | held | Cedar given every policy |\n|---|---|---|---|---|"
    for count, row in found["decision"]["policies"].items():
        cells = " | ".join(f"{row[name]:.0f}" if name in row else "–" for name in ("fresh", "repeat", "hold", "whole"))
        yield f"| {count} | {cells} |"
    ledger = found["ledger"]
    yield "\n## Ledger (`python bench/ledger.py`)\n\n| | records/s | p50 µs | CPU µs a record |\n|---|---|---|---|"
    for name, label in (("one_waiter", "one caller"), ("waiters_64", "64 callers"), ("waiters_256", "256 callers")):
        row = ledger[name]
        yield f"| {label} | {row['per_s']:,.0f} | {row['p50_us']:,.0f} | {row['cpu_us']:.0f} |"
    yield f"| the disk alone (4 KiB, fdatasync) | {ledger['probe']['per_s']:,.0f} | {ledger['probe']['p50_us']:,.0f} | – |"
    yield (
        f"\nSealing and encoding a record takes {ledger['record_us']:.1f} µs, verifying one {ledger['verify']['verify_us']:.1f} µs "
        f"({ledger['verify']['ratio']:.1f} × hashing alone).\n"
    )
    controls = found["controls"]
    yield "## Content controls and origins (`python bench/controls.py`, `python bench/provenance.py`)\n\n| | CPU µs |\n|---|---|"
    yield f"| content controls, 1 KiB of prose both ways | {controls['prose_both_ways_us']:.0f} |"
    yield f"| a piece of a stream, redacted | {controls['stream_redacted_piece_us']:.1f} |"
    for row in found["provenance"]["figures"]:
        yield f"| origins of a call, {row['values']:,} values known | {row['call_safe_us']:.0f} |"
    for name, label in (("text", "somebody's text"), ("directory", "a trusted directory's answer")):
        worst = max(row[f"{name}_us_per_kb"] for row in found["provenance"]["figures"])
        yield f"| values of 1 KiB of {label} | {worst:.0f} |"


def main() -> None:
    """Run, keep the results, write the page."""
    is_short = "--short" in sys.argv
    found = {
        "gateway": bench("gateway", *(["--short"] if is_short else [])),
        "decision": bench("decision"),
        "ledger": bench("ledger", "--records", "8000" if is_short else "20000"),
        "controls": bench("controls"),
        "provenance": bench("provenance"),
    }
    results = HERE / "results" / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(found, indent=1) + "\n")
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(page(found))).rstrip() + "\n"
    PAGE.write_text(text)
    sys.stderr.write(f"bench: {PAGE.relative_to(ROOT)} written, raw results in {results.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
