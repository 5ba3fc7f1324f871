"""The program's own log, as a machine and as a person reads it."""

import json
import logging
from collections.abc import Iterator

import pytest

from ostiary.monitoring.logs import configure


@pytest.fixture(autouse=True)
def loggers_restored() -> Iterator[None]:
    """The loggers are put back as they were."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    kept, levels = root.handlers[:], (root.level, uvicorn.level)
    yield
    root.handlers[:] = kept
    root.setLevel(levels[0])
    uvicorn.setLevel(levels[1])


def fail() -> None:
    """Log an error with where it came from, and with what a stranger wrote in it."""
    try:
        raise ValueError("broken \x1b[2J")
    except ValueError:
        logging.getLogger("ostiary").exception("server `%s` failed", "mail\x1b[31m\nforged")


def test_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Also with line breaks and a traceback in it."""
    configure("info", "json")
    logging.getLogger("ostiary").debug("not this")
    fail()
    logging.getLogger("ostiary").info("next")
    written = capsys.readouterr().err
    first, second = map(json.loads, written.splitlines())
    assert (first["event"], first["level"], first["logger"]) == ("server `mail\x1b[31m\nforged` failed", "error", "ostiary")
    assert first["timestamp"].endswith("Z")
    assert "ValueError: broken" in first["exception"]
    assert (second["event"], "exception" in second) == ("next", False)
    assert "\x1b" not in written


def test_text_for_people_holds_nothing_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    """A name with a line break in it cannot forge a line either."""
    configure("info", "text")
    fail()
    written = capsys.readouterr().err
    line, *trace = written.splitlines()
    assert "[error   ] server `mail" in line
    assert line.endswith("[ostiary]")
    assert "ValueError: broken" in trace[-1]
    assert "\x1b" not in written
