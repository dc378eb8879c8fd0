"""The step of each update: what it changed, and what was expected of it."""

from __future__ import annotations

import numpy as np

from surefoot.common.files.json_reading import fields
from surefoot.common.files.json_reading import finite as number_of
from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Finding, Series
from surefoot.reporting.drawing.formatting import number, percent, quantiles
from surefoot.reporting.drawing.series import STEPS, has, level, line, positive
from surefoot.reporting.single_run.one_diagnostic import one_diagnostic
from surefoot.reporting.single_run.panel import panel
from surefoot.reporting.single_run.share_of_bad import share_of_bad
from surefoot.runs.folder.diagnostic_table import describe
from surefoot.runs.folder.method_facts import step_kl

#: Times the mean KL over the states that the largest may be.
_FAR = 100
#: Times its median that a step at the end is shorter where steps have collapsed.
_COLLAPSED = 1000
#: Share of the iterations that a penalty may be at a bound of its range.
_LONG = 0.5


@panel("kl_mean", also=("kl_max",))
def kl(log: Log) -> Figure:
    """How far each step moved the policy."""
    x, mean = log.columns["steps"], log.columns["kl_mean"]
    series = []
    if has(log, "kl_max"):
        largest = positive(log.columns["kl_max"])
        series.append(Series("largest", "line", x, largest, style=4, faint=True))
    series.append(Series("mean", "line", x, positive(mean), style=0))
    allowed, beyond = step_kl(log.config), ""
    bad, findings = [], []
    if allowed is not None:
        series.append(level(log, f"{allowed.words} = {allowed.value:g}", allowed.value))
        share = float(np.mean(mean[np.isfinite(mean)] > allowed.value))
        beyond = f"; above {allowed.value:g} nats in {percent(share)} of the iterations"
        # The quadratic model's KL is not the real one; a factor of two is a step that surprises.
        bad.append("a mean above twice the dashed line")
        findings.append(
            share_of_bad(
                mean[np.isfinite(mean)] > 2 * allowed.value,
                f"the mean KL was above twice the {allowed.words} of {allowed.value:g} nats",
            )
        )
    if has(log, "kl_max"):
        bad.append(f"a maximum above {_FAR} times the mean")
        ratio = log.columns["kl_max"][mean > 0] / mean[mean > 0]
        findings.append(
            share_of_bad(ratio > _FAR, f"the largest KL was above {_FAR} times the mean")
        )
        beyond += f"; the largest up to {number(float(np.nanmax(ratio, initial=0)))} times the mean"
    return Figure(
        "kl",
        describe("kl_mean").title,
        "KL(old‖new) over the batch's states, against what the method allows or aims at. "
        + (f"Bad: {', or '.join(bad)}, in more than 5 % of the iterations. " if bad else "")
        + "Steps of zero length have no place on this axis.",
        f"Mean KL: {quantiles(mean)} nats{beyond}.",
        STEPS,
        Axis("KL(old‖new) over the states (nats)", log=True),
        tuple(series),
        findings=tuple(findings),
    )


@panel("step_scale", also=("shrink",))
def scale(log: Log) -> Figure:
    """How long each step was."""
    alpha = log.columns["step_scale"] * log.columns.get("shrink", 1.0)
    taken = " after the line search" if "shrink" in log.columns else ""
    middle = float(np.nanmedian(alpha))
    end = float(np.nanmedian(alpha[log.columns["steps"] > 0.9 * log.total]))
    collapsed = end * _COLLAPSED < middle
    return Figure(
        "scale",
        "Length of the accepted step",
        f"The factor α on the direction{taken}. It has no unit of its own: where KL and "
        f"curvature set it, it grows as the gradient fades. Bad: an end below 1/{_COLLAPSED:,} of "
        "its median, where nothing is learned any more.",
        f"α: {quantiles(alpha)}.",
        STEPS,
        Axis("scale α of the step (–)", log=True),
        (Series("accepted α", "line", log.columns["steps"], positive(alpha), style=0),),
        findings=(
            Finding(
                not collapsed,
                f"the step was {number(end)} long at the end, {number(middle)} in the median",
            ),
        ),
    )


