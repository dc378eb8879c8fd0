"""JSON of a run's files, which may be damaged, half-written or of another hand: each function takes
what is of the kind that is meant, and says where there is none.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from surefoot.common.files.regular_file import open_to_read

#: What no configuration and no manifest is larger than, in bytes.
_LARGEST = 2**24
# Numbers that JSON has no other way to write.
_NOT_FINITE = ("nan", "inf", "-inf")


def row(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; `None` where it holds none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def document(path: Path) -> dict[str, Any]:
    """The JSON object of a file. Raises `OSError` where the file cannot be read, and `ValueError`
    where it holds none, or is larger than 16 MiB."""
    with open_to_read(path) as file:
        text = file.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise ValueError(f"{path.name} is larger than {_LARGEST:,} bytes")
    found = row(text)
    if found is None:
        raise ValueError(f"{path.name} holds no JSON object")
    return found


def number(value: Any) -> float | None:
    """The number that a field holds, as text where it is not finite; `None` where it holds none.
    Truth is 1, and an integer that no floating-point number is as large as is infinite."""
    if isinstance(value, str):
        return float(value) if value in _NOT_FINITE else None
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def finite(value: Any) -> float | None:
    """The same where it is finite, `None` otherwise."""
    found = number(value)
    return found if found is not None and math.isfinite(found) else None


def numbers(values: Any) -> list[float]:
    """The finite ones of a list; empty for what is no list."""
    found = map(finite, values if isinstance(values, list) else [])
    return [value for value in found if value is not None]


def integer(value: Any) -> int | None:
    """An integer, which truth is not; `None` for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def fields(value: Any) -> dict[str, Any]:
    """An object; empty for what is none."""
    return value if isinstance(value, dict) else {}
