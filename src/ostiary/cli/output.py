"""What commands print: data to standard output, talk to standard error, colour and progress only on a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ostiary.core.errors import InvalidConfig
from ostiary.core.inert import INERT, inert_json


@dataclass(frozen=True)
class Output:
    """How a command prints.

    Parameters
    ----------
    json:
        One JSON object, or one a line for lists.
    field:
        Only this field of each object, for scripts: `id=$(ostiary approval list --field id)`.
    """

    json: bool = False
    field: str = ""

    def __post_init__(self) -> None:
        """One field is one of those that JSON would show."""
        if self.field:
            object.__setattr__(self, "json", True)

    def one(self, value: Any) -> None:
        """Print one object: its fields, a line each."""
        if self.json:
            self._object(value)
        elif isinstance(value, Mapping):
            width = max(map(len, value), default=0)
            for key, item in value.items():
                # A line break in a value must not look like a field of ours.
                _write(f"{key.ljust(width)}  {shown(item)}".replace("\n", "\n" + " " * (width + 2)))
        else:
            _write(shown(value))

    def many(self, items: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str = "") -> int:
        """Print a list: a table on a terminal, tabs elsewhere; `empty` says what to do when there is nothing."""
        if self.json:
            return _count(items, self._object)
        rows = [[shown(item.get(column)) for column in columns] for item in items]
        if not rows and empty:
            say(empty)
        if not sys.stdout.isatty():
            return _count(rows, lambda row: _write("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row)))
        if rows:
            _table(columns, rows)
        return len(rows)

    def done(self, sentence: str, value: Any = None) -> None:
        """Say that something was done; as JSON, print its result."""
        if self.json:
            self._object(value if value is not None else {"done": True})
        else:
            say(sentence)

    def _object(self, value: Any) -> None:
        if not self.field:
            _write(inert_json(value))
            return
        if not isinstance(value, Mapping) or self.field not in value:
            there = ", ".join(value) if isinstance(value, Mapping) else "none"
            raise InvalidConfig(f"there is no field `{self.field}`", remedy=f"name one of these: {there}")
        found = value[self.field]
        _write(found.translate(INERT) if isinstance(found, str) else inert_json(found))


def say(text: str) -> None:
    """Talk to the person at the terminal."""
    sys.stderr.write(text.translate(INERT) + "\n")


def shown(value: Any) -> str:
    """Return a value as people read it, with nothing in it that a terminal would obey."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value)
    if isinstance(value, Mapping):
        return inert_json(value)
    return str(value).translate(INERT)


def moment(seconds: float | None) -> str:
    """Return a time as people read it, in their own zone."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal while something long runs; call the yielded function with how much of how much is done."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _count(items: Iterable[Any], each: Callable[[Any], None]) -> int:
    number = 0
    for item in items:
        each(item)
        number += 1
    return number


MARGIN, GAP = 2, 3
"""Characters that a table takes beside its cells: in all, and between two columns."""
FOLDED = 20
"""Characters that a long word may be folded at in a table; never what names the row, which people copy."""


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Say whether a table can be this wide: what names a row on one line, words whole or folded at `FOLDED`."""
    names, *cells = [max(len(word) for text in column for word in (text.split() or [""])) for column in zip(columns, *rows, strict=True)]
    return names + sum(GAP + min(FOLDED, cell) for cell in cells) + MARGIN <= width


def _stacked(columns: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> None:
    """Print a list that is wider than the terminal: what each row has, one after the other, under its first cell."""
    import textwrap

    for first, *rest in rows:
        has = [f"{column.replace('_', ' ')} {cell}" for column, cell in zip(columns[1:], rest, strict=True) if cell != "-"]
        _write(first)
        for line in textwrap.wrap(", ".join(has), max(20, width - 2), break_long_words=False, break_on_hyphens=False):
            _write("  " + line)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not _fits(columns, rows, console.width):
        _stacked(columns, rows, console.width)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=at == 0)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
