"""What agents and servers wrote reaches an operator's terminal as inert text: in the log, in tables and in `--json`."""

import json
import logging
from typing import Any

import pytest

from ostiary.cli.output import Output
from ostiary.monitoring.logs import configure

HOSTILE = "innocent\x1b]0;pwned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\nFAKE 2026-01-01 all is well\r\U000e0041\u061c"
DANGEROUS = "\x1b\x07\x9b\u202e\u2066\r\U000e0041\u061c"


@pytest.fixture
def root_restored() -> Any:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("root_restored")
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_obeys_nobody_and_keeps_one_event_a_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """R-H1: a server's error message can neither drive the terminal nor forge a line of the log."""
    configure("info", form)
    logging.getLogger("ostiary.test").warning("server %s: %s", "s", HOSTILE)
    logged = capsys.readouterr().err
    assert "innocent" in logged
    assert not any(character in logged for character in DANGEROUS)
    assert len(logged.splitlines()) == 1


def test_json_on_a_terminal_obeys_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """R-H1: `--json` is what was recorded, with nothing in it that a terminal would act on."""
    Output(json=True).one({"name": HOSTILE, "wörter": "ü"})
    Output(json=True).many([{"name": HOSTILE}], ["name"])
    printed = capsys.readouterr().out
    assert not any(character in printed for character in DANGEROUS)
    assert "wörter" in printed
    assert [json.loads(line)["name"] for line in printed.splitlines()] == [HOSTILE, HOSTILE]


def test_text_on_a_terminal_obeys_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """R-H1: the same for plain output; a line break in a value does not look like a field of ours."""
    Output().one({"name": HOSTILE})
    printed = capsys.readouterr().out
    assert not any(character in printed for character in DANGEROUS)
