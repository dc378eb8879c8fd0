"""The critic: how much of the returns it explains."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure
from surefoot.reporting.drawing.series import level
from surefoot.reporting.single_run.one_diagnostic import one_diagnostic
from surefoot.reporting.single_run.panel import panel
from surefoot.reporting.single_run.share_of_bad import share_of_bad
from surefoot.runs.folder.diagnostic_table import describe


@panel("explained_variance")
def critic(log: Log) -> Figure:
    """How much of the targets' variance the critic explains."""
    values, one = log.columns["explained_variance"], describe("explained_variance")
    after = log.columns["steps"] > log.total / 10
    lowest = float(np.nanmin(values))
    found = share_of_bad(
        values[after & np.isfinite(values)] < 0,
        "after the first tenth the critic was worse than a constant",
    )
    return one_diagnostic(
        log,
        one.name,
        low=max(lowest - 0.05, one.low or 0.0) if lowest < 0 else 0,
        high=one.high,
        more=(level(log, "a constant", 0.0),),
        findings=(found,),
    )
