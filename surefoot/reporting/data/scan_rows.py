"""The numbers of all rows of a run, found by their keys, without parsing the rows.

Rows of `metrics.jsonl` are long and many, and most of what a comparison shows of them is a few
numbers. A row that is laid out differently is parsed, and one that is no row is counted and left
out: a run that is being written ends in half a line.
"""

from __future__ import annotations

import json
import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from surefoot.common.files.json_reading import number, row
from surefoot.runs.folder.diagnostic_table import followed

#: Diagnostics that are read of every row.
TRACED = followed()
#: What a row is scanned for, its episodes apart.
_SCANNED = ("steps", "refused", "critic_refused", "env_restarts", *TRACED)
#: Larger integers are not all floating-point numbers.
_LARGEST_COUNT = 2.0**53
#: Restarts of an iteration that are counted.
_MOST_RESTARTS = 1000


def parse(line: bytes) -> dict[str, Any] | None:
    """The row of a line; `None` where it is none, or does not say after how many steps it was
    written."""
    found = row(line)
    return found if found is not None and _is_count(number(found.get("steps"))) else None


def _is_count(value: float | None) -> bool:
    """Whether it can be a number of steps, or of restarts."""
    return value is not None and 0 <= value <= _LARGEST_COUNT


class Scanned(NamedTuple):
    """What all rows say, in the order of their steps; `Log` has the same under these names."""

    steps: np.ndarray
    traced: dict[str, np.ndarray]
    refused: np.ndarray
    critic_refused: np.ndarray
    restarts: np.ndarray
    episode_steps: np.ndarray
    returns: np.ndarray


class Scan:
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
            found = parse(line)
            if found is None:
                self.broken += bool(line.strip())
                return
            line = _again(found)
            at, start = line.find(self._STEPS), line.find(self._RETURNS)
        steps = _value(line, at + len(self._STEPS))
        at = line.find(self._RESTARTS)
        restarts = 0.0 if at < 0 else _or_nan(_value(line, at + len(self._RESTARTS)))
        if not _is_count(_or_nan(steps)) or not _is_count(restarts):
            self.broken += 1
            return
        place = len(self._steps)
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
            self._refused.append(place)
        if b'"critic_refused": true' in line:
            self._critic_refused.append(place)
        if restarts:
            self._restarts += [place] * min(int(restarts), _MOST_RESTARTS)

    def numbers(self) -> Scanned:
        """What the rows say that were added."""
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
        return Scanned(
            steps=steps[order],
            traced=traced,
            refused=steps[self._refused],
            critic_refused=steps[self._critic_refused],
            restarts=steps[self._restarts],
            episode_steps=at[episodes],
            returns=returns[episodes],
        )


def _again(told: dict[str, Any]) -> bytes:
    """A row in the layout of `metrics.jsonl`, with what a scan looks for."""
    returns = told.get("episode_returns")
    kept = [x for x in returns if number(x) is not None] if isinstance(returns, list) else []
    scalars = {key: told[key] for key in _SCANNED if key in told}
    scalars = {key: value for key, value in scalars.items() if number(value) is not None}
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
