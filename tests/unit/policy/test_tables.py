"""Decision tables as files."""

import pytest

from ostiary.core.errors import InvalidConfig
from ostiary.policy.tables import read, run
from tests.support.policy import engine

POLICY = '@id("payers-pay") @redact("pii") permit (principal in Role::"payer", action in Action::"payments", resource);'
GOOD = """
defaults: {chain: [user:alice, agent:invoice-bot], action: payments/pay}
rows:
  - {name: small, arguments: {account: AT1, amount: 5}, expect: allow, policies: [payers-pay], obligations: {redact: [pii]}}
  - {chain: [user:bob], arguments: {account: AT1, amount: 5}, expect: deny, code: not_granted, policies: []}
"""


def test_rows_come_out_as_expected() -> None:
    """R-P2: every row is asked and named."""
    outcomes = run(engine(POLICY), read(GOOD))
    assert [each.is_ok for each in outcomes] == [True, True]
    assert [each.row.name for each in outcomes] == ["small", "row 2"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("expect: allow", "expect: hold"), "expected hold, got allow by payers-pay"),
        (("[payers-pay]", "[other]"), "expected policies other, got payers-pay"),
        (("[pii]", "[pii, secret]"), "expected obligations"),
        (("code: not_granted", "code: forbidden"), "expected code `forbidden`, got `not_granted`"),
        (("user:bob", "user:bib"), "there is no user `bib` (nearest: `bob`)"),
        (("amount: 5}, expect: allow", "amount: x}, expect: allow"), "got deny (invalid_arguments)"),
    ],
)
def test_a_row_that_differs_says_how(change: tuple[str, str], expected: str) -> None:
    """R-P2: expected and got."""
    failed = [each for each in run(engine(POLICY), read(GOOD.replace(*change))) if not each.is_ok]
    assert len(failed) == 1
    assert any(expected in difference for difference in failed[0].differences), failed[0].differences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a mapping"),
        ("rows: []", "expected `rows`"),
        ("rows: 5", "expected `rows`"),
        ("rows: [5]", "row 1: expected a mapping"),
        ("row: []", "unknown key `row` (nearest: `rows`)"),
        (GOOD.replace("expect: allow", "exepct: allow"), "unknown key `exepct` (nearest: `expect`)"),
        (GOOD.replace("expect: allow", "expect: maybe"), "must be allow, deny or hold"),
        (GOOD.replace("chain: [user:bob]", "chain: []"), "`chain` must list who asks"),
        (GOOD.replace("expect: allow", "expect: allow, session: {integrity: good}"), "must be trusted or untrusted"),
        (GOOD.replace("expect: allow", "expect: allow, session: {lables: []}"), "unknown key `lables` (nearest: `labels`)"),
        (GOOD.replace("expect: allow", "expect: allow, size: big"), "`size` must be a number"),
        (GOOD.replace("expect: allow", "expect: allow, at: noon"), "`at` must be a time as 2026-01-31T12:00:00Z, got `noon`"),
        (GOOD.replace("expect: allow", "expect: allow, at: [1]"), "`at` must be a number"),
        ("rows: [1\n", "line"),
        ("a: &a [1]\nrows: *a", "aliases"),
        ("rows: !!python/object:os.system {}", "table.yaml"),
        ("rows: []\nrows: []", "table.yaml"),
        ("x" * 1_000_001, "at most"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(text: str, expected: str) -> None:
    """R-P2: unknown key = error with place and nearest name."""
    with pytest.raises(InvalidConfig) as refused:
        read(text)
    assert expected in refused.value.detail


@pytest.mark.parametrize(
    "at", ["2027-01-15T08:00:00Z", '"2027-01-15T08:00:00Z"', '"2027-01-15T10:00:00+02:00"', "2027-01-15T08:00:00", "1800000000"]
)
def test_a_row_names_its_time_as_people_write_it(at: str) -> None:
    row = read(GOOD.replace("expect: allow", f"expect: allow, at: {at}"))[0]
    assert row.case.about.at == 1_800_000_000
