"""The policy itself: how random its actions are."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure, Finding
from surefoot.reporting.drawing.series import components
from surefoot.reporting.single_run.one_diagnostic import one_diagnostic
from surefoot.reporting.single_run.panel import panel

#: Times its beginning that σ may grow, or shrink early.
_GROWN = 20


@panel("entropy")
def entropy(log: Log) -> Figure:
    """How random the actions are."""
    return one_diagnostic(log, "entropy")


@panel("std")
def std(log: Log) -> Figure:
    """How wide each dimension of a Gaussian policy is."""
    values = np.array([log.columns[name] for name in components(log, "std")])
    half = values[:, (values.shape[1] - 1) // 2]
    grown = float(np.nanmax(values[:, -1] / values[:, 0]))
    shrunk = float(np.nanmin(half / values[:, 0]))
    found = Finding(
        grown <= _GROWN and shrunk * _GROWN >= 1,
        f"every σ ended at {grown:.2g} times its beginning or less, and was at {shrunk:.2g} times "
        "or more in the middle",
    )
    return one_diagnostic(log, "std", findings=(found,))
