"""The critic: how much of the returns it explains."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure
from surefoot.reporting.drawing.formatting import number, quantiles
from surefoot.reporting.drawing.series import STEPS, last, level, line
from surefoot.reporting.single_run.panel import panel
from surefoot.reporting.single_run.share_of_bad import share_of_bad
from surefoot.runs.folder.diagnostic_table import describe


@panel("explained_variance")
def critic(log: Log) -> Figure:
    """How much of the targets' variance the critic explains."""
    values = log.columns["explained_variance"]
    after = log.columns["steps"] > log.total / 10
    lowest = float(np.nanmin(values))
    return Figure(
        "critic",
        describe("explained_variance").title,
        "1 − Var[target − V]/Var[target]: 1 is a perfect critic, 0 is as good as a constant. Bad: "
        "below zero in more than 5 % of the iterations after the first tenth of the steps.",
        f"Explained variance: {quantiles(values)}; at the end {number(last(values))}.",
        STEPS,
        Axis(
            "explained variance (–)", low=max(lowest - 0.05, -1.0) if lowest < 0 else 0, high=1.02
        ),
        (line(log, "explained_variance", "explained variance"), level(log, "a constant", 0.0)),
        findings=(
            share_of_bad(
                values[after & np.isfinite(values)] < 0,
                "after the first tenth the critic was worse than a constant",
            ),
        ),
    )
