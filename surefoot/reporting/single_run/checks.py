"""What stands out in a run: what its panels found by their own rules, and what no panel shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure, Finding
from surefoot.reporting.drawing.series import has
from surefoot.reporting.single_run.share_of_bad import share_of_bad
from surefoot.runs.folder.method_facts import learns_offline


def checks(log: Log, drawn: Sequence[Figure]) -> list[Finding]:
    """What is to be looked at first, then what is as it should be, of a run and its figures."""
    if not len(log.steps):
        return []
    found = [*_checks(log), *(finding for figure in drawn for finding in figure.findings)]
    if all(figure.name != "improvement" for figure in drawn):
        found += _raised(log)
    return sorted(found, key=lambda finding: finding.ok)


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


def _raised(log: Log) -> Iterator[Finding]:
    """Of a method whose updates predict no gain, and have no panel of it."""
    if has(log, "objective_before", "objective_after"):
        gain = log.columns["objective_after"] - log.columns["objective_before"]
        lowered = gain[np.isfinite(gain)] < 0
        if len(lowered):
            yield share_of_bad(lowered, "the update lowered its own objective", most=0.2)
