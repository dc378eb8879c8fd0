"""What stands out in a run: each diagnostic against the value that is bad for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.formatting import percent
from surefoot.reporting.single_run.step_panels import realized
from surefoot.runs.folder.method_facts import learns_offline, step_kl


class Finding(NamedTuple):
    """A finding."""

    ok: bool
    """Whether it is as it should be."""
    text: str
    """What was found."""


def checks(log: Log) -> list[Finding]:
    """What is to be looked at first, then what is as it should be."""
    if not len(log.steps):
        return []
    return sorted(_checks(log), key=lambda check: check.ok)


def _checks(log: Log) -> Iterator[Finding]:
    refused = len(log.refused)
    # A refused update's critic is not fitted either.
    critic = len(np.setdiff1d(log.critic_refused, log.refused))
    for count, what in ((refused, "updates"), (critic, "fits of the critic")):
        if count:
            text = f"{count:,} of {len(log.steps):,} {what} were refused: something was not finite"
            yield Finding(False, text)
    if not refused and not critic:
        yield Finding(True, "every number that was learned from was finite")
    endless = int(np.sum(~np.isfinite(log.returns)))
    if endless:
        yield Finding(
            False,
            f"{endless:,} of {len(log.returns):,} episodes had a return that is not finite; no "
            "mean has them",
        )
    if len(log.restarts):
        yield Finding(False, f"environments were restarted {len(log.restarts):,} times")
    if not learns_offline(log.config) and not len(log.returns):
        yield Finding(False, "no episode finished: raise the steps or the horizon")
    allowed = step_kl(log.config)
    mean = _finite(log, "kl_mean")
    if allowed is not None and len(mean):
        # The quadratic model's KL is not the real one; a factor of two is a step that surprises.
        beyond = float(np.mean(mean > 2 * allowed.value))
        yield Finding(
            beyond < 0.05,
            f"the mean KL was above twice the {allowed.words} of {allowed.value:g} nats in "
            f"{percent(beyond)} of the iterations",
        )
    accepted = _finite(log, "accepted")
    if len(accepted) and "backtracks" in log.columns:
        share = float(accepted.mean())
        yield Finding(
            share >= 0.8, f"the line search took a step in {percent(share)} of the updates"
        )
    if {"objective_before", "objective_after"} <= set(log.columns) and not _searches(log):
        gain = realized(log)
        gain = gain[np.isfinite(gain)]
        if len(gain):
            risen = float(np.mean(gain >= 0))
            yield Finding(
                risen >= 0.8,
                f"the update raised its own objective in {percent(risen)} of iterations",
            )
    clipped = _finite(log, "clip_fraction")
    if len(clipped):
        middle = float(np.median(clipped))
        yield Finding(
            middle <= 0.3, f"half of the updates clipped {percent(middle)} of samples or more"
        )
    size = _finite(log, "effective_sample_size")
    if len(size):
        low = float(np.quantile(size, 0.05))
        yield Finding(
            low >= 0.5,
            f"the effective sample size was {percent(low)} of the batch or more in 95 % of "
            "iterations",
        )
    explained = _finite(log, "explained_variance")
    if len(explained):
        middle = float(np.median(explained[len(explained) // 2 :]))
        yield Finding(
            middle > 0,
            f"the critic explained {percent(middle)} of the variance (median of the second half)"
            if middle > 0
            else "the critic was worse than a constant in most of the second half",
        )


def _searches(log: Log) -> bool:
    """A line search takes no step that lowers the objective."""
    return "backtracks" in log.columns


def _finite(log: Log, name: str) -> np.ndarray:
    values = log.columns.get(name, np.zeros(0))
    return values[np.isfinite(values)]
