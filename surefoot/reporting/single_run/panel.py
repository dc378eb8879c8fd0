"""A panel: a function that draws the diagnostics that it names, of runs that have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure
from surefoot.reporting.drawing.series import components, has
from surefoot.runs.folder.diagnostic_table import known


class Panel(NamedTuple):
    """What draws a figure of a run."""

    draw: Callable[[Log], Figure | None]
    needs: tuple[str, ...]
    """Diagnostics without which there is no figure."""
    also: tuple[str, ...]
    """Those that it shows where a run has them."""
    reads: tuple[str, ...]
    """Those that decide what it shows, and are not shown themselves."""

    def __call__(self, log: Log) -> Figure | None:
        """The figure, with the names of all that it shows; it is given no column but its own."""
        if not has(log, *self.needs):
            return None
        names = ("steps", *self.needs, *self.also, *self.reads)
        kept = {column: log.columns[column] for name in names for column in components(log, name)}
        drawn = self.draw(log._replace(columns=kept))
        shows = frozenset((*self.needs, *self.also))
        return None if drawn is None else dataclasses.replace(drawn, shows=shows)


def panel(
    *needs: str, also: tuple[str, ...] = (), reads: tuple[str, ...] = ()
) -> Callable[[Callable[[Log], Figure | None]], Panel]:
    """Make a function a panel of these diagnostics. Raises `KeyError` for one that the table
    lacks."""
    known(*needs, *also, *reads)
    return lambda draw: Panel(draw, needs, also, reads)
