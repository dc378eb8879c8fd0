"""A search over parameters: the generation that it samples."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Finding
from surefoot.reporting.drawing.formatting import number
from surefoot.reporting.drawing.series import STEPS, last, line
from surefoot.reporting.single_run.one_diagnostic import one_diagnostic
from surefoot.reporting.single_run.panel import panel
from surefoot.reporting.single_run.share_of_bad import share_of_bad


@panel("population_return", "elite_return")
def population(log: Log) -> Figure:
    """Returns of the members."""
    above = log.columns["elite_return"] - log.columns["population_return"]
    return Figure(
        "population",
        "Returns of the generation",
        "Mean return of all members, and of those the search was refitted to. Bad: equal in more "
        "than 5 % of the iterations: the search has collapsed.",
        f"At the end {number(last(log.columns['population_return']))} and "
        f"{number(last(log.columns['elite_return']))}.",
        STEPS,
        Axis("mean return (reward)"),
        (line(log, "elite_return", "elite", 1), line(log, "population_return", "all members")),
        findings=(
            share_of_bad(
                above[np.isfinite(above)] <= 0, "the elite was no better than all members"
            ),
        ),
    )


@panel("search_std")
def search_std(log: Log) -> Figure:
    """How wide the search is."""
    values = log.columns["search_std"]
    half = float(values[(len(values) - 1) // 2] / values[0])
    told = f"in the middle of the run the search was {half:.2g} times as wide as at its beginning"
    return one_diagnostic(log, "search_std", findings=(Finding(not half < 0.01, told),))
