"""What the whole gateway costs with everything on: chat completions and MCP tools/call a second on one core, CPU a request, added latency.

    python bench/gateway.py [--short] [--json] [--only chat|mcp] [--runs N] [--keep FILE]

A real `ostiary up` (token, standing, scope, origins, content controls both ways, Cedar, sealed durable intent and outcome) is
pinned to one core; the load (wrk, closed loop, 64 connections; our open-loop client at 200/s) and the compiled upstream to the
other. Beside it, in the same run, the upstream called directly and through nginx. Needs `wrk`, `nginx` and `go`.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from bench.rig import Load, Rig, chat, running, tools  # noqa: E402 - the line above makes it importable

CONNECTIONS = 64
RATE = 200
FLOORS = {"chat completions": 1500.0, "MCP tools/call": 1500.0}
ADDED_P50_MS, RESIDENT_MB = 2.0, 150.0
NGINX = """
worker_processes 1;
daemon off;
pid PLACE/nginx.pid;
error_log PLACE/nginx.error;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path PLACE/a; proxy_temp_path PLACE/b; fastcgi_temp_path PLACE/c; uwsgi_temp_path PLACE/d; scgi_temp_path PLACE/e;
  upstream mock { server 127.0.0.1:UPSTREAM; keepalive 128; }
  server {
    listen 127.0.0.1:PORT;
    location / { proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
"""
SCRIPT = """
local bodies = {}
for line in io.lines("PLACE/bodies") do bodies[#bodies + 1] = line end
HEADERS
local at = 0
request = function()
  at = at % #bodies + 1
  return wrk.format("POST", nil, nil, bodies[at])
end
done = function(summary, latency, requests)
  io.write(string.format("\\nRESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


def script(rig: Rig, load: Load, headers: dict[str, str]) -> Path:
    """Write the script that makes wrk send the bodies one after another."""
    (rig.folder / "bodies").write_text("\n".join(load.bodies) + "\n")
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    path = rig.folder / "load.lua"
    path.write_text(SCRIPT.replace("PLACE", str(rig.folder)).replace("HEADERS", "\n".join(lines)))
    return path


def closed(rig: Rig, load: Load, server: str, seconds: float) -> dict[str, float]:
    """Return what a closed loop of 64 connections reaches at one server."""
    path, headers = load.places[server]
    lua = str(script(rig, load, headers))
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}", "-s", lua, rig.url(server) + path]
    before = rig.cpu_s(server)
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = rig.cpu_s(server) - before
    line = next(line for line in out.splitlines() if line.startswith("RESULT"))
    requests, took_us, refused, broken, p50, p99 = map(float, line.split()[1:])
    if refused or broken or not requests:
        raise SystemExit(f"{server} refused {refused:.0f} and broke {broken:.0f} of {requests:.0f} requests, so this is no measure")
    return {"per_s": requests / took_us * 1e6, "cpu_us": used / requests * 1e6, "p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3}


def paced(rig: Rig, load: Load, server: str, seconds: float) -> dict[str, float]:
    """Return the latencies of an open loop at a fixed rate, each from when its request was due."""
    path, headers = load.places[server]
    work = json.dumps({"headers": headers, "bodies": load.bodies})
    command = ["taskset", "-c", "1", str(rig.tool), "pace", rig.url(server) + path, str(RATE), str(seconds)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, input=work).stdout
    found: dict[str, float] = json.loads(out)
    if found["failed"]:
        raise SystemExit(f"{found['failed']:.0f} of {found['count']:.0f} paced requests failed at {server}")
    return found


def spread(figures: list[dict[str, float]]) -> dict[str, Any]:
    """Return the median of each figure, with the least and the most rate."""
    found: dict[str, Any] = {name: statistics.median(each[name] for each in figures) for name in figures[0]}
    rates = [each["per_s"] for each in figures]
    return found | {"least_per_s": min(rates), "most_per_s": max(rates)}


def measure(rig: Rig, load: Load, seconds: float, runs: int) -> dict[str, Any]:
    """Return every figure of one kind of request."""
    servers = [server for server in load.places if server in rig.processes]
    status, body = rig.post(load)
    if status != 200:
        raise SystemExit(f"the gateway answered {status}: {body[:300]!r}")
    for server in servers:
        closed(rig, load, server, max(1.0, seconds * 0.3))
    rounds: dict[str, list[dict[str, float]]] = {server: [] for server in servers}
    for turn in range(runs):
        for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
            rounds[server].append(closed(rig, load, server, seconds))
    found: dict[str, Any] = {server: spread(figures) for server, figures in rounds.items()}
    direct, through = paced(rig, load, "upstream", seconds), paced(rig, load, "gateway", seconds)
    found["added"] = {name: through[name] - direct[name] for name in ("p50_ms", "p99_ms")}
    found["paced"] = {"direct": direct, "through": through}
    return found


def start_nginx(rig: Rig) -> None:
    """Start nginx as the proxy it is known to be, on the gateway's core."""
    place = rig.folder / "nginx.conf"
    text = NGINX.replace("PLACE", str(rig.folder)).replace("UPSTREAM", str(rig.ports["upstream"])).replace("PORT", str(rig.ports["nginx"]))
    place.write_text(text)
    rig.start("nginx", 0, "nginx", "-c", str(place), "-e", str(rig.folder / "nginx.error"))
    rig.ready("nginx", "/health")


def run(*, seconds: float, runs: int, only: str) -> dict[str, Any]:
    """Measure everything in one go."""
    results: dict[str, Any] = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "seconds": seconds, "runs": runs}
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, running(Path(folder)) as rig:
        if shutil.which("nginx"):
            start_nginx(rig)
        results["start_s"] = rig.start_s
        results["idle_mb"] = rig.resident_mb("gateway")
        for name, make in (("chat", chat), ("mcp", tools)):
            if only in {"", name}:
                load = make(rig)
                results[load.name] = measure(rig, load, seconds, runs)
        results["resident_mb"] = rig.resident_mb("gateway")
    return results


def judge(results: dict[str, Any]) -> list[str]:
    """Return which floors were missed."""
    missed = []
    for name, floor in FLOORS.items():
        if name in results:
            if results[name]["gateway"]["per_s"] < floor:
                missed.append(f"{name}: {results[name]['gateway']['per_s']:.0f}/s is under {floor:.0f}/s")
            if results[name]["added"]["p50_ms"] > ADDED_P50_MS:
                missed.append(f"{name}: {results[name]['added']['p50_ms']:.2f} ms added at the median is over {ADDED_P50_MS} ms")
    if results["resident_mb"] > RESIDENT_MB:
        missed.append(f"{results['resident_mb']:.0f} MB resident is over {RESIDENT_MB:.0f} MB")
    return missed


def show(results: dict[str, Any]) -> None:
    """Print the figures for a person."""
    for name in FLOORS:
        if name not in results:
            continue
        print(f"{name}, 1 KiB, {CONNECTIONS} connections        req/s (least … most)     CPU µs      p50      p99 ms")
        for server in ("upstream", "nginx", "sdk", "gateway"):
            if server in results[name]:
                each = results[name][server]
                row = f"{each['per_s']:8.0f} ({each['least_per_s']:.0f} … {each['most_per_s']:.0f})"
                print(f"  {server:<34} {row:<28} {each['cpu_us']:7.0f} {each['p50_ms']:8.2f} {each['p99_ms']:8.2f}")
        added, nginx = results[name]["added"], results[name].get("nginx")
        ratio = f", {results[name]['gateway']['per_s'] / nginx['per_s']:.3f} × nginx" if nginx else ""
        print(f"  added at {RATE}/s: p50 {added['p50_ms']:.2f} ms, p99 {added['p99_ms']:.2f} ms{ratio}")
    print(f"start {results['start_s']:.2f} s, resident {results['idle_mb']:.0f} MB idle, {results['resident_mb']:.0f} MB under load")


def main() -> int:
    """Parse the command line and run; 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="3 s a measure instead of 10, once")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", choices=("chat", "mcp"), default="")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="also write the results to a file")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("`wrk` is not installed: apt-get install wrk nginx")
    results = run(seconds=3.0 if given.short else 10.0, runs=1 if given.short else given.runs, only=given.only)
    results["missed"] = judge(results)
    if given.keep:
        given.keep.parent.mkdir(parents=True, exist_ok=True)
        given.keep.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results)) if given.json else show(results)
    for line in results["missed"] if not given.json else ():
        print(f"missed: {line}")
    return 1 if results["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
