"""The detectors that run, in one list: a new one is a file with `patterns()` and a line here."""

from collections.abc import Callable, Sequence
from functools import cache

from ostiary.controls import injection, personal_data, pictures, secrets, text_rules
from ostiary.controls.pattern import Pattern
from ostiary.controls.scanner import Scanner

DETECTORS: tuple[Callable[[], Sequence[Pattern]], ...] = (
    secrets.shipped,
    personal_data.patterns,
    injection.patterns,
    text_rules.patterns,
    pictures.patterns,
)


def patterns() -> tuple[Pattern, ...]:
    """Return every detector's patterns."""
    return tuple(pattern for detector in DETECTORS for pattern in detector())


@cache
def scanner() -> Scanner:
    """Return the scanner of all detectors, compiled once a process (about 0.4 s)."""
    return Scanner(patterns())
