"""A run's folder as numbers.

Rows of `metrics.jsonl` are long and many, and most of what a comparison shows of them is a few
numbers: those are found by their keys, without parsing the row. A row that is laid out differently
is parsed, and one that is no row is counted and left out: a run that is being written ends in half
a line.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surefoot.errors import UsageError
from surefoot.reporting.finding import CONFIG
from surefoot.runs.budget import made_longer

#: Diagnostics that are read of every row.
TRACED = ("kl_mean", "entropy", "explained_variance")
#: Rows of which everything is read: more than a figure is wide.
DETAIL = 2000
#: What a row is scanned for, its episodes apart.
_SCANNED = ("steps", "refused", "critic_refused", "env_restarts", *TRACED)
#: Larger integers are not all floating-point numbers.
_LARGEST_COUNT = 2.0**53
#: Restarts of an iteration that are counted.
_MOST_RESTARTS = 1000
#: What a configuration is not larger than.
_LARGEST_CONFIG = 2**24


class Evaluations(NamedTuple):
    """Evaluations beside the training, one an entry."""

    steps: np.ndarray
    """Environment steps of training before it."""
    mean: np.ndarray
    """Mean return of its episodes."""
    std: np.ndarray
    """Their standard deviation."""


class Log(NamedTuple):
    """What a run's folder says."""

    folder: Path
    config: dict[str, Any]
    """`config.json`; method, environment, hyperparameters and setup are of the right kinds."""
    steps: np.ndarray
    """Environment steps after each iteration, [iterations]."""
    traced: dict[str, np.ndarray]
    """The diagnostics of `TRACED` that the run has, [iterations] each."""
    refused: np.ndarray
    """Steps at which an update was refused."""
    restarts: np.ndarray
    """Steps at which environments were restarted, once for each."""
    episode_steps: np.ndarray
    """Steps at which each episode ended; those of an iteration are spread over it evenly."""
    returns: np.ndarray
    """Each episode's return."""
    columns: dict[str, np.ndarray]
    """Every numeric diagnostic of the rows that were read in detail, `steps` among them; times
    begin with `timing.`, components of a list end in `.0`, `.1`, …; NaN where a row has none."""
    every: int
    """Of how many rows one was read in detail."""
    evaluations: Evaluations | None
    notes: tuple[str, ...]
    """What was left out of the files, and what else is to be known of the run."""
    budget: int | None
    """Environment steps at most, if its folder says so: more than its configuration has where the
    run was made longer."""
    critic_refused: np.ndarray
    """Steps at which the critic's fit was refused, its update's refusals among them."""

    @property
    def total(self) -> int:
        """Environment steps done."""
        return int(self.steps[-1]) if len(self.steps) else 0

    @property
    def planned(self) -> int | None:
        """Environment steps that the run was to have, if its folder says so."""
        planned, first = self.config.get("steps"), self.config["setup"].get("steps")
        if not isinstance(planned, int):
            return None
        if self.budget is None or self.budget == first or not len(self.steps):
            return planned
        # Lines that are lost make some differences larger.
        batch = int(np.median(np.diff(self.steps, prepend=0.0)))
        return max(planned, self.budget // max(batch, 1) * max(batch, 1))

    @property
    def made_longer(self) -> bool:
        """Whether it was to go on after the steps that its configuration has."""
        return self.budget is not None and self.budget != self.config["setup"].get("steps")

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.planned is None or self.total >= self.planned


def read(folder: Path, detail: int = DETAIL) -> Log:
    """The run in a folder, about `detail` of its rows in detail. Raises `UsageError` if it is no
    run's."""
    config = _read_config(folder / CONFIG)
    planned = config["setup"].get("steps")
    steps = made_longer(folder, planned) if isinstance(planned, int) else None
    path = folder / "metrics.jsonl"
    every = max(1, -(-_count_lines(path) // detail)) if detail else 0
    scan, details = _Scan(), []
    for number, line in enumerate(_lines(path)):
        if every and number % every == 0:
            row = _parse(line)
            if row is not None:
                details.append(row)
        scan.add(line)
    notes = []
    if scan.broken:
        which = "a line" if scan.broken == 1 else f"{scan.broken:,} lines"
        notes.append(f"{which} of {path.name} could not be read, half-written for instance")
    evaluations, broken = _read_evaluations(folder / "evaluations.jsonl")
    if broken:
        notes.append(f"{broken:,} lines of evaluations.jsonl could not be read")
    if steps != planned:
        notes.append(
            f"the run was made longer, from {planned:,} to {steps:,} steps; schedules kept to the "
            "first of these"
        )
    return scan.log(
        folder, config, _columns(details), max(every, 1), evaluations, tuple(notes), steps
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise ValueError
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is no JSON; accepted is what 'surefoot train' wrote") from None
    if not isinstance(config, dict) or not all(
        isinstance(config.get(key), str) for key in ("algorithm", "environment")
    ):
        raise UsageError(f"{path} names no algorithm and environment; it is no run's")
    for key in ("hyperparameters", "setup", "versions"):
        if not isinstance(config.setdefault(key, {}), dict):
            raise UsageError(f"{key} in {path} is no table of names; it is no run's")
    return config


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _count_lines(path: Path) -> int:
    return sum(1 for _ in _lines(path))


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and _is_count(_number(row.get("steps"))) else None


def _is_count(value: float | None) -> bool:
    """Whether it can be a number of steps, or of restarts."""
    return value is not None and 0 <= value <= _LARGEST_COUNT


def _number(value: Any) -> float | None:
    """A JSON value as a number, if it is one: truth is 1, and what is not finite is text."""
    if isinstance(value, str):
        return float(value) if value in ("nan", "inf", "-inf") else None
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None


class _Scan:
    """The numbers of all rows, as text until they are all there."""

    _STEPS, _RETURNS, _RESTARTS = b'"steps": ', b'"episode_returns": [', b'"env_restarts": '
    _KEYS = tuple(f'"{name}": '.encode() for name in TRACED)

    def __init__(self) -> None:
        self.broken = 0
        self._steps: list[bytes] = []
        self._traced: list[list[bytes]] = [[] for _ in TRACED]
        self._returns: list[bytes] = []
        self._episodes: list[int] = []
        self._refused: list[int] = []
        self._critic_refused: list[int] = []
        self._restarts: list[int] = []

    def add(self, line: bytes) -> None:
        """Take a row's numbers."""
        at, start = line.find(self._STEPS), line.find(self._RETURNS)
        whole = line.endswith((b"}\n", b"}")) and line.startswith(b"{")
        if not whole or at < 0 or start < 0:
            row = _parse(line)
            if row is None:
                self.broken += bool(line.strip())
                return
            line = _again(row)
            at, start = line.find(self._STEPS), line.find(self._RETURNS)
        steps = _value(line, at + len(self._STEPS))
        at = line.find(self._RESTARTS)
        restarts = 0.0 if at < 0 else _or_nan(_value(line, at + len(self._RESTARTS)))
        if not _is_count(_or_nan(steps)) or not _is_count(restarts):
            self.broken += 1
            return
        number = len(self._steps)
        self._steps.append(steps)
        for values, key in zip(self._traced, self._KEYS, strict=True):
            at = line.find(key)
            values.append(b"nan" if at < 0 else _value(line, at + len(key)))
        start += len(self._RETURNS)
        returns = line[start : line.find(b"]", start)]
        self._episodes.append(returns.count(b",") + 1 if returns else 0)
        if returns:
            self._returns.append(returns)
        if b'"refused": true' in line:
            self._refused.append(number)
        if b'"critic_refused": true' in line:
            self._critic_refused.append(number)
        if restarts:
            self._restarts += [number] * min(int(restarts), _MOST_RESTARTS)

    def log(
        self,
        folder: Path,
        config: dict[str, Any],
        columns: dict[str, np.ndarray],
        every: int,
        evaluations: Evaluations | None,
        notes: tuple[str, ...],
        budget: int | None,
    ) -> Log:
        """What the rows say, put in order of their steps."""
        steps = _floats(self._steps, len(self._steps))
        order = np.argsort(steps, kind="stable")
        traced = {
            name: values[order]
            for name, texts in zip(TRACED, self._traced, strict=True)
            if np.isfinite(values := _floats(texts, len(texts))).any()
        }
        ended = np.array(self._episodes, int)
        returns = _floats(self._returns, int(ended.sum()))
        before = np.concatenate([[0.0], steps[:-1]]) if len(steps) else steps
        first = np.cumsum(ended) - ended
        place = (np.arange(len(returns)) - np.repeat(first, ended) + 1) / np.repeat(ended, ended)
        at = np.repeat(before, ended) + place * np.repeat(steps - before, ended)
        episodes = np.argsort(at, kind="stable")
        return Log(
            folder,
            config,
            steps[order],
            traced,
            steps[self._refused],
            steps[self._restarts],
            at[episodes],
            returns[episodes],
            columns,
            every,
            evaluations,
            notes,
            budget,
            steps[self._critic_refused],
        )


def _again(row: dict[str, Any]) -> bytes:
    """A row in the layout of `metrics.jsonl`, with what a scan looks for."""
    returns = row.get("episode_returns")
    kept = [x for x in returns if _number(x) is not None] if isinstance(returns, list) else []
    scalars = {key: row[key] for key in _SCANNED if key in row}
    scalars = {key: value for key, value in scalars.items() if _number(value) is not None}
    return json.dumps({**scalars, "episode_returns": kept}).encode()


def _value(line: bytes, start: int) -> bytes:
    """The text of the value that begins there."""
    end = line.find(b",", start)
    return line[start : end if end >= 0 else line.find(b"}", start)]


def _floats(texts: list[bytes], count: int) -> np.ndarray:
    """Numbers of comma-separated texts; one that is none is NaN."""
    if not count:
        return np.zeros(0)
    text = b",".join(texts).replace(b'"', b"").replace(b"Infinity", b"inf")
    with warnings.catch_warnings():
        # NumPy warns of, or refuses, text that is no number.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            numbers = np.fromstring(text.decode("ascii"), sep=",")
        except (ValueError, DeprecationWarning):
            numbers = np.zeros(0)
    if len(numbers) != count:
        numbers = np.array([_or_nan(one) for one in text.split(b",")])
    return np.resize(numbers, count)


def _or_nan(text: bytes) -> float:
    try:
        return float({b"true": b"1", b"false": b"0"}.get(text.strip(), text))
    except ValueError:
        return math.nan


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for number, row in enumerate(rows):
        for name, value in _flat(row):
            if name not in columns:
                columns[name] = np.full(len(rows), np.nan)
            columns[name][number] = value
    return columns


def _flat(row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers in a row by their columns' names; episodes are told apart from them."""
    for name, value in row.items():
        if name in ("episode_returns", "episode_lengths"):
            continue
        if isinstance(value, dict):
            parts = [(f"{name}.{key}", part) for key, part in value.items()]
        elif isinstance(value, list):
            parts = [(f"{name}.{index}", part) for index, part in enumerate(value)]
        else:
            parts = [(name, value)]
        for key, part in parts:
            number = _number(part)
            if number is not None:
                yield key, number


def _read_evaluations(path: Path) -> tuple[Evaluations | None, int]:
    points, broken = [], 0
    for line in _lines(path):
        row = _parse(line) or {}
        point = [_number(row.get(key)) for key in ("steps", "mean", "std")]
        if None in point:
            broken += bool(line.strip())
        else:
            points.append(point)
    if not points:
        return None, broken
    return Evaluations(*np.array(points, float).T), broken
