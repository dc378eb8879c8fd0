"""`compare`: the golden files of two checkouts, number by number.

Numbers are equal if they have the same bits; what is not a number equals itself. Runs that HEAD
resumed from BASE's are also compared with those that BASE did not interrupt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import surefoot as sf
from benchmarks.golden.inside.cases import GROUPS
from benchmarks.golden.making import ABOUT

#: Of a resumed run: what an uninterrupted one has, too.
_SHARED = ("config", "rows", "agent")


class Comparison(NamedTuple):
    """What came of it."""

    lines: list[str]
    """For a reader."""
    equal: bool


class Difference(NamedTuple):
    """Something that is not the same in two files."""

    key: str
    base: Any
    head: Any

    def relative(self) -> float:
        """Of two numbers, over the larger one; infinite for anything else."""
        one, other = self.base, self.head
        both = isinstance(one, int | float) and isinstance(other, int | float)
        if not both or isinstance(one, bool) or isinstance(other, bool):
            return math.inf
        largest = max(abs(one), abs(other))
        apart = abs(one - other) / largest if largest else 0.0
        return math.inf if math.isnan(apart) else apart


def compare(base: Path, head: Path) -> Comparison:
    """Compare two folders that `make` wrote. Raises `UsageError` where one is none, or where what
    is in it was not made of the other."""
    ours, theirs = _about(base), _about(head)
    lines = [
        f"made with another {key}: {base} with {ours[key]}, {head} with {theirs[key]}"
        for key in ("cases", "machine")
        if ours[key] != theirs[key]
    ]
    equal = True
    for group in GROUPS:
        there = {path.name for top in (base, head) for path in (top / group).glob("*.json")}
        if not there:
            lines.append(f"{group}: made in neither")
            continue
        names = sorted(there | {f"{name}.json" for name in GROUPS[group]})
        found = [
            (name, _compared(base / group / name, head / group / name, *_aside(group, base, name)))
            for name in names
        ]
        different = [f"  {group}/{name}: {text}" for name, text in found if text is not None]
        lines.append(f"{group}: {len(names)} files, {len(names) - len(different)} equal")
        lines += different
        equal = equal and not different
    return Comparison(lines, equal)


def _about(folder: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((folder / ABOUT).read_text())
        return told
    except (OSError, ValueError):
        raise sf.UsageError(
            f"{folder} has no {ABOUT}; accepted is a folder that 'make' wrote"
        ) from None


def _aside(group: str, base: Path, name: str) -> tuple[Path, ...]:
    """The run without an interruption, of a resumed one."""
    return (base / "stopped" / name,) if group == "resumed" else ()


def _compared(base: Path, head: Path, whole: Path | None = None) -> str | None:
    """How two files differ, if they do."""
    for path in (base, head, *[whole] * (whole is not None)):
        if not path.exists():
            return f"there is no {path}"
    ours, theirs = _read(base), _read(head)
    if ours.get("resumed_from") != theirs.get("resumed_from"):
        raise sf.UsageError(
            f"{head} is not of the stopped runs in {base.parents[1]}: remove {head.parent}, and "
            f"make it with --after {base.parents[1]}"
        )
    if text := _said([*differences(ours, theirs)]):
        return text
    if whole is not None:
        expected = _read(whole)
        resumed = {key: theirs[key] for key in _SHARED}
        if text := _said([*differences({key: expected[key] for key in _SHARED}, resumed)]):
            return f"other than the run that was not interrupted: {text}"
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(path.read_text())
        return told
    except ValueError as error:
        raise sf.UsageError(f"{path} is not what 'make' wrote: {error}") from None


def _said(found: list[Difference]) -> str | None:
    if not found:
        return None
    first = found[0]
    numbers = [x for x in map(Difference.relative, found) if math.isfinite(x)]
    largest = f"; largest relative difference {max(numbers):.2g}" if numbers else ""
    values = f"{_short(first.base)} and {_short(first.head)}"
    return f"{len(found)} differ, first {first.key}: {values}{largest}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def differences(base: Any, head: Any, key: str = "") -> Iterator[Difference]:
    """Where two contents of JSON files differ, in the order of the first."""
    match base, head:
        case dict(), dict():
            for name in [*base, *(name for name in head if name not in base)]:
                here = f"{key}.{name}" if key else name
                if name in base and name in head:
                    yield from differences(base[name], head[name], here)
                else:
                    yield Difference(here, base.get(name, "nothing"), head.get(name, "nothing"))
        case list(), list():
            if len(base) != len(head):
                yield Difference(f"{key}.length", len(base), len(head))
            for place, (one, other) in enumerate(zip(base, head, strict=False)):
                yield from differences(one, other, f"{key}[{place}]")
        case _:
            # As text, -0 differs from 0 and 1 from 1.0, and what is not a number equals itself.
            if json.dumps(base) != json.dumps(head):
                yield Difference(key, base, head)
