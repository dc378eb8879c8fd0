"""A row's numbers under the names that dashboards of the field use.

Where the meaning is the same, these are Stable-Baselines3's, so that runs of both lie in one chart.
The horizontal axis is environment steps.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from surefoot.runs.display.summary import WINDOW
from surefoot.runs.folder.diagnostic_table import CRITIC, describe
from surefoot.runs.loggers.base import Entry


class Tags:
    """Tags and numbers of one row after the other."""

    def __init__(self) -> None:
        self._returns: deque[float] = deque(maxlen=WINDOW)
        self._lengths: deque[float] = deque(maxlen=WINDOW)

    def __call__(self, entry: Entry) -> dict[str, float]:
        """Those of the next row."""
        row, tags = entry.row, {}
        self._returns.extend(map(float, row["episode_returns"]))
        self._lengths.extend(map(float, row["episode_lengths"]))
        if self._returns:
            tags["rollout/ep_rew_mean"] = _mean(self._returns)
            tags["rollout/ep_len_mean"] = _mean(self._lengths)
        for name, value in row.items():
            if name in ("steps", "episode_returns", "episode_lengths"):
                continue
            if name == "iteration":
                tags["time/iterations"] = value + 1.0
            elif name == "timing":
                tags |= {
                    describe(f"timing.{part}").tag or f"time/{part}": float(seconds)
                    for part, seconds in value.items()
                    if seconds is not None
                }
            else:
                tags |= _numbers(_tag(name), value)
        if "entropy" in row:
            tags["train/entropy_loss"] = -float(row["entropy"])
        if entry.evaluation is not None:
            tags["eval/mean_reward"] = float(entry.evaluation["mean"])
            tags["eval/std_reward"] = float(entry.evaluation["std"])
            tags["eval/mean_ep_length"] = _mean(entry.evaluation["lengths"])
        return tags


def _tag(name: str) -> str:
    if name.startswith(CRITIC):
        return f"critic/{name.removeprefix(CRITIC)}"
    return describe(name).tag or f"train/{name}"


def _numbers(tag: str, value: Any) -> dict[str, float]:
    """One number, or those of a list with their mean under the list's own name."""
    if not isinstance(value, list):
        return {tag: float(value)}
    numbers = [float(x) for x in value]
    each = {f"{tag}_{i}": x for i, x in enumerate(numbers)}
    return {tag: _mean(numbers), **each} if numbers else {}


def _mean(values: Any) -> float:
    return float(sum(values) / len(values))