@panel("backtracks", "accepted")
def line_search(log: Log) -> Figure:
    """How often each step was shortened."""
    x, tries = log.columns["steps"], log.columns["backtracks"]
    given_up = log.columns["accepted"] == 0
    series = [Series("backtracks", "stairs", x, tries, style=0)]
    if given_up.any():
        series.append(Series("no step taken", "crosses", x[given_up], tries[given_up], style=1))
    finite = tries[np.isfinite(tries)]
    accepted = log.columns["accepted"]
    share = float(accepted[np.isfinite(accepted)].mean())
    findings = [
        Finding(share >= 0.8, f"the line search took a step in {percent(share)} of the updates")
    ]
    most = number_of(fields(log.config.get("hyperparameters")).get("tries"))
    late = ""
    if most is not None and most > 2:
        late = f", or {most - 1:g} of {most:g} backtracks in more than 5 % of the others"
        findings.append(
            share_of_bad(
                tries[~given_up & np.isfinite(tries)] >= most - 1,
                f"a step was taken after {most - 1:g} backtracks or more of {most:g}",
            )
        )
    return Figure(
        "search",
        "Line search",
        "How often each step was shortened before it was accepted; a cross is an update that found "
        "no step and left the policy as it was. Bad: crosses in more than 20 % of the updates"
        f"{late}: the quadratic model of the KL does not hold.",
        f"Accepted: {percent(1 - given_up.mean())} of the updates; "
        f"{finite.mean():.2g} backtracks in the mean.",
        STEPS,
        Axis("backtracks (number)", low=-0.1, high=max(1.0, float(finite.max())) + 0.1, whole=True),
        tuple(series),
        findings=tuple(findings),
    )


@panel("predicted_improvement", "objective_after", "objective_before", reads=("accepted",))
def improvement(log: Log) -> Figure:
    """What each step was to gain, against what it gained."""
    predicted = log.columns["predicted_improvement"]
    gain = log.columns["objective_after"] - log.columns["objective_before"]
    moved = (predicted > 0) & (log.columns.get("accepted", np.ones(len(gain))) != 0)
    ratio = gain[moved] / predicted[moved]
    return Figure(
        "improvement",
        "Predicted against realized improvement",
        "What the gradient promised for the step, gᵀΔ, and what the objective gained on the same "
        "batch. Bad: a realized gain below a tenth of the predicted one in more than 20 % of the "
        "iterations: the step leaves the region where the gradient holds.",
        f"Realized over predicted: {quantiles(ratio)}.",
        STEPS,
        Axis("improvement (units of the objective)"),
        (
            line(log, "predicted_improvement", "predicted", 1),
            Series("realized", "line", log.columns["steps"], gain, style=0),
            level(log, "no change", 0.0),
        ),
        findings=(
            share_of_bad(
                ratio[np.isfinite(ratio)] < 0.1,
                "the objective gained less than a tenth of what was predicted",
                most=0.2,
            ),
        ),
    )


@panel("kl_penalty")
def penalty(log: Log) -> Figure:
    """The weight of the KL in the objective."""
    given = fields(log.config.get("hyperparameters"))
    bounds = [x for x in map(number_of, (given.get("min_beta"), given.get("max_beta"))) if x]
    values = log.columns["kl_penalty"]
    at = np.isclose(values[:, None], np.array(bounds)[None], rtol=1e-5).any(axis=1)
    found = share_of_bad(at, "the penalty β was at a bound of its range", most=_LONG)
    return one_diagnostic(log, "kl_penalty", findings=(found,))


@panel("beta")
def equivalent_penalty(log: Log) -> Figure:
    """The weight of the KL that the trust region amounts to."""
    return one_diagnostic(log, "beta")
