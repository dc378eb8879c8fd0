"""What one run shows: a figure for every question that its diagnostics answer, and none for those
that its method does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from surefoot.reporting.figures import PLAIN, Axis, Figure, Series, running_mean, thin
from surefoot.reporting.log import Log
from surefoot.reporting.tables import number, percent
from surefoot.runs.methods import learns_offline, step_kl
from surefoot.runs.summary import WINDOW

#: Dots that an eye, and a telephone, can take.
MOST_EPISODES = 20_000
MOST_POINTS = 1000
STEPS = Axis("environment steps")


def figures(log: Log) -> list[Figure]:
    """The run's figures, in reading order."""
    return [figure for panel in _PANELS if (figure := panel(log)) is not None]


def _has(log: Log, *names: str) -> bool:
    return all(np.isfinite(log.columns.get(name, np.nan)).any() for name in names)


def _line(log: Log, name: str, label: str, style: int = 0, *, faint: bool = False) -> Series:
    return Series(label, "line", log.columns["steps"], log.columns[name], style=style, faint=faint)


def _level(log: Log, label: str, value: float, style: int = PLAIN) -> Series:
    ends = np.array([log.columns["steps"][0], log.columns["steps"][-1]])
    return Series(label, "rule", ends, np.array([value, value]), style=style)


def _positive(values: np.ndarray) -> np.ndarray:
    """Values for a logarithmic axis, which has no place for others."""
    return np.where(values > 0, values, np.nan)


