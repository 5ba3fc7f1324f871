"""Makes frozen values cheap to build: what a dataclass spends on being frozen, it spends in its own constructor, at every field."""

from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quick(cls: type[T]) -> type[T]:
    """Give a `@dataclass(frozen=True, slots=True)` a constructor that fills a mutable twin and freezes it at the end.

    The value is of its own class, and frozen, before anybody else sees it. Raises TypeError for fields that are not
    plain constructor arguments.
    """
    found = fields(cls)  # type: ignore[arg-type]
    if any(not field.init or field.kw_only for field in found):
        raise TypeError(f"`{cls.__name__}` has fields that are no plain arguments")
    names = [field.name for field in found]
    twin = type(f"{cls.__name__}InTheMaking", (), {"__slots__": tuple(names)})
    known: dict[str, Any] = {"_set": object.__setattr__, "_twin": twin, "_cls": cls, "_MISSING": MISSING}
    arguments = ", ".join(_argument(field, known) for field in found)
    lines = [f"def __init__(self, {arguments}) -> None:", "    _set(self, '__class__', _twin)"]
    lines += [f"    self.{field.name} = {_value(field)}" for field in found]
    lines.append("    self.__class__ = _cls")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    exec("\n".join(lines), known)  # noqa: S102 - made of field names alone, as dataclasses does it
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = getattr(cls, "__init__").__annotations__  # noqa: B009 - mypy does not let a class's be read
    setattr(cls, "__init__", made)  # noqa: B010
    return cls


def _argument(field: "Field[Any]", known: dict[str, Any]) -> str:
    if field.default is not MISSING:
        known[f"_default_{field.name}"] = field.default
        return f"{field.name}=_default_{field.name}"
    if field.default_factory is not MISSING:
        known[f"_factory_{field.name}"] = field.default_factory
        return f"{field.name}=_MISSING"
    return field.name


def _value(field: "Field[Any]") -> str:
    if field.default_factory is MISSING:
        return field.name
    return f"_factory_{field.name}() if {field.name} is _MISSING else {field.name}"
