"""Where the time of an iteration went."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Finding, Series
from surefoot.reporting.drawing.formatting import quantiles
from surefoot.reporting.drawing.series import STEPS, has
from surefoot.reporting.single_run.panel import panel

#: Parts of an iteration, in the order in which they are stacked.
_PARTS = {
    "environment": "environments",
    "act": "choosing actions",
    "update": "policy's update",
    "program": "compiled program",
}
_BINS = 100


def time_parts(log: Log) -> dict[str, np.ndarray]:
    """Seconds of every part of each iteration that was read, compiling apart; none is left out."""
    total = log.columns.get("timing.total")
    if total is None:
        return {}
    compiling = np.nan_to_num(log.columns.get("timing.compile", np.zeros(len(total))))
    parts = {
        words: np.nan_to_num(log.columns[f"timing.{name}"])
        for name, words in _PARTS.items()
        if has(log, f"timing.{name}")
    }
    if "compiled program" in parts:
        # The first call of the program includes its compilation.
        parts["compiled program"] = np.maximum(parts["compiled program"] - compiling, 0)
    rest = np.nan_to_num(total) - compiling - sum(parts.values(), np.zeros(len(total)))
    parts["the rest"] = np.maximum(rest, 0)
    parts["compiling"] = compiling
    return parts


@panel(
    "timing.total", also=("timing.compile", "timing.steps_per_s", *(f"timing.{x}" for x in _PARTS))
)
def time(log: Log) -> Figure:
    """Time of an iteration by its parts."""
    parts = time_parts(log)
    parts.pop("compiling")
    bins = np.array_split(
        np.arange(len(log.columns["steps"])), min(_BINS, len(log.columns["steps"]))
    )
    x = np.array([log.columns["steps"][part].mean() for part in bins])
    series = tuple(
        Series(words, "area", x, np.array([1000 * values[part].mean() for part in bins]), style=i)
        for i, (words, values) in enumerate(parts.items())
    )
    rate = log.columns.get("timing.steps_per_s", np.full(1, np.nan))
    whole = sum(parts.values(), np.zeros(len(log.columns["steps"])))
    quarters = np.array_split(whole, 4)
    grown = float(np.median(quarters[3]) / np.median(quarters[1])) if len(whole) >= 8 else 1.0
    return Figure(
        "time",
        "Where the time went",
        "Time of an iteration by its parts, stacked; the rest holds what is left of the "
        "critic's fit; compiling stands in the table. Bad: a last quarter above twice the second.",
        f"Environment steps per second: {quantiles(rate)}.",
        STEPS,
        Axis("time of an iteration (ms)", low=0.0),
        series,
        findings=(
            Finding(
                not grown > 2,
                f"an iteration of the last quarter took {grown:.2g} times as long as one of the "
                "second",
            ),
        )
        if len(whole) >= 8
        else (),
    )