def _last(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else float("nan")


def _quantiles(values: np.ndarray) -> str:
    """Where the values lie, in words."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "no finite value"
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95])
    return f"median {number(middle)}, 5 % to 95 %: {number(low)} to {number(high)}"


def _learning(log: Log) -> Figure | None:
    if not len(log.returns) and log.evaluations is None:
        return _likelihood(log)
    series = []
    many = len(log.returns) > MOST_EPISODES
    if len(log.returns):
        shown = thin(len(log.returns), MOST_EPISODES)
        series.append(
            Series(
                "episodes",
                "points",
                log.episode_steps[shown],
                log.returns[shown],
                style=0,
                faint=True,
            )
        )
        mean = running_mean(log.returns, WINDOW)
        shown = thin(len(mean), MOST_POINTS)
        label = f"mean of the last {WINDOW}"
        series.append(Series(label, "line", log.episode_steps[shown], mean[shown], style=0))
    if log.evaluations is not None:
        at = log.evaluations
        series.append(
            Series(
                "evaluation, mean ± std",
                "bars",
                at.steps,
                at.mean,
                at.mean - at.std,
                at.mean + at.std,
                style=1,
            )
        )
    series += _marks(log)
    return Figure(
        "learning",
        "Return of the episodes",
        "A dot is an episode that ended"
        + (f" ({MOST_EPISODES:,} of {len(log.returns):,}, evenly)" if many else "")
        + f", the line the mean of the last {WINDOW}. Those of one iteration are spread over its "
        "steps. Bad: a mean that falls and stays low, or dots in two separate bands.",
        f"{len(log.returns):,} episodes over {log.total:,} steps; "
        f"mean of the last {min(WINDOW, len(log.returns))}: {number(final_score(log))}; "
        f"best running mean: {number(best_mean(log))}.",
        STEPS,
        Axis("undiscounted return (reward)"),
        tuple(series),
        wide=True,
    )


def final_score(log: Log) -> float:
    """Mean return of the last episodes, of those that are finite; NaN if there are none."""
    last = log.returns[-WINDOW:]
    last = last[np.isfinite(last)]
    return float(last.mean()) if len(last) else float("nan")


def diverged(log: Log) -> bool:
    """Whether the last episodes ended, and none with a finite return."""
    return len(log.returns) > 0 and not np.isfinite(final_score(log))


def best_mean(log: Log) -> float:
    """The highest mean of a whole window, or of all episodes where there are fewer; NaN if none
    ended."""
    mean = running_mean(log.returns, WINDOW)[WINDOW - 1 :]
    mean = mean[np.isfinite(mean)]
    return float(mean.max()) if len(mean) else final_score(log)


def _likelihood(log: Log) -> Figure | None:
    """What a method that learns from recorded data has in place of returns."""
    if not (learns_offline(log.config) and _has(log, "objective_after")):
        return None
    values = log.columns["objective_after"]
    return Figure(
        "likelihood",
        "Likelihood of the recorded actions",
        "Mean log-likelihood of the recorded actions under the policy, with its regularizers, "
        "after each pass. Bad: a curve that falls.",
        f"From {number(values[0])} to {number(_last(values))} nats.",
        Axis("recorded transitions seen"),
        Axis("objective (nats)"),
        (_line(log, "objective_after", "after the pass"), *_marks(log)),
        wide=True,
    )


def _marks(log: Log) -> list[Series]:
    """What happened to the run, at the foot of the figure."""
    finite = log.returns[np.isfinite(log.returns)]
    values = finite if len(finite) else log.columns.get("objective_after", np.zeros(1))
    foot = float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
    return [
        Series(f"{what} ({len(at):,})", "crosses", at, np.full(len(at), foot), style=style)
        for what, at, style in (
            ("refused update", log.refused, 4),
            ("environment restarted", log.restarts, 5),
        )
        if len(at)
    ]


def _kl(log: Log) -> Figure | None:
    if not _has(log, "kl_mean"):
        return None
    x, mean = log.columns["steps"], log.columns["kl_mean"]
    series = []
    if _has(log, "kl_max"):
        largest = _positive(log.columns["kl_max"])
        series.append(Series("largest", "line", x, largest, style=4, faint=True))
    series.append(Series("mean", "line", x, _positive(mean), style=0))
    allowed, beyond = step_kl(log.config), ""
    if allowed is not None:
        series.append(_level(log, f"{allowed.words} = {allowed.value:g}", allowed.value))
        share = float(np.mean(mean[np.isfinite(mean)] > allowed.value))
        beyond = f"; above {allowed.value:g} nats in {percent(share)} of the iterations"
    return Figure(
        "kl",
        "How far each step moved the policy",
        "KL(old‖new) over the batch's states, against what the method allows or aims at. Bad: a "
        "mean far above the dashed line, or a maximum hundreds of times the mean. Steps of zero "
        "length have no place on this axis.",
        f"Mean KL: {_quantiles(mean)} nats{beyond}.",
        STEPS,
        Axis("KL(old‖new) over the states (nats)", log=True),
        tuple(series),
    )


def _scale(log: Log) -> Figure | None:
    if not _has(log, "step_scale"):
        return None
    alpha = log.columns["step_scale"] * log.columns.get("shrink", 1.0)
    taken = " after the line search" if "shrink" in log.columns else ""
    return Figure(
        "scale",
        "Length of the accepted step",
        f"The factor α on the direction{taken}. It has no unit of its own: where KL and "
        "curvature set it, it grows as the gradient fades. Bad: a collapse to zero, where nothing "
        "is learned any more.",
        f"α: {_quantiles(alpha)}.",
        STEPS,
        Axis("scale α of the step (–)", log=True),
        (Series("accepted α", "line", log.columns["steps"], _positive(alpha), style=0),),
    )


def _search(log: Log) -> Figure | None:
    if not _has(log, "backtracks", "accepted"):
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


def _improvement(log: Log) -> Figure | None:
    if not _has(log, "predicted_improvement", "objective_after", "objective_before"):
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
        f"Realized over predicted: {_quantiles(ratio)}.",
        STEPS,
        Axis("improvement (units of the objective)"),
        (
            _line(log, "predicted_improvement", "predicted", 1),
            Series("realized", "line", log.columns["steps"], gain, style=0),
            _level(log, "no change", 0.0),
        ),
    )


def _beta(log: Log) -> Figure | None:
    name = "kl_penalty" if _has(log, "kl_penalty") else "beta"
    if not _has(log, name):
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
        f"β: {_quantiles(values)}.",
        STEPS,
        Axis("β (objective per nat)", log=True),
        (Series("β", "stairs", log.columns["steps"], _positive(values), style=0),),
    )


def _fraction(
    name: str, column: str, title: str, says: str, axis: str, words: str
) -> Callable[[Log], Figure | None]:
    """A panel of a share between 0 and 1."""

    def panel(log: Log) -> Figure | None:
        if not _has(log, column):
            return None
        low, high = (0.0, 1.02) if np.nanmin(log.columns[column]) < 0.5 else (None, None)
        return Figure(
            name,
            title,
            says,
            f"{words}: {_quantiles(log.columns[column])}.",
            STEPS,
            Axis(axis, low=low, high=None if column == "clip_fraction" else high),
            (_line(log, column, words.lower()),),
        )

    return panel


def _entropy(log: Log) -> Figure | None:
    if not _has(log, "entropy"):
        return None
    values = log.columns["entropy"]
    return Figure(
        "entropy",
        "Entropy of the policy",
        "How random its actions are, mean over the batch's states; of continuous actions it may "
        "be negative. Bad: an early fall: exploration has ended before there was something to "
        "find.",
        f"From {number(_last(values[:1]))} to {number(_last(values))} nats.",
        STEPS,
        Axis("entropy (nats)"),
        (_line(log, "entropy", "entropy"),),
    )


#: Components of an action that have a line of their own; more are told by their range.
_MOST_DIMENSIONS = 8


def _std(log: Log) -> Figure | None:
    names = sorted(
        (name for name in log.columns if name.startswith("std.") and name[4:].isdecimal()),
        key=lambda name: int(name[4:]),
    )
    if not names:
        return None
    x, values = log.columns["steps"], np.array([log.columns[name] for name in names])
    if len(names) <= _MOST_DIMENSIONS:
        series: tuple[Series, ...] = tuple(
            _line(log, name, f"dimension {name[4:]}", style) for style, name in enumerate(names)
        )
    else:
        low, middle, high = values.min(axis=0), np.median(values, axis=0), values.max(axis=0)
        label = f"median and range of {len(names)} dimensions"
        series = (Series(label, "interval", x, middle, low, high),)
    last = values[:, -1]
    return Figure(
        "std",
        "Standard deviation of each action dimension",
        "σ of the Gaussian policy before actions are mapped to the environment's bounds, mean over "
        "the batch's states. Bad: one that grows without bound, or falls to zero early.",
        f"At the end from {number(last.min())} to {number(last.max())} over {len(names)} "
        + ("dimension." if len(names) == 1 else "dimensions."),
        STEPS,
        Axis("σ (units of the raw action)", log=bool((values > 0).all())),
        series,
    )


def _critic(log: Log) -> Figure | None:
    if not _has(log, "explained_variance"):
        return None
    values = log.columns["explained_variance"]
    lowest = float(np.nanmin(values))
    return Figure(
        "critic",
        "Explained variance of the critic",
        "1 − Var[target − V]/Var[target]: 1 is a perfect critic, 0 is as good as a constant. Bad: "
        "below zero after the first iterations." + (" The axis ends at −1." * (lowest < -1)),
        f"Explained variance: {_quantiles(values)}; at the end {number(_last(values))}.",
        STEPS,
        Axis(
            "explained variance (–)", low=max(lowest - 0.05, -1.0) if lowest < 0 else 0, high=1.02
        ),
        (_line(log, "explained_variance", "explained variance"), _level(log, "a constant", 0.0)),
    )


def _population(log: Log) -> Figure | None:
    if not _has(log, "population_return", "elite_return"):
        return None
    return Figure(
        "population",
        "Returns of the generation",
        "Mean return of all members, and of those the search was refitted to. Bad: equal: the "
        "search has collapsed.",
        f"At the end {number(_last(log.columns['population_return']))} and "
        f"{number(_last(log.columns['elite_return']))}.",
        STEPS,
        Axis("mean return (reward)"),
        (_line(log, "elite_return", "elite", 1), _line(log, "population_return", "all members")),
    )


def _search_std(log: Log) -> Figure | None:
    if not _has(log, "search_std"):
        return None
    values = log.columns["search_std"]
    return Figure(
        "search_std",
        "Width of the search",
        "Root mean square of the search's standard deviation over the parameters. Bad: near zero "
        "early.",
        f"From {number(values[0])} to {number(_last(values))}.",
        STEPS,
        Axis("standard deviation (units of a parameter)", log=bool((values > 0).all())),
        (_line(log, "search_std", "root mean square"),),
    )


#: Parts of an iteration, in the order in which they are stacked.
PARTS = {
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
        for name, words in PARTS.items()
        if _has(log, f"timing.{name}")
    }
    if "compiled program" in parts:
        # The first call of the program includes its compilation.
        parts["compiled program"] = np.maximum(parts["compiled program"] - compiling, 0)
    rest = np.nan_to_num(total) - compiling - sum(parts.values(), np.zeros(len(total)))
    parts["the rest"] = np.maximum(rest, 0)
    parts["compiling"] = compiling
    return parts


def _time(log: Log) -> Figure | None:
    parts = time_parts(log)
    parts.pop("compiling", None)
    if not parts:
        return None
    bins = np.array_split(
        np.arange(len(log.columns["steps"])), min(_BINS, len(log.columns["steps"]))
    )
    x = np.array([log.columns["steps"][part].mean() for part in bins])
    series = tuple(
        Series(words, "area", x, np.array([1000 * values[part].mean() for part in bins]), style=i)
        for i, (words, values) in enumerate(parts.items())
    )
    rate = log.columns.get("timing.steps_per_s", np.full(1, np.nan))
    return Figure(
        "time",
        "Where the time went",
        "Time of an iteration by its parts, stacked; the rest holds what is left of the "
        "critic's fit; compiling stands in the table. Bad: a height that grows with the run.",
        f"Environment steps per second: {_quantiles(rate)}.",
        STEPS,
        Axis("time of an iteration (ms)", low=0.0),
        series,
    )


def _panels() -> Iterator[Callable[[Log], Figure | None]]:
    yield _learning
    yield _population
    yield _kl
    yield _improvement
    yield _scale
    yield _search
    yield _beta
    yield _fraction(
        "clip",
        "clip_fraction",
        "Clipped samples",
        "Share of samples whose probability ratio lies outside 1 ± ε after the update. Bad: above "
        "0.3: the rate is too high.",
        "share of samples (–)",
        "Clipped",
    )
    yield _fraction(
        "projected",
        "projected_fraction",
        "Projected samples",
        "Share of samples whose gradient the trust region shortened. Bad: 0 always, where it does "
        "nothing; near 1, where little is learned.",
        "share of samples (–)",
        "Projected",
    )
    yield _fraction(
        "ess",
        "effective_sample_size",
        "Effective sample size of the importance weights",
        "(Σw)²/(nΣw²) of w = π_new/π_old on the batch: the share of it that still speaks for the "
        "new policy. Bad: below one half: the surrogate rests on few samples.",
        "effective share of the batch (–)",
        "Effective share",
    )
    yield _entropy
    yield _std
    yield _search_std
    yield _critic
    yield _time


_PANELS = tuple(_panels())
