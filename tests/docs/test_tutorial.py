"""The tutorial runs as written: each file is made, each command is run, each line shown is seen (R-H4)."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
START_S = 60.0


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    for match in BLOCK.finditer(page.read_text()):
        yield match[1], match[2].strip(), match[3]


def environment(folder: Path) -> dict[str, str]:
    """`ostiary` and `python` are those of this installation; nothing else of ours leaks in."""
    binaries = folder / "bin"
    binaries.mkdir()
    for name, command in {"ostiary": "-m ostiary", "python": ""}.items():
        script = binaries / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        script.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}
    return {**clean, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}


def wait_for(url: str) -> None:
    for _ in range(round(START_S / 0.1)):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} did not answer")


def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    env, output = environment(tmp_path), ""
    with ExitStack() as running:
        for kind, info, text in blocks(ROOT / "docs/tutorial.md"):
            if kind == "sh" and info == "background":
                running.callback(_stop, subprocess.Popen(f"exec {text}", shell=True, cwd=tmp_path, env=env, start_new_session=True))
                wait_for("http://127.0.0.1:8470/health/ready" if "ostiary up" in text else "http://127.0.0.1:9001/health")
            elif kind == "sh":
                done = subprocess.run(text, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
                output = done.stdout + done.stderr
                assert done.returncode == 0, output
            elif kind == "text":
                for line in text.splitlines():
                    assert line in output, f"`{line}` is not in:\n{output}"
            else:
                path = tmp_path / info
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
        assert len((tmp_path / "paid.txt").read_text().splitlines()) == 2
    shutil.rmtree(tmp_path / "ostiary-data")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
