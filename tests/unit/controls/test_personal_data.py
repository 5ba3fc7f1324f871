"""Personal data: each recogniser finds what its validator confirms, and leaves look-alikes alone."""

import pytest

from ostiary.controls import personal_data
from ostiary.controls.scanner import Scanner, disjoint

SCANNER = Scanner(personal_data.patterns())

FOUND = [
    ("pii.email", "write to alice.smith+tag@mail.example.co.uk today", "alice.smith+tag@mail.example.co.uk"),
    ("pii.email", "<bob@example.com>", "bob@example.com"),
    ("pii.email", "mailto:carol_x@sub-domain.example.org,", "carol_x@sub-domain.example.org"),
    ("pii.card", "card 4111 1111 1111 1111 exp 12/30", "4111 1111 1111 1111"),
    ("pii.card", "ref 1234 4111 1111 1111 1111 x", "4111 1111 1111 1111"),
    ("pii.card", "12 4111111111111111", "4111111111111111"),
    ("pii.card", "5500-0000-0000-0004", "5500-0000-0000-0004"),
    ("pii.card", "amex 3782 822463 10005.", "3782 822463 10005"),
    ("pii.card", "n=6011111111111117;", "6011111111111117"),
    ("pii.iban", "IBAN DE89 3704 0044 0532 0130 00 bank", "DE89 3704 0044 0532 0130 00"),
    ("pii.iban", "to GB82WEST12345698765432, please", "GB82WEST12345698765432"),
    ("pii.iban", "NO93 8601 1117 947", "NO93 8601 1117 947"),
    ("pii.phone", "call +49 30 901820 now", "+49 30 901820"),
    ("pii.phone", "call (212) 555-2368 now", "(212) 555-2368"),
    ("pii.phone", "tel 650-253-0000", "650-253-0000"),
    ("pii.phone", "+442079460958", "+442079460958"),
    ("pii.ssn", "SSN 536-90-4399.", "536-90-4399"),
    ("pii.ssn", "social security number: 536904399", "536904399"),
    ("pii.national_id", "NI number AB 12 34 56 C", "AB 12 34 56 C"),
    ("pii.national_id", "cpf 390.533.447-05", "390.533.447-05"),
    ("pii.national_id", "NIR 2 95 10 99 126 111 93", "2 95 10 99 126 111 93"),
    ("pii.national_id", "CF RCCMNL83S18D969H fine", "RCCMNL83S18D969H"),
    ("pii.birth_date", "Date of birth: 12.03.1980", "12.03.1980"),
    ("pii.birth_date", 'dob="1980-03-12"', "1980-03-12"),
    ("pii.birth_date", "born on 12 March 1980 in", "12 March 1980"),
    ("pii.birth_date", "geboren am 3. März 1980", "3. März 1980"),
    ("phi", "MRN 00123456", "00123456"),
    ("phi", "patient_id: AB-123456", "AB-123456"),
    ("phi", "NHS number 943 476 5919", "943 476 5919"),
    ("phi", "diagnosed with E11.65 in May", "E11.65"),
    ("pii.card", "４１１１ 1111 1111 １１１１", "４１１１ 1111 1111 １１１１"),
]


@pytest.mark.parametrize(("kind", "text", "value"), FOUND, ids=lambda item: str(item)[:30])
def test_found(kind: str, text: str, value: str) -> None:
    """R-K2: the value alone is the find."""
    assert (kind, value) in [(span.kind, text[span.start : span.end]) for span in disjoint(SCANNER.scan(text))]


LEFT = [
    "card 4111 1111 1111 1112",
    "card 4111-11111-1111111",
    "order 20260911123456789",
    "ts 1758012345678901234 1758012345678",
    "uuid 550e8400-e29b-41d4-a716-446655440000",
    "sha 3f786850e387550fdab836ed7e6dc881de23001b",
    "DE89 3704 0044 0532 0130 01",
    "GB00WEST12345698765432",
    "version 1.2.3.4 and 10.0.0.1",
    "000-12-3456 666-12-3456 987-65-4321",
    "isbn 978-3-16-148410-0",
    "user@localhost and @mention and a@b",
    "logo@2x.png icon@3x.jpg",
    "getty@tty1.service",
    "pip install pkg@1.2.3",
    "released on 12 March 1980",
    "born to run",
    "MRN is short for medical record number",
    "the diagnosis was wrong, see section B12.5 of the report",
    "phone 123-456-7890 is a sample",
    "+1 000 000 0000",
    "price 1 234 567 890",
    "2026-09-11 12:34:56,789",
    "AB CD 12 34 56",
    "pi 3.14159265358979323846",
    "0x4111111111111111f",
    "4111111111111111.5",
]


@pytest.mark.parametrize("text", LEFT)
def test_left_alone(text: str) -> None:
    """R-K2: what only looks alike labels no session."""
    assert [(span.rule, text[span.start : span.end]) for span in SCANNER.scan(text)] == []


def test_card_in_a_number() -> None:
    """R-K2: a JSON number may be a card."""
    from tests.support.controls import controls, passage

    made = passage({"n": 4111111111111111})
    controls().inspect(made)
    assert made.detected == {"pii.card"}
