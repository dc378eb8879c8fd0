"""What one run shows: a figure for every question that its diagnostics answer, and none for those
that its method does not have. `others` draws the diagnostics that no question is about."""

from __future__ import annotations

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure
from surefoot.reporting.single_run.critic import critic
from surefoot.reporting.single_run.learning import learning, likelihood
from surefoot.reporting.single_run.policy import entropy, std
from surefoot.reporting.single_run.population import population, search_std
from surefoot.reporting.single_run.shares import clipped, effective, projected
from surefoot.reporting.single_run.step_panels import (
    equivalent_penalty,
    improvement,
    kl,
    line_search,
    penalty,
    scale,
)
from surefoot.reporting.single_run.timing import time

_PANELS = (
    learning,
    likelihood,
    population,
    kl,
    improvement,
    scale,
    line_search,
    penalty,
    equivalent_penalty,
    clipped,
    projected,
    effective,
    entropy,
    std,
    search_std,
    critic,
    time,
)


def figures(log: Log) -> list[Figure]:
    """The run's figures, in reading order."""
    return [figure for panel in _PANELS if (figure := panel(log)) is not None]
