"""What came of each fault: one JSON file a fault and suite, and a summary by room."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks.planted_faults.fault import Fault

CODE = ("surefoot", "tests", "pyproject.toml")
Verdict = Literal["caught", "survived", "invalid", "timed out"]
VERDICTS: tuple[Verdict, ...] = ("caught", "survived", "invalid", "timed out")


class Result(NamedTuple):
    """What came of a fault."""

    fault: str
    verdict: Verdict
    test: str | None
    """Node id of the test that failed first."""
    message: str | None
    """What it said, one line."""
    seconds: float
    suite: str
    whole: bool
    """Whether all of the suite would have been run, not the fault's own tests alone."""
    confirmed: bool
    """Whether that test was seen to pass without the fault."""
    edit: str
    """A digest of the fault."""
    commit: str | None
    """The last one that changed what is run, marked "-dirty" if it was changed since."""


def digest(fault: Fault) -> str:
    """Another one where another edit is made, or other tests run first."""
    return hashlib.sha256(repr(tuple(fault)).encode()).hexdigest()[:16]


def code_version(checkout: Path) -> str | None:
    """`Result.commit` of a checkout; `None` if it is none."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments, "--", *CODE]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    try:
        dirty = "-dirty" if git("status", "--porcelain") else ""
        return git("log", "-1", "--format=%H") + dirty
    except (OSError, subprocess.CalledProcessError):
        return None


def path_of(folder: Path, suite: str, name: str) -> Path:
    """Where a fault's result lies."""
    return folder / suite / f"{name}.json"


def write(folder: Path, result: Result) -> None:
    """Write a result, whole or not at all."""
    path = path_of(folder, result.suite, result.fault)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result._asdict(), indent=1, ensure_ascii=False) + "\n")
    os.replace(part, path)


def read(path: Path) -> Result | None:
    """The result in a file; `None` where there is none, or a damaged one."""
    try:
        told: dict[str, Any] = json.loads(path.read_text())
        return Result(**told)
    except (OSError, ValueError, TypeError):
        return None


def known(
    folder: Path, fault: Fault, commit: str | None, *, suite: str, whole: bool
) -> Result | None:
    """The fault's result, if it is of the same edit and commit, and says what is asked: that a test
    of its own caught it is an answer for all of the suite, that none did is not."""
    result = read(path_of(folder, suite, fault.name))
    if result is None or commit is None or commit.endswith("-dirty"):
        return None
    if (result.edit, result.commit) != (digest(fault), commit):
        return None
    return result if result.verdict == "caught" or result.whole or not whole else None


def line(result: Result) -> str:
    """A result in a line."""
    word = "by" if result.verdict == "caught" else "at"
    where = f" {word} {result.test}" if result.test else ""
    said = f" ({result.message})" if result.message and result.verdict != "caught" else ""
    return f"{result.fault}: {result.verdict}{where}{said}, {result.seconds:.0f} s"


def summary(rooms: Mapping[str, Sequence[Fault]], results: Mapping[str, Result]) -> str:
    """A line a room with the number of each verdict, and the names of what was not caught."""
    lines = [f"{'room':<12}{''.join(f'{verdict:>12}' for verdict in VERDICTS)}"]
    total: collections.Counter[str] = collections.Counter()
    for room, faults in rooms.items():
        of_room = [results[one.name].verdict for one in faults if one.name in results]
        counts = collections.Counter(of_room)
        total += counts
        if of_room:
            lines.append(f"{room:<12}{''.join(f'{counts[x]:>12}' for x in VERDICTS)}")
    lines.append(f"{'all':<12}{''.join(f'{total[x]:>12}' for x in VERDICTS)}")
    missed = [result for result in results.values() if result.verdict != "caught"]
    return "\n".join([*lines, *(f"  {line(result)}" for result in missed)])
