"""A reader of the pages: writes the files they show, types their commands in order, and looks for the output they promise.

What a block's fence says is how it is read:

| fence | is |
|---|---|
| `sh` | typed; each command must succeed, variables stay for later blocks |
| `sh exits N` | typed; its last command ends with that code |
| `sh background` | started, and stopped at the end of the page; the `text` below it is waited for |
| `python` | run, with the variables of the shell in its environment |
| `text` | each line stands in what the last block printed; `…` stands for anything, any space for any other |
| KIND FILE | a file of that name |
| KIND `example` | not run here |
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP_S = 120.0
APPEAR_S = 60.0
RUN = frozenset({"sh", "python"})
WORDS = re.compile(r"|example|background|exits \d+")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: what kind, what else the fence says, and its text."""

    kind: str
    info: str
    text: str

    @property
    def is_run(self) -> bool:
        """Say whether it is typed or run where it stands."""
        return self.kind in RUN and WORDS.fullmatch(self.info) is not None and self.info != "example"

    @property
    def is_file(self) -> bool:
        """Say whether it is the text of a file."""
        return not WORDS.fullmatch(self.info)


def blocks(page: Path) -> Iterator[Block]:
    """Return the blocks of a page in order."""
    for match in FENCE.finditer(page.read_text()):
        yield Block(match[1], match[2].strip(), match[3])


def environment(binaries: Path) -> dict[str, str]:
    """`ostiary` and `python` are those of this installation; nothing else of ours leaks in."""
    binaries.mkdir()
    for name, command in {"ostiary": "-m ostiary", "python": ""}.items():
        script = binaries / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {command} "$@"\n')
        script.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}
    return {**clean, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}


@dataclass
class Reader:
    """Follows a page in a folder. `places` says what stands here for each address on the page."""

    folder: Path
    env: dict[str, str]
    places: Mapping[str, str] = field(default_factory=dict)
    printed: Path = Path()
    ran: int = 0
    _waits: bool = False
    _running: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def read(self, page: Path) -> None:
        """Do all the page says. Raises AssertionError where it does not hold."""
        try:
            for block in blocks(page):
                self.follow(block)
        finally:
            self.leave()

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        text = self._here(block.text)
        if block.info == "example":
            return
        if block.is_file:
            path = self.folder / self._here(block.info)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif block.kind == "text":
            self._look_for(text)
        elif block.is_run:
            self.ran += 1
            self.printed = self.folder / f".printed-{self.ran}"
            self._waits = block.info == "background"
            if self._waits:
                self._start(text)
            else:
                self._type(text if block.kind == "sh" else self._as_command(text), int(block.info.removeprefix("exits ") or 0))

    def leave(self) -> None:
        """Stop what the page started."""
        for process in reversed(self._running):
            _stop(process)
        self._running.clear()

    def _here(self, text: str) -> str:
        for there, here in self.places.items():
            text = text.replace(there, here)
        return text

    def _as_command(self, text: str) -> str:
        script = self.folder / f".block-{self.ran}.py"
        script.write_text(text)
        return f"python {script.name}"

    def _script(self, text: str, *, keep: bool) -> str:
        """The shell of the page: each block is a process of its own, what it sets is handed on."""
        state = shlex.quote(str(self.folder / ".shell"))
        before = f"[ -f {state} ] && . {state}\nset -ea\n"
        return before + (f"trap 'export -p > {state}' EXIT\n" if keep else "") + text

    def _type(self, text: str, code: int) -> None:
        with self.printed.open("wb") as printed:
            done = subprocess.run(
                ["sh", "-c", self._script(text, keep=True)],
                cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, timeout=STEP_S, check=False,
            )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}, not {code}:\n{text}\n{self.printed.read_text()}"

    def _start(self, text: str) -> None:
        with self.printed.open("wb") as printed:
            command = ["sh", "-c", self._script(f"exec {text}", keep=False)]
            self._running.append(
                subprocess.Popen(
                    command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, start_new_session=True
                )
            )

    def _look_for(self, text: str) -> None:
        missing = _missing(text, self.printed.read_text())
        until = time.monotonic() + APPEAR_S
        while missing and self._waits and time.monotonic() < until and self._running[-1].poll() is None:
            time.sleep(0.05)
            missing = _missing(text, self.printed.read_text())
        assert not missing, f"{missing} is not in:\n{self.printed.read_text()}"


def _missing(text: str, printed: str) -> list[str]:
    seen = "\n".join(" ".join(line.split()) for line in printed.splitlines())
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return [line for line in lines if not re.search(r".*".join(re.escape(piece.strip()) for piece in line.split("…")), seen)]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
