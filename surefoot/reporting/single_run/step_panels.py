"""The step of each update: what it changed, and what was expected of it."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Series
from surefoot.reporting.drawing.formatting import percent, quantiles
from surefoot.reporting.drawing.series import STEPS, has, level, line, positive
from surefoot.runs.folder.method_facts import step_kl


def kl(log: Log) -> Figure | None:
    """How far each step moved the policy."""
    if not has(log, "kl_mean"):
        return None
    x, mean = log.columns["steps"], log.columns["kl_mean"]
    series = []
    if has(log, "kl_max"):
        largest = positive(log.columns["kl_max"])
        series.append(Series("largest", "line", x, largest, style=4, faint=True))
    series.append(Series("mean", "line", x, positive(mean), style=0))
    allowed, beyond = step_kl(log.config), ""
    if allowed is not None:
        series.append(level(log, f"{allowed.words} = {allowed.value:g}", allowed.value))
        share = float(np.mean(mean[np.isfinite(mean)] > allowed.value))
        beyond = f"; above {allowed.value:g} nats in {percent(share)} of the iterations"
    return Figure(
        "kl",
        "How far each step moved the policy",
        "KL(old‖new) over the batch's states, against what the method allows or aims at. Bad: a "
        "mean far above the dashed line, or a maximum hundreds of times the mean. Steps of zero "
        "length have no place on this axis.",
        f"Mean KL: {quantiles(mean)} nats{beyond}.",
        STEPS,
        Axis("KL(old‖new) over the states (nats)", log=True),
        tuple(series),
    )


def scale(log: Log) -> Figure | None:
    """How long each step was."""
    if not has(log, "step_scale"):
        return None
    alpha = log.columns["step_scale"] * log.columns.get("shrink", 1.0)
    taken = " after the line search" if "shrink" in log.columns else ""
    return Figure(
        "scale",
        "Length of the accepted step",
        f"The factor α on the direction{taken}. It has no unit of its own: where KL and "
        "curvature set it, it grows as the gradient fades. Bad: a collapse to zero, where nothing "
        "is learned any more.",
        f"α: {quantiles(alpha)}.",
        STEPS,
        Axis("scale α of the step (–)", log=True),
        (Series("accepted α", "line", log.columns["steps"], positive(alpha), style=0),),
    )


def line_search(log: Log) -> Figure | None:
    """How often each step was shortened."""
    if not has(log, "backtracks", "accepted"):
        return None
    x, tries = log.columns["steps"], log.columns["backtracks"]
    given_up = log.columns["accepted"] == 0
    series = [Series("backtracks", "stairs", x, tries, style=0)]
    if given_up.any():
        series.append(Series("no step taken", "crosses", x[given_up], tries[given_up], style=1))
    finite = tries[np.isfinite(tries)]
    return Figure(
        "search",
        "Line search",
        "How often each step was shortened before it was accepted; a cross is an update that found "
        "no step and left the policy as it was. Bad: crosses often, or backtracks near the number "
        "of tries: the quadratic model of the KL does not hold.",
        f"Accepted: {percent(1 - given_up.mean())} of the updates; "
        f"{finite.mean():.2g} backtracks in the mean.",
        STEPS,
        Axis("backtracks (number)", low=-0.1, high=max(1.0, float(finite.max())) + 0.1),
        tuple(series),
    )


def realized(log: Log) -> np.ndarray:
    """What each update gained on its batch."""
    return np.asarray(log.columns["objective_after"] - log.columns["objective_before"])


def improvement(log: Log) -> Figure | None:
    """What each step was to gain, against what it gained."""
    if not has(log, "predicted_improvement", "objective_after", "objective_before"):
        return None
    gain, predicted = realized(log), log.columns["predicted_improvement"]
    moved = predicted > 0
    ratio = gain[moved] / predicted[moved]
    return Figure(
        "improvement",
        "Predicted against realized improvement",
        "What the gradient promised for the step, gᵀΔ, and what the objective gained on the same "
        "batch. Bad: a realized gain far below the predicted one, or below zero: the step leaves "
        "the region where the gradient holds.",
        f"Realized over predicted: {quantiles(ratio)}.",
        STEPS,
        Axis("improvement (units of the objective)"),
        (
            line(log, "predicted_improvement", "predicted", 1),
            Series("realized", "line", log.columns["steps"], gain, style=0),
            level(log, "no change", 0.0),
        ),
    )


def penalty(log: Log) -> Figure | None:
    """The weight of the KL in the objective, or the one that the trust region amounts to."""
    name = "kl_penalty" if has(log, "kl_penalty") else "beta"
    if not has(log, name):
        return None
    values = log.columns[name]
    penalized = name == "kl_penalty"
    says = (
        "The weight β of the KL in the objective, adapted so that steps have the KL aimed at. "
        "Bad: at a bound of its range for long."
        if penalized
        else "The β whose penalized problem has the step that the trust region gives, √(dᵀFd/2δ). "
        "It varies over orders of magnitude in a run, which is why a constant β is hard to choose."
    )
    return Figure(
        "beta",
        "Penalty β on the KL" if penalized else "Equivalent penalty β on the KL",
        says,
        f"β: {quantiles(values)}.",
        STEPS,
        Axis("β (objective per nat)", log=True),
        (Series("β", "stairs", log.columns["steps"], positive(values), style=0),),
    )
