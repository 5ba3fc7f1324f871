"""Secrets: every rule finds what it is for, harmless values pass, gitleaks' format loads."""

import random
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from ostiary.controls import secrets
from ostiary.controls.pattern import Pattern
from ostiary.controls.scanner import Scanner
from ostiary.core.errors import InvalidConfig
from tests.support.samples import sample

RULES = secrets.shipped()
SCANNER = Scanner(RULES)


def drawn(pattern: Pattern) -> tuple[str, bool]:
    """Return a confirmed sample in prose, and whether the scan reports its rule (or another that covers the same text)."""
    rng = random.Random(pattern.rule)
    for _ in range(400):
        text = sample(pattern.exact, rng)
        match = pattern.exact.search(f"set {text} then")
        if match is None:
            continue
        group = next((index for index, part in enumerate(match.groups(), 1) if part), 0)
        if pattern.confirm is None or pattern.confirm(match, group):
            value = match[group]
            spans = SCANNER.scan(f"Please set {text} then go on")
            return text, any(span.kind == "secret" and f"Please set {text} then go on"[span.start : span.end] == value for span in spans)
    return text, False


@pytest.mark.parametrize("pattern", RULES, ids=lambda pattern: pattern.rule)
def test_rule_finds_its_secret(pattern: Pattern) -> None:
    """R-K2: the coarse pattern lets through what the exact one confirms, for every rule."""
    text, found = drawn(pattern)
    assert found, text


def test_rules_are_many_and_named_once() -> None:
    names = [pattern.rule for pattern in RULES]
    assert len(names) == len(set(names)) > 222


@pytest.mark.parametrize(
    "text",
    [
        "api_key = os.environ['API_KEY']",
        "password: ${DB_PASSWORD}",
        "token = settings.telegram_token",
        "AKIAIOSFODNN7EXAMPLE",
        "postgres://user:password@localhost/db",
        'secret: "changeme123"',
        "the password must have at least 12 characters",
        "key=0000000000000000",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "[secret#3fa94c1b]",
        "https://example.org/a?token=<your-token>",
    ],
)
def test_harmless_text_passes(text: str) -> None:
    """R-K2: names of secrets, placeholders and hashes are none."""
    assert SCANNER.scan(text) == []


GITLEAKS = r"""
[allowlist]
regexes = ['''^\$\{[A-Z]+\}$''']
stopwords = ["abcdefghijklmnopqrstuvwxyz"]
[[rules]]
id = "acme"
regex = '''\b(acme-(?i)[a-z0-9]{16})(?:[\x60'"\s;]|\\[nr]|$)'''
entropy = 3
keywords = ["acme-"]
[[rules.allowlists]]
regexes = ['''(?i)test''']
[[rules]]
id = "second"
regex = '''(?i)second_[[:alnum:]]{4}(-[0-9]{2})'''
secretGroup = 1
keywords = ["second_"]
[[rules]]
id = "path-only"
path = '''\.pem$'''
"""


def test_gitleaks_file_loads(tmp_path: Path) -> None:
    """R-K2: an operator's gitleaks.toml works as it is: mid-pattern flags, POSIX classes, groups, allow lists."""
    file = tmp_path / "gitleaks.toml"
    file.write_text(GITLEAKS)
    scanner = Scanner(secrets.load(file))
    text = "use acme-Qw3rTy7uI9oP1aSd; or SECOND_ab12-34"
    assert [(span.rule, text[span.start : span.end]) for span in scanner.scan(text)] == [
        ("acme", "acme-Qw3rTy7uI9oP1aSd"),
        ("second", "-34"),
    ]
    assert scanner.scan("use acme-Qw3rTestI9oP1aSd;") == []
    assert scanner.scan("use acme-aaaaaaaaaaaaaaaa;") == []


@pytest.mark.parametrize("bad", ["[[rules]]\nid='x'\nregex='('\nkeywords=['a']", "[[rules]]\nid='x'\nregex='a'", "not toml ["])
def test_unusable_rules_are_refused(tmp_path: Path, bad: str) -> None:
    """R-K2: a rule that cannot be used stops the start; it is not left out."""
    file = tmp_path / "rules.toml"
    file.write_text(bad)
    with pytest.raises(InvalidConfig):
        secrets.load(file)


@pytest.mark.parametrize(
    ("go", "matches", "misses"),
    [
        (r"a(?i)b|c", ["ab", "aB", "C"], ["AB"]),
        (r"(?i)ab", ["AB"], ["AC"]),
        (r"(x(?i)y)z", ["xYz"], ["XYZ", "xyZ"]),
        (r"(?s)a.b", ["a\nb"], []),
        (r"[[:digit:]]+\z", ["12"], ["a"]),
        (r"(?i:[\w.-]{0,5}(?-i:Ab))", ["Ab"], ["ab"]),
        (r"[(?i)]", ["?"], ["x"]),
        (r"[\w\[-]+", ["a[-"], ["\\"]),
    ],
)
def test_translation_means_the_same(go: str, matches: list[str], misses: list[str]) -> None:
    pattern = re.compile(secrets.translate(go))
    assert [text for text in matches if not pattern.fullmatch(text)] == []
    assert [text for text in misses if pattern.fullmatch(text)] == []


def test_entropy_is_shannons() -> None:
    assert secrets.entropy("aaaa") == 0
    assert secrets.entropy("abcd") == 2
    assert secrets.entropy("") == 0


def test_shipped_file_is_what_is_loaded() -> None:
    document = tomllib.loads(resources.files("ostiary.controls").joinpath("data/secrets.toml").read_text())
    assert len(document["rules"]) == len(RULES)
