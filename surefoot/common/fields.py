"""Fields of plain dataclasses that say what they accept.

A field says what it accepts in its metadata, `validate` checks a whole dataclass, and a mistake is
one line that names the value, what is accepted, and the fix. Nothing here imports JAX.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import typing
from typing import Any, Literal

from surefoot.common.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Interval:
    """The numbers that a field accepts."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    integer: bool = False

    def __contains__(self, value: Any) -> bool:
        kind: Any = numbers.Integral if self.integer else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            return False
        if not self.integer and not math.isfinite(_as_float(value)):
            return False
        above: bool = value > self.low if self.open_low else value >= self.low
        return above and value <= self.high

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a finite number"
        digits = ",.0f" if self.integer else "g"
        bounds = []
        if self.low > -math.inf:
            bounds.append(f"{'>' if self.open_low else '>='} {self.low:{digits}}")
        if self.high < math.inf:
            bounds.append(f"<= {self.high:{digits}}")
        return f"{kind} {' and '.join(bounds)}".strip()


def _as_float(value: Any) -> float:
    """The number as a float; infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def positive(default: float) -> Any:
    """A field that takes any finite number above 0."""
    return _field(default, Interval(0.0, open_low=True))


def nonnegative(default: float) -> Any:
    """A field that takes 0 or any finite number above."""
    return _field(default, Interval(0.0))


def fraction(default: float, *, zero: bool = True) -> Any:
    """A field that takes a number in [0, 1], or in (0, 1]."""
    return _field(default, Interval(0.0, 1.0, open_low=not zero))


def at_least(low: int, default: int, *, high: float = math.inf) -> Any:
    """A field that takes an integer from `low` up, to `high` if given."""
    return _field(default, Interval(low, high, integer=True))


def number(default: float, low: float, high: float) -> Any:
    """A field that takes a number between two bounds."""
    return _field(default, Interval(low, high))


def _field(default: Any, accepts: Interval) -> Any:
    return dataclasses.field(default=default, metadata={"accepts": accepts})


def validate(config: Any) -> None:
    """Raise `UsageError` for the first field whose value is not accepted. What is accepted is then
    a plain value, whatever it came as."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = given = getattr(config, field.name)
        if "as_json" not in field.metadata:
            value = plain(given)
        hint = hints[field.name]
        if typing.get_origin(hint) is tuple and isinstance(value, list):
            value = tuple(value)
        accepts = field.metadata.get("accepts")
        if accepts is not None and value not in accepts:
            raise UsageError(f"{field.name} is {value!r}; accepted is {accepts}")
        if accepts is not None and not isinstance(value, int | float):
            value = int(value) if accepts.integer else float(value)
        if value is not given:
            object.__setattr__(config, field.name, value)
        if typing.get_origin(hint) is Literal and value not in typing.get_args(hint):
            choices = ", ".join(map(repr, typing.get_args(hint)))
            raise UsageError(f"{field.name} is {value!r}; accepted are {choices}")
        if hint is bool and not isinstance(value, bool):
            raise UsageError(f"{field.name} is {value!r}; accepted are True and False")
        if hint is str and isinstance(value, os.PathLike):
            object.__setattr__(config, field.name, os.fspath(value))
        elif hint is str and not isinstance(value, str):
            raise UsageError(
                f"{field.name} is a {type(value).__name__}; accepted is a path or text"
            )


def plain(value: Any) -> Any:
    """The value as JSON can have it: scalars of NumPy or JAX as Python's own, and their arrays as
    lists, inside of lists, tuples and dicts, too. Anything else is returned as it is."""
    match value:
        case dict():
            return {key: plain(part) for key, part in value.items()}
        case list():
            return [plain(part) for part in value]
        case tuple():
            return tuple(plain(part) for part in value)
        case _ if hasattr(value, "dtype") and hasattr(value, "tolist"):
            return value.tolist()
        case _:
            return value


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise `UsageError` where a field lies outside the bounds that two others give it."""
    if not low <= value <= high:
        raise UsageError(
            f"{name} is {value:g}; accepted is a number from min_{name} to max_{name}, here "
            f"{low:g} to {high:g}"
        )
