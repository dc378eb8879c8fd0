"""How good a run was: the returns of its episodes as one number."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.figures import running_mean
from surefoot.reporting.log import Log
from surefoot.runs.summary import WINDOW


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
