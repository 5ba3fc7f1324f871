"""What one look at a value finds: its texts, without what is hidden, and what stands in them. Changes nothing, so any thread may look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ostiary.controls import leaves, text_rules
from ostiary.controls.pattern import Span
from ostiary.core.quick import quick

NOTHING: frozenset[str] = frozenset()


@quick
@dataclass(frozen=True, slots=True)
class Seen:
    """A value as it was read, and as it may go on."""

    value: Any
    texts: list[str]
    """Before anything was taken out."""
    cleaned: Any
    """The value itself when nothing had to be taken out."""
    classes: frozenset[str]
    """What was taken out."""
    shown: list[str]
    """The texts of `cleaned`."""
    joined: str
    spans: list[Span]
    is_overfull: bool = False
    """True when more is hidden than will be taken out; then nothing else was looked for."""

    def __contains__(self, value: Any) -> bool:
        """Say whether this is what was read, or what it became: the same object, not one that is alike."""
        return value is self.value or value is self.cleaned


def look(value: Any, scan: Callable[[str], list[Span]]) -> Seen:
    """Look once. Raises InvalidAction, Unavailable."""
    texts = leaves.gather(value)
    cleaned, classes, shown = value, NOTHING, texts
    if text_rules.needs_cleaning(whole := "".join(texts)):
        if text_rules.is_overfull(whole):
            return Seen(value, texts, value, NOTHING, texts, "", [], is_overfull=True)
        cleaned, classes = clean(value)
        shown = leaves.gather(cleaned)
    joined = leaves.join(shown)
    return Seen(value, texts, cleaned, classes, shown, joined, scan(joined))


def clean(value: Any) -> tuple[Any, frozenset[str]]:
    """Return the value without what a person would not see, and the classes of what was taken out."""
    found: set[str] = set()

    def change(text: str) -> str:
        cleaned, classes = text_rules.clean(text)
        found.update(classes)
        return cleaned

    return leaves.rebuild(value, change), frozenset(found)
