"""Values that are cheap to build are frozen all the same."""

from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from ostiary.core.entry import Entry, Family, Kind
from ostiary.core.ids import Randomness, new_id
from ostiary.core.quick import quick


@quick
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x must not be negative")


def test_a_quick_value_is_of_its_own_class_and_frozen() -> None:
    point = Point(1)
    assert type(point) is Point
    with pytest.raises(FrozenInstanceError):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x


def test_it_compares_prints_and_is_replaced_like_any_dataclass() -> None:
    assert Point(1, 3) == replace(Point(1), y=3) != Point(1)
    assert repr(Point(1)) == "Point(x=1, y=2, tags=[])"
    assert Point(1).tags is not Point(1).tags
    with pytest.raises(ValueError, match="negative"):
        Point(-1)
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_fields_that_are_no_plain_arguments_are_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Odd:
        x: int = field(init=False, default=1)

    with pytest.raises(TypeError, match="Odd"):
        quick(Odd)


def test_an_entry_cannot_be_changed_after_it_was_made() -> None:
    """R-L2: what is recorded is what was handed over."""
    entry = Entry(new_id(), Family.ACTION, Kind.INTENT, 1, action="payments/pay")
    with pytest.raises(FrozenInstanceError):
        entry.action = "payments/list"  # type: ignore[misc]


def test_no_two_takes_of_randomness_are_alike() -> None:
    take = Randomness(10).take
    taken = [take() for _ in range(2_000)]
    assert len(set(taken)) == len(taken)
    assert {len(each) for each in taken} == {10}
