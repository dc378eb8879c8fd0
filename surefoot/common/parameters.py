"""Parameters of public functions, as plain values: each function returns what is meant, or raises
`UsageError` in one line. Nothing here imports JAX."""

from __future__ import annotations

import math
import operator
from pathlib import Path
from typing import Any

from surefoot.common.errors import UsageError, in_short
from surefoot.common.fields import Interval

#: The seeds of what is played: as many as fit a key's 32 bits.
MAX_SEED = 2**32 - 1


def check_integer(name: str, value: Any, low: int, high: float = math.inf) -> int:
    """A Python integer from `low` to `high`, from Python's, NumPy's or JAX's."""
    accepted = Interval(low, high, integer=True)
    try:
        plain = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        plain = None
    if plain is None or plain not in accepted:
        raise UsageError(f"{name} is {in_short(value)}; accepted is {accepted}")
    return plain


def check_number(name: str, value: Any, accepted: Interval) -> float:
    """A Python number of the interval, from Python's, NumPy's or JAX's."""
    kind = str(getattr(value, "dtype", type(value).__name__))
    try:
        plain = float(value) if kind.startswith(("int", "uint", "float", "bfloat")) else None
    except (TypeError, ValueError, OverflowError):
        plain = None
    if plain is None or plain not in accepted:
        raise UsageError(f"{name} is {in_short(value)}; accepted is {accepted}")
    return plain


def check_seed(value: Any, name: str = "seed") -> int:
    """The seed of what is played."""
    return check_integer(name, value, 0, MAX_SEED)


def check_flag(name: str, value: Any) -> bool:
    """True or False, NumPy's and JAX's scalars included."""
    if not isinstance(value, bool) and str(getattr(value, "dtype", "")) != "bool":
        raise UsageError(f"{name} is {in_short(value)}; accepted are True and False")
    if getattr(value, "shape", ()) != ():
        raise UsageError(
            f"{name} has the shape {value.shape}; accepted is one truth for all: True or False"
        )
    return bool(value)


def check_path(name: str, value: Any) -> Path:
    """A path, from text or a path."""
    try:
        path = Path(value)
    except TypeError:
        raise UsageError(f"{name} is {in_short(value)}; accepted is a path or text") from None
    if "\0" in str(path):
        raise UsageError(
            f"{name} is {in_short(value)}; accepted is a path without a null character"
        )
    try:
        path.is_file()
    except OSError as error:
        raise UsageError(f"{name} is {in_short(value)}: {error.strerror}; pass another") from None
    return path


def check_callable(name: str, value: Any, purpose: str) -> None:
    """Raise `UsageError` unless the value can be called; `purpose` says what it is called for."""
    if not callable(value):
        raise UsageError(f"{name} is {in_short(value)}; accepted is a function {purpose}")
