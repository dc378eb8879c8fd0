"""Learning curves: a panel for every task, a line for every recipe, a band for the uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from benchmarks.learning.lines import Line
from benchmarks.learning.rows import RANDOM, Row
from surefoot.common.errors import UsageError
from surefoot.common.statistics import bootstrap_interval, interquartile_mean

#: Okabe and Ito's colors, which are told apart with any color vision; black and yellow left out.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = ("-", "--", ":", "-.")
STATISTICS = {"iqm": interquartile_mean, "mean": np.mean}
NAMES = {"iqm": "interquartile mean", "mean": "mean"}
RESAMPLES = 2_000


def plot(lines: Sequence[Line], out: Path, *, statistic: str = "iqm") -> None:
    """Draw the curves and write them to a PNG, SVG or PDF file, by its suffix."""
    accepted = (".png", ".svg", ".pdf")
    if out.suffix not in accepted:
        raise UsageError(f"--out {out}; accepted are files that end in {', '.join(accepted)}")
    trained = [line for line in lines if line.recipe != RANDOM]
    random = {line.task: line.mean for line in lines if line.recipe == RANDOM and line.scores}
    several = len({line.label for line in trained}) > 1
    names = [f"{line.name}, {line.label}" if several else line.name for line in trained]
    order = sorted(set(names))
    tasks = sorted({line.task for line in trained})

    columns = min(3, len(tasks))
    panels = -(-len(tasks) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * panels + 0.6), layout="constrained")
    axes = figure.subplots(panels, columns, squeeze=False).flatten()
    for axis, task in zip(axes, tasks, strict=False):
        for line, name in zip(trained, names, strict=True):
            if line.task == task:
                number = order.index(name)
                look = {"color": COLORS[number % 6], "linestyle": STYLES[number // 6 % 4]}
                _draw(axis, line.rows, name, look, statistic)
        if task in random:
            axis.axhline(random[task], color="gray", linewidth=1, label="random policy")
        axis.set_title(task)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.grid(alpha=0.3)
    for axis in axes[len(tasks) :]:
        axis.remove()
    seeds = sorted({len(line.rows) for line in trained})
    counts = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
    what = f"{NAMES[statistic]} over {counts} seeds, 95 % bootstrap band"
    figure.supxlabel(f"environment steps\n({what})", fontsize="small")
    figure.supylabel("raw return of training episodes", fontsize="small")
    handles = {
        label: handle
        for axis in figure.axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=min(4, len(handles))
        )
    # The same rows give the same file, byte by byte.
    with matplotlib.rc_context({"svg.hashsalt": "surefoot"}):
        figure.savefig(out, dpi=150, metadata={"Date": None} if out.suffix == ".svg" else None)


def common_grid(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """The curves of several seeds on the steps at which all of them are known: (steps [points],
    returns [seeds, points]), linear between a seed's own points. Seeds without a point have none.
    """
    curves = [
        np.array([point for point in row["curve"] if point[1] is not None], float).reshape(-1, 2)
        for row in rows
    ]
    if any(not len(curve) for curve in curves):
        return np.empty(0), np.empty((len(curves), 0))
    steps = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
    first, last = max(curve[0, 0] for curve in curves), min(curve[-1, 0] for curve in curves)
    steps = steps[(steps >= first) & (steps <= last)]
    return steps, np.stack([np.interp(steps, *curve.T) for curve in curves])


def _draw(axis, rows: list[Row], name: str, look: dict[str, str], statistic: str) -> None:
    steps, returns = common_grid(rows)
    if not len(steps):
        return
    estimate = STATISTICS[statistic]
    axis.plot(steps, estimate(returns, axis=0), label=name, **look)
    if len(rows) > 1:
        low, high = bootstrap_interval([returns], estimate, resamples=RESAMPLES)
        axis.fill_between(steps, low, high, color=look["color"], alpha=0.2, linewidth=0)
