"""Runs the decision table about zones, over a company in two of them."""

from pathlib import Path

import pytest

from ostiary.policy.engine import PolicyEngine
from ostiary.policy.tables import Row, read, run
from tests.support.policy import engine
from tests.support.zones import company

FOLDER = Path(__file__).parent / "zones"
ROWS = read((FOLDER / "zones.yaml").read_text("utf-8"), "zones.yaml")


@pytest.fixture(scope="module")
def deciding() -> PolicyEngine:
    return engine((FOLDER / "zones.cedar").read_text("utf-8"), company())


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row(deciding: PolicyEngine, row: Row) -> None:
    """R-P5: entering a zone needs a permit that names it, for each link of the chain."""
    (outcome,) = run(deciding, (row,))
    assert outcome.is_ok, "; ".join(outcome.differences)
    action, session = row.case.asked(deciding.snapshot.schema), row.case.session(deciding.snapshot.registry)
    assert deciding.may_see(session, action) == (row.expect != "deny"), "a listing shows what a call is allowed or held for, and no more"
