"""How good a run was: the returns of its episodes as one number."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.runs.display.summary import WINDOW


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and the `window` − 1 before it, or of what there is; NaN counts for
    nothing."""
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    number = counts[end] - counts[start]
    with np.errstate(invalid="ignore"):
        return np.where(number, (sums[end] - sums[start]) / np.maximum(number, 1), np.nan)


def final_score(log: Log) -> float:
    """Mean return of the last episodes, of those that are finite; NaN if there are none."""
    last = log.returns[-WINDOW:]
    last = last[np.isfinite(last)]
    return float(last.mean()) if len(last) else float("nan")


def diverged(log: Log) -> bool:
    """Whether the last episodes ended, and none with a finite return."""
    return len(log.returns) > 0 and not np.isfinite(final_score(log))


def best_mean(log: Log) -> float:
    """The highest mean of a whole window, or of all episodes where there are fewer; NaN if none
    ended."""
    mean = running_mean(log.returns, WINDOW)[WINDOW - 1 :]
    mean = mean[np.isfinite(mean)]
    return float(mean.max()) if len(mean) else final_score(log)
