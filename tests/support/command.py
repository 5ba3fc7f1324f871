"""The command line against a control plane that listens on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ostiary.cli import run
from ostiary.identity.control import write_secret
from tests.support.control import Control, control
from tests.support.listening import listening


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object it printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The objects it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Terminal:
    """Runs commands on a data directory whose gateway is up."""

    plane: Control
    data: Path
    capture: pytest.CaptureFixture[str]

    async def __call__(self, *arguments: str, stdin: str = "", role: str = "") -> Ran:
        """Run a command as the operator of the data directory, or as whoever has a role's key."""
        with pytest.MonkeyPatch.context() as patch:
            if role:
                patch.setenv("OSTIARY_TOKEN", self.plane.keys[role])
            return await command(self.capture, "--data", str(self.data), *arguments, stdin=stdin, patch=patch)


async def command(capture: pytest.CaptureFixture[str], *arguments: str, stdin: str = "", patch: pytest.MonkeyPatch) -> Ran:
    """Run a command in a thread, with standard input, and return what it printed."""
    import io

    patch.setattr("sys.stdin", io.StringIO(stdin))
    capture.readouterr()
    code = await asyncio.to_thread(run, list(arguments))
    out, err = capture.readouterr()
    assert "Traceback" not in err
    return Ran(code, out, err)


@asynccontextmanager
async def terminal(folder: Path, capture: pytest.CaptureFixture[str]) -> AsyncIterator[Terminal]:
    """A running control plane, its data directory as `ostiary up` leaves it, and a terminal on the same machine."""
    async with control(folder) as plane, listening(plane.api) as address:
        key = await plane.key("operator", "administrator", "security", "auditor")
        write_secret(folder / "operator.key", key)
        (folder / "gateway.json").write_text(json.dumps({"url": f"http://{address}"}))
        yield Terminal(plane, folder, capture)
