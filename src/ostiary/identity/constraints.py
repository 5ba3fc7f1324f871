"""What a scope says of a tool's arguments: `?to=*@corp.example&amount=..1000`, compared and intersected as sets of values (R-B1).

Each argument that is named must be there and fit; others are free. `..1000`, `10..` and `10..20` are numbers, ends included;
anything else is text, `*` standing for any characters but control characters and those that divide a list (`,` `;` `<` `>` `|`), and never
for a step up a path (`..`), percent-encoded neither. `to.account` is a member of an object. Of an array every item must fit, and there must be one. Text never
fits a number, nor a number text; no boolean, object or null fits anything.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import product
from typing import Any, Final
from urllib.parse import quote, unquote, unquote_to_bytes

from ostiary.core.errors import InvalidAction
from ostiary.identity.patterns import MAX_COMMON, STARS, fits, meet

MAX_CONSTRAINTS: Final = 8
MAX_TEXT: Final = 256
MAX_STARRED: Final = 64
MAX_STARS: Final = 2
MAX_PARTS: Final = 8
MAX_SPELLED: Final = 512
MAX_VALUE: Final = 2_048
"""Characters of a value that a `*` is tried on; longer ones do not fit."""
MAX_ITEMS: Final = 1_000
"""Items of arrays that are looked at in one argument; more are refused."""
BARRED: Final = frozenset(chr(code) for code in (*range(32), *range(127, 160), 0x2028, 0x2029)) | frozenset(",;<>|")
_RANGE = re.compile(r"(-?\d{1,18}(?:\.\d{1,9})?)?\.\.(-?\d{1,18}(?:\.\d{1,9})?)?\Z", re.ASCII)
_UP = re.compile(r"(?:\A|[/\\])\.\.(?:[/\\]|\Z)")
_PLAIN = frozenset({str, int, float})
_DIVIDES = re.compile(f"[{re.escape(''.join(sorted(BARRED)))}]")
MAX_UNQUOTED: Final = 4
"""How often a value is percent-decoded to find a step up; one that has more to decode does not fit."""
_PERCENT = re.compile(r"%(?![0-9A-F]{2})")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; None is without end."""

    low: Decimal | None
    high: Decimal | None

    def holds(self, value: Decimal) -> bool:
        """Say whether a number is among them."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def contains(self, other: "Range") -> bool:
        """Say whether every number of `other` is among them."""
        low = self.low is None or (other.low is not None and other.low >= self.low)
        return low and (self.high is None or (other.high is not None and other.high <= self.high))

    def meet(self, other: "Range") -> "Range | None":
        """Return the numbers both have; None for none."""
        low = max((each for each in (self.low, other.low) if each is not None), default=None)
        high = min((each for each in (self.high, other.high) if each is not None), default=None)
        return None if low is not None and high is not None and low > high else Range(low, high)

    def __str__(self) -> str:
        return f"{_digits(self.low)}..{_digits(self.high)}"


Wanted = Range | str
"""What one argument may be: numbers, or text with `*`."""
Constraints = Mapping[tuple[str, ...], Wanted]
"""By the path of the argument."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Constraints:
    """Return the constraints that stand after `?` in a scope. Raises InvalidAction."""
    found: dict[tuple[str, ...], Wanted] = {}
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        path = tuple(_decoded(part) for part in name.split("."))
        if not equals or not all(path) or len(path) > MAX_PARTS or "*" in name:
            raise InvalidAction(f"`{pair[:64]}` is not `argument=value`")
        if path in found:
            raise InvalidAction(f"argument `{name[:64]}` stands twice")
        found[path] = _wanted(value)
    if len(found) > MAX_CONSTRAINTS:
        raise InvalidAction(f"a scope says something of at most {MAX_CONSTRAINTS} arguments")
    return found


def spelled(constraints: Constraints) -> str:
    """Return constraints in their one spelling."""
    pairs = sorted((".".join(_encoded(part) for part in path), wanted) for path, wanted in constraints.items())
    return "&".join(f"{name}={_spelled(wanted)}" for name, wanted in pairs)


def unmet(constraints: Constraints, arguments: Mapping[str, Any]) -> str:
    """Return the first argument that is not as the scope says; empty when all are."""
    for path, wanted in constraints.items():
        value = arguments.get(path[0])
        is_plain = len(path) == 1 and type(value) in _PLAIN
        if not (_fits(wanted, value) if is_plain else _holds(wanted, list(_at(arguments, path)))):
            return ".".join(path)
    return ""


def exactly(constraints: Constraints, arguments: Mapping[str, Any]) -> str:
    """Return the spelling of just the values that an action has where `constraints` say something; empty when one cannot be spelled."""
    found: dict[tuple[str, ...], Wanted] = {}
    for path in constraints:
        for value in _at(arguments, path):
            wanted = _only(value)
            if wanted is None or found.setdefault(path, wanted) != wanted:
                return ""
    text = spelled(found)
    try:
        return text if parse(text) == found and len(text) <= MAX_SPELLED else ""
    except InvalidAction:
        return ""


