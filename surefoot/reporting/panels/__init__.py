"""What one run shows: a figure for every question that its diagnostics answer, and none for those
that its method does not have."""

from __future__ import annotations

from surefoot.reporting.figures import Figure
from surefoot.reporting.log import Log
from surefoot.reporting.panels.critic import critic
from surefoot.reporting.panels.learning import learning
from surefoot.reporting.panels.policy import entropy, std
from surefoot.reporting.panels.population import population, search_std
from surefoot.reporting.panels.shares import clipped, effective, projected
from surefoot.reporting.panels.step import improvement, kl, line_search, penalty, scale
from surefoot.reporting.panels.timing import time

_PANELS = (
    learning,
    population,
    kl,
    improvement,
    scale,
    line_search,
    penalty,
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
