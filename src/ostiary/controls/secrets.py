"""Secrets in text: rules in gitleaks' format with its entropy, keywords and allow lists; raises the class `secret`."""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from ostiary.controls.pattern import Confirm, Pattern
from ostiary.core.errors import InvalidConfig

KIND = "secret"
_FLAG_GROUP = re.compile(r"(?<!\\)\(\?([imsU]*)(-[imsU]+)?\)")
_POSIX = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
    "space": r"\s",
}
_ASSIGNED = r"[ \t\w.-]{{0,20}}['\"\\\s]{{0,4}}(?:=|>|:{{1,3}}=|\|\||:|=>|\?=|,|%3D)\x1e?[`'\"\\\s=]{{0,6}}"
_NEAR = rf"(?i:{{near}}{_ASSIGNED})({{value}})(?![\w/+=%-]|\.\w)"
_NEAR_COARSE = rf"{{near}}{_ASSIGNED}[\w/+=.%:-]{{{{10}}}}"


@cache
def shipped() -> tuple[Pattern, ...]:
    """Return the rules that come with the package."""
    return rules(tomllib.loads(resources.files("ostiary.controls").joinpath("data/secrets.toml").read_text()))


def load(path: Path) -> tuple[Pattern, ...]:
    """Return the rules of a gitleaks configuration file. Raises InvalidConfig naming the rule that cannot be used."""
    try:
        return rules(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfig(f"secret rules `{path}` cannot be read: {error}") from error


def rules(document: Mapping[str, Any]) -> tuple[Pattern, ...]:
    """Return the patterns of a gitleaks document. Rules without a regex (they look at paths only) are not for us."""
    general = _allowances([document.get("allowlist", {}), *document.get("allowlists", ())])
    return tuple(_pattern(rule, general) for rule in document.get("rules", ()) if "regex" in rule or "near" in rule)


def entropy(text: str) -> float:
    """Return the Shannon entropy of `text` in bits a character."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values()) if size else 0.0


def changes(text: str) -> int:
    """Return how often digits begin or end in `text`: in a word, or a word with a number behind it, at most once."""
    return sum(one.isdigit() != two.isdigit() for one, two in pairwise(text))


def translate(expression: str) -> str:
    """Return a Go (RE2) expression as Python reads it: flags in mid-pattern become groups, POSIX classes their like."""
    text = re.sub(r"\[:(\w+):\]", lambda match: _POSIX[match[1]], expression).replace(r"\z", r"\Z")
    out: list[str] = []
    opened: list[tuple[int, str]] = []
    depth = at = 0
    while at < len(text):
        char, flags = text[at], _FLAG_GROUP.match(text, at)
        if char in {"\\", "["}:
            end = at + 2 if char == "\\" else _class_end(text, at)
            out.append(text[at:end] if char == "\\" else "[" + re.sub(r"(?<!\\)\[", r"\\[", text[at + 1 : end]))
            at = end
            continue
        if flags and flags.end() > at + 3:
            opened.append((depth, f"(?{flags[1]}{flags[2] or ''}:".replace("U", "")))
            out.append(opened[-1][1])
            at = flags.end()
            continue
        here = [group for level, group in opened if level == depth]
        if char == "|" and here:
            # the flags hold in the next branch too, a group would end with this one
            char = ")" * len(here) + "|" + "".join(here)
        elif char == ")":
            char = ")" * len(here) + ")"
            opened = [(level, group) for level, group in opened if level != depth]
            depth -= 1
        depth += char == "("
        out.append(char)
        at += 1
    return "".join(out) + ")" * len(opened)


def _class_end(text: str, start: int) -> int:
    at = start + (2 if text.startswith("[^", start) else 1)
    at += text.startswith("]", at)
    while at < len(text) and text[at] != "]":
        at += 2 if text[at] == "\\" else 1
    return at + 1


def _pattern(rule: Mapping[str, Any], general: Sequence[re.Pattern[str]]) -> Pattern:
    name = str(rule.get("id", "?"))
    try:
        if "near" in rule:
            source, coarse = _NEAR.format(**rule), list(rule.get("coarse", ())) or [_NEAR_COARSE.format(**rule)]
        else:
            source = translate(rule["regex"])
            coarse = list(rule.get("coarse", ())) or [re.escape(word).replace(r"\ ", " ") for word in rule["keywords"]]
        lists = [rule["allowlist"]] if "allowlist" in rule else rule.get("allowlists", [])
        least, mixed = float(rule.get("entropy", 0)), int(rule.get("changes", 0))
        confirm = _confirmer(least, mixed, [*general, *_allowances(lists)])
        back, reach, group = int(rule.get("back", 128)), int(rule.get("reach", 320)), int(rule.get("secretGroup", 0)) or None
        return Pattern(name, KIND, coarse, re.compile(source, re.ASCII), confirm, back, reach, group)
    except (re.error, KeyError, TypeError, ValueError) as error:
        raise InvalidConfig(f"secret rule `{name}` cannot be used: {error}") from error


def _allowances(lists: Sequence[Mapping[str, Any]]) -> list[re.Pattern[str]]:
    """Return what makes a find harmless. Lists that also demand a path or commit never apply to a message."""
    found: list[re.Pattern[str]] = []
    for item in lists:
        if str(item.get("condition", "OR")).upper() in {"AND", "&&"} and (item.get("paths") or item.get("commits")):
            continue
        if item.get("regexTarget", "secret") not in {"secret", ""}:
            continue
        found += [re.compile(translate(source), re.ASCII) for source in item.get("regexes", ())]
        if words := item.get("stopwords"):
            found.append(re.compile("|".join(map(re.escape, words)), re.IGNORECASE))
    return found


def _confirmer(least: float, mixed: int, allowed: Sequence[re.Pattern[str]]) -> Confirm:
    def confirm(match: re.Match[str], group: int) -> bool:
        value = match[group]
        if least and entropy(value) < least:
            return False
        if mixed and changes(value) < mixed:
            return False
        return not any(pattern.search(value) for pattern in allowed)

    return confirm