def _only(value: Any) -> Wanted | None:
    if isinstance(value, str):
        return value if value and "*" not in value and len(value) <= MAX_TEXT else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    return Range(number, number) if number.is_finite() else None


def contains(wide: Constraints, narrow: Constraints) -> bool:
    """Say whether all arguments that fit `narrow` fit `wide`."""
    return all(path in narrow and _covers(wanted, narrow[path]) for path, wanted in wide.items())


def common(one: Constraints, other: Constraints) -> list[Constraints]:
    """Return constraints that together fit exactly what fits both. Raises InvalidAction when they are too many."""
    paths = list(one.keys() | other.keys())
    if len(paths) > MAX_CONSTRAINTS:
        raise InvalidAction(f"together the scopes say something of more than {MAX_CONSTRAINTS} arguments")
    choices = [_both(one[path], other[path]) if path in one and path in other else [one.get(path) or other[path]] for path in paths]
    count = 1
    for each in choices:
        count *= len(each)
    if count > MAX_COMMON:
        raise InvalidAction("two scopes overlap in too many ways", remedy="ask for a narrower scope, with fewer `*`")
    return [dict(zip(paths, chosen, strict=True)) for chosen in product(*choices)]


def _wanted(value: str) -> Wanted:
    bounds = _RANGE.match(value)
    if bounds is not None:
        low, high = (None if end is None else Decimal(end) for end in bounds.groups())
        if low is None and high is None:
            raise InvalidAction("a range needs a number, as `..1000` or `10..`")
        if low is not None and high is not None and low > high:
            raise InvalidAction(f"no number is in the range `{value}`")
        return Range(low, high)
    text = STARS.sub("*", _decoded(value))
    if not text or len(text) > (MAX_STARRED if "*" in text else MAX_TEXT) or text.count("*") > MAX_STARS:
        raise InvalidAction(
            f"`{value[:64]}` must be text of at most {MAX_TEXT} characters, or {MAX_STARRED} with at most {MAX_STARS} `*`; or a range"
        )
    return text


def _decoded(text: str) -> str:
    if _PERCENT.search(text) or "%2A" in text:
        raise InvalidAction(f"`{text[:64]}` is not encoded as %XX, in capitals, or spells a `*`, which cannot be asked for")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidAction(f"`{text[:64]}` is not UTF-8") from None


def _encoded(part: str) -> str:
    return quote(part, safe="-_~@:").replace(".", "%2E")


def _spelled(wanted: Wanted) -> str:
    if isinstance(wanted, Range):
        return str(wanted)
    text = quote(wanted, safe="-_~@:*./,;!$'()")
    return text.replace(".", "%2E") if _RANGE.match(text) else text


def _digits(value: Decimal | None) -> str:
    if value is None:
        return ""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield what stands at a path, items of arrays one by one; something that fits nothing where there is nothing."""
    if isinstance(value, list | tuple):
        if not value:
            yield None
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])
    else:
        yield None


def _holds(wanted: Wanted, values: list[Any]) -> bool:
    return 0 < len(values) <= MAX_ITEMS and all(_fits(wanted, value) for value in values)


def _fits(wanted: Wanted, value: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(value, str) and _text_fits(wanted, value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return False
    number = Decimal(str(value))
    return number.is_finite() and wanted.holds(number)


def _text_fits(pattern: str, value: str) -> bool:
    if "*" not in pattern:
        return value == pattern
    if len(value) > MAX_VALUE:
        return False
    start, _, rest = pattern.partition("*")
    if "*" in rest:
        return fits(pattern, value, BARRED) and not _steps_up(value)
    taken = value[len(start) : len(value) - len(rest)]
    is_around = len(value) >= len(start) + len(rest) and value.startswith(start) and value.endswith(rest)
    return is_around and _DIVIDES.search(taken) is None and not _steps_up(value)


def _steps_up(value: str) -> bool:
    """Say whether a path would step up for some reader: as it stands, or once it is percent-decoded, as addresses are."""
    for _ in range(MAX_UNQUOTED):
        if _UP.search(value) is not None:
            return True
        plain = unquote(value) if "%" in value else value
        if plain == value:
            return False
        value = plain
    return True


def _covers(wide: Wanted, narrow: Wanted) -> bool:
    if isinstance(wide, Range) or isinstance(narrow, Range):
        return isinstance(wide, Range) and isinstance(narrow, Range) and wide.contains(narrow)
    return _text_fits(wide, narrow) if "*" not in narrow else fits(wide, narrow, BARRED)


def _both(one: Wanted, other: Wanted) -> list[Wanted]:
    if isinstance(one, Range) or isinstance(other, Range):
        found = one.meet(other) if isinstance(one, Range) and isinstance(other, Range) else None
        return [] if found is None else [found]
    both = sorted(meet(one, other, BARRED))
    return [each for each in both if "*" in each or (_text_fits(one, each) and _text_fits(other, each))]
