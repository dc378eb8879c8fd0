"""The policy itself: how random its actions are."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Finding, Series
from surefoot.reporting.drawing.formatting import number
from surefoot.reporting.drawing.series import STEPS, has, last, line

#: Components of an action that have a line of their own; more are told by their range.
_MOST_DIMENSIONS = 8
#: Times its beginning that σ may grow, or shrink early.
_GROWN = 20


def entropy(log: Log) -> Figure | None:
    """How random the actions are."""
    if not has(log, "entropy"):
        return None
    values = log.columns["entropy"]
    return Figure(
        "entropy",
        "Entropy of the policy",
        "How random its actions are, mean over the batch's states; of continuous actions it may "
        "be negative. Watch for an early fall: exploration has ended before there was something to "
        "find.",
        f"From {number(last(values[:1]))} to {number(last(values))} nats.",
        STEPS,
        Axis("entropy (nats)"),
        (line(log, "entropy", "entropy"),),
    )


def std(log: Log) -> Figure | None:
    """How wide each dimension of a Gaussian policy is."""
    names = sorted(
        (name for name in log.columns if name.startswith("std.") and name[4:].isdecimal()),
        key=lambda name: int(name[4:]),
    )
    if not names:
        return None
    x, values = log.columns["steps"], np.array([log.columns[name] for name in names])
    if len(names) <= _MOST_DIMENSIONS:
        series: tuple[Series, ...] = tuple(
            line(log, name, f"dimension {name[4:]}", style) for style, name in enumerate(names)
        )
    else:
        low, middle, high = values.min(axis=0), np.median(values, axis=0), values.max(axis=0)
        label = f"median and range of {len(names)} dimensions"
        series = (Series(label, "interval", x, middle, low, high),)
    end = values[:, -1]
    grown = float(np.nanmax(end / values[:, 0]))
    half = values[:, (len(x) - 1) // 2]
    shrunk = float(np.nanmin(half / values[:, 0]))
    return Figure(
        "std",
        "Standard deviation of each action dimension",
        "σ of the Gaussian policy before actions are mapped to the environment's bounds, mean over "
        f"the batch's states. Bad: one that ends above {_GROWN} times its beginning, or is below "
        f"1/{_GROWN} of it in the middle of the run.",
        f"At the end from {number(end.min())} to {number(end.max())} over {len(names)} "
        + ("dimension." if len(names) == 1 else "dimensions."),
        STEPS,
        Axis("σ (units of the raw action)", log=bool((values > 0).all())),
        series,
        findings=(
            Finding(
                grown <= _GROWN and shrunk * _GROWN >= 1,
                f"every σ ended at {grown:.2g} times its beginning or less, and was at "
                f"{shrunk:.2g} times or more in the middle",
            ),
        ),
    )
