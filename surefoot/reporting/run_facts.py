"""The numbers at the top of a run's page."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.comparison.speed_of_learning import registered_threshold
from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.formatting import duration, number
from surefoot.reporting.drawing.series import has
from surefoot.reporting.page import Fact
from surefoot.runs.score import area, steps_to


def run_facts(log: Log) -> list[Fact]:
    """Score, steps, time, and how far steps went."""
    facts = []
    score = log.score
    if score.ended:
        ends, means = log.curve
        facts += [
            Fact("Score", number(score.value), score.words),
            Fact("Best", number(best_mean(means)), "mean of a fiftieth of the steps"),
            Fact("Area", number(area(means)), "mean return over the whole run"),
        ]
        level = registered_threshold(log)
        if level is not None:
            steps = steps_to(level, ends, means)
            told = f"{steps:,.0f}" if np.isfinite(steps) else "–"
            facts.append(Fact(f"Steps to {number(level)}", told, "Gymnasium's threshold"))
    if log.evaluations is not None:
        at = log.evaluations
        facts.append(Fact("Evaluation", number(at.mean[-1]), f"the last of {len(at.mean)}"))
    facts.append(Fact("Steps", f"{log.total:,}", f"{len(log.steps):,} iterations"))
    if has(log, "timing.total"):
        total = log.columns["timing.total"]
        seconds = float(total[np.isfinite(total)].sum()) * log.every
        facts.append(Fact("Time", duration(seconds), "of training, compiling included"))
    if has(log, "kl_mean"):
        kl = log.columns["kl_mean"]
        facts.append(Fact("KL of a step", f"{np.median(kl[np.isfinite(kl)]):.2g}", "nats, median"))
    return facts


def best_mean(means: np.ndarray) -> float:
    """The best part of a learning curve; NaN where there is none."""
    known = means[np.isfinite(means)]
    return float(known.max()) if len(known) else float("nan")
