"""The policy itself: how random its actions are."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Finding
from surefoot.reporting.drawing.formatting import number
from surefoot.reporting.drawing.series import STEPS, components, last, line, lines
from surefoot.reporting.single_run.panel import panel
from surefoot.runs.folder.diagnostic_table import describe

#: Times its beginning that σ may grow, or shrink early.
_GROWN = 20


@panel("entropy")
def entropy(log: Log) -> Figure:
    """How random the actions are."""
    values = log.columns["entropy"]
    return Figure(
        "entropy",
        describe("entropy").title,
        "How random its actions are, mean over the batch's states; of continuous actions it may "
        "be negative. Watch for an early fall: exploration has ended before there was something to "
        "find.",
        f"From {number(last(values[:1]))} to {number(last(values))} nats.",
        STEPS,
        Axis("entropy (nats)"),
        (line(log, "entropy", "entropy"),),
    )


@panel("std")
def std(log: Log) -> Figure:
    """How wide each dimension of a Gaussian policy is."""
    names = components(log, "std")
    x, values = log.columns["steps"], np.array([log.columns[name] for name in names])
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
        lines(log, "std", "dimension"),
        findings=(
            Finding(
                grown <= _GROWN and shrunk * _GROWN >= 1,
                f"every σ ended at {grown:.2g} times its beginning or less, and was at "
                f"{shrunk:.2g} times or more in the middle",
            ),
        ),
    )
