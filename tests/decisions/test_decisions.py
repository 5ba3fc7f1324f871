"""Runs every decision table of this folder against the starter pack and the sample company."""

from pathlib import Path

import pytest

from ostiary.policy import packs
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.schema import generate
from ostiary.policy.tables import Row, read, run
from ostiary.policy.version import PolicyVersion
from tests.support.policy import registry

ROWS = [row for file in sorted(Path(__file__).parent.glob("*.yaml")) for row in read(file.read_text("utf-8"), file.name)]


@pytest.fixture(scope="module")
def engine() -> PolicyEngine:
    found, over = PolicyEngine(), registry()
    found.load(over, PolicyVersion(packs.load("starter", generate(over)).files))
    return found


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.where}: {row.name}" for row in ROWS])
def test_row(engine: PolicyEngine, row: Row) -> None:
    """R-P2: principal, action, resource, context → decision and deciding policy."""
    (outcome,) = run(engine, (row,))
    assert outcome.is_ok, "; ".join(outcome.differences)
