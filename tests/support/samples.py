"""Strings that match an expression, drawn at random: how every secret rule is tried without listing secrets in the tree."""

import importlib
import random
import re
import string
from typing import Any

_parser: Any = importlib.import_module("re._parser")

_WORD = string.ascii_letters + string.digits + "_"
_ANY = string.ascii_letters + string.digits + "-_.+ "


def sample(pattern: re.Pattern[str], rng: random.Random) -> str:
    """Return a string that the whole of `pattern` can match, look-around aside."""
    return _tree(_parser.parse(pattern.pattern, pattern.flags), rng, {})


def _tree(tree: Any, rng: random.Random, groups: dict[int, str]) -> str:
    return "".join(_node(str(op), value, rng, groups) for op, value in tree)


def _node(op: str, value: Any, rng: random.Random, groups: dict[int, str]) -> str:
    match op:
        case "LITERAL":
            return chr(value)
        case "ANY":
            return rng.choice(_ANY)
        case "NOT_LITERAL":
            return rng.choice([char for char in _ANY if ord(char) != value])
        case "IN":
            return rng.choice(_class(value))
        case "BRANCH":
            return _tree(rng.choice(value[1]), rng, groups)
        case "SUBPATTERN" | "ATOMIC_GROUP":
            number, inner = (value[0], value[3]) if op == "SUBPATTERN" else (None, value)
            groups[number or 0] = text = _tree(inner, rng, groups)
            return text
        case "MAX_REPEAT" | "MIN_REPEAT":
            low, high, inner = value
            count = rng.randint(low, min(int(high), low + 3))
            return "".join(_tree(inner, rng, groups) for _ in range(count))
        case "GROUPREF":
            return groups[value]
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return ""
    raise NotImplementedError(op)


def _class(items: Any) -> list[str]:
    chars: set[str] = set()
    negated = False
    for op, value in items:
        match str(op):
            case "NEGATE":
                negated = True
            case "LITERAL":
                chars.add(chr(value))
            case "RANGE":
                chars.update(map(chr, range(value[0], value[1] + 1)))
            case "CATEGORY":
                chars.update(
                    {
                        "CATEGORY_DIGIT": string.digits,
                        "CATEGORY_WORD": _WORD,
                        "CATEGORY_SPACE": " ",
                        "CATEGORY_NOT_SPACE": _ANY.strip(),
                    }.get(str(value), _ANY)
                )
    return sorted(set(_ANY) - chars) if negated else sorted(chars)
