"""What several runs show together: curves over seeds with their uncertainty, and comparisons of
methods over tasks (Agarwal et al. 2021)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from surefoot import statistics
from surefoot.reporting.figures import PLAIN, Axis, Figure, Series, running_mean
from surefoot.reporting.grouping import Group, group
from surefoot.reporting.log import Log
from surefoot.reporting.panels import STEPS, diverged, final_score
from surefoot.reporting.tables import Table, number
from surefoot.runs import configuration
from surefoot.runs.summary import WINDOW

#: Points of a curve over seeds.
_GRID = 100
#: Draws for the bands of curves, of which there are hundreds; tables have more.
_BAND_RESAMPLES = 1000
_PAIR_RESAMPLES = 2000
#: Numbers that a bootstrap of curves holds at a time.
_AT_ONCE = 4_000_000
#: Methods of which every pair is compared; of more, each against the best.
_MOST_PAIRED = 5
_MOST_SAID = 5
_TAUS = 101
_TRACES = {
    "kl_mean": (
        "kl",
        "How far each step moved the policy",
        Axis("mean KL(old‖new) (nats)", log=True),
        "KL(old‖new) of an update, mean over the batch's states; median over the runs.",
    ),
    "entropy": (
        "entropy",
        "Entropy of the policy",
        Axis("entropy (nats)"),
        "How random its actions are, mean over the batch's states; median over the runs.",
    ),
    "explained_variance": (
        "critic",
        "Explained variance of the critic",
        Axis("explained variance (–)", low=-1.0, high=1.02),
        "1 is a perfect critic, 0 is as good as a constant; median over the runs.",
    ),
}


class Comparison(NamedTuple):
    """Everything that is shown of several runs."""

    figures: list[Figure]
    tables: list[Table]
    notes: list[str]
    groups: list[Group]


def compare(logs: Sequence[Log]) -> Comparison:
    """Figures and tables of runs, in reading order."""
    groups, repeated = _once(group(logs))
    floors = _floors(groups)
    styles = {method: i for i, method in enumerate(dict.fromkeys(g.method for g in groups))}
    tasks = list(dict.fromkeys(one.task for one in groups))
    scored = {
        task: [g for g in groups if g.task == task and _scores(g, floors).size] for task in tasks
    }
    figures = [
        _curves(i, task, scored[task], styles, floors, wide=len(tasks) < 3)
        for i, task in enumerate(tasks)
        if scored[task]
    ]
    tables, notes = [_summary(groups, floors)], [*repeated, *_notes(groups, floors)]
    methods, common = _common(scored)
    if len(methods) > 1 and common:
        scores = _normalized(scored, methods, common, floors)
        if len(common) > 1:
            tables.append(_over_tasks(scores, common))
        figures.append(_profile(scores, common, styles))
        figure, table = _improvement(scores, common)
        figures.append(figure)
        tables.append(table)
        left = [method for method in styles if method not in methods]
        if left:
            notes.append(
                f"not compared over tasks: {', '.join(left)}; compared are the methods with scores "
                f"on {', '.join(common)}"
            )
    for name in _TRACES:
        for i, task in enumerate(tasks):
            figure_or_none = _trace(i, name, task, [g for g in groups if g.task == task], styles)
            if figure_or_none is not None:
                figures.append(figure_or_none)
    return Comparison(figures, tables, notes, groups)


def _once(groups: Sequence[Group]) -> tuple[list[Group], list[str]]:
    """The groups with each seed once, and what was left out: a seed trained again is the same
    run."""
    kept, notes = [], []
    for one in groups:
        of_seed: dict[str, list[Log]] = {}
        for log in one.runs:
            seed = log.config["setup"].get("seed")
            # Of those that do not say, each may be another one.
            name = f"at {id(log)}" if seed is None else f"seed {seed}"
            of_seed.setdefault(name, []).append(log)
        kept.append(one._replace(runs=[max(logs, key=_written) for logs in of_seed.values()]))
        notes += [
            f"{name} of {one.method} on {one.task} is there {_times(len(logs))} and counts once: "
            f"the newest, {max(logs, key=_written).folder}"
            for name, logs in of_seed.items()
            if len(logs) > 1
        ]
    return kept, notes


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count:,} times"


def _written(log: Log) -> float:
    """When the newest row was written, in seconds."""
    for name in ("metrics.jsonl", configuration.NAME):
        with contextlib.suppress(OSError):
            return (log.folder / name).stat().st_mtime
    return 0.0


def _floors(groups: Sequence[Group]) -> dict[str, float]:
    """The lowest score of each task that has one."""
    floors: dict[str, float] = {}
    for one in groups:
        for log in one.runs:
            score = final_score(log)
            if np.isfinite(score):
                floors[one.task] = min(score, floors.get(one.task, score))
    return floors


def _scores(one: Group, floors: dict[str, float]) -> np.ndarray:
    """Final scores of the runs in which an episode ended; of one that diverged it is the lowest
    of the task, for without it a method that diverges would look good."""
    scores = np.array(
        [floors.get(one.task, np.nan) if diverged(log) else final_score(log) for log in one.runs]
    )
    return scores[np.isfinite(scores)]


def _notes(groups: Sequence[Group], floors: dict[str, float]) -> list[str]:
    runs = [(one.task, log) for one in groups for log in one.runs]
    unfinished = sum(not log.complete for _, log in runs)
    empty = sum(not len(log.returns) for _, log in runs)
    lowest = sum(diverged(log) and task in floors for task, log in runs)
    nothing = sum(diverged(log) and task not in floors for task, log in runs)
    some = sum(not diverged(log) and not np.isfinite(log.returns).all() for _, log in runs)
    notes = []
    if unfinished:
        which = "1 unfinished run counts" if unfinished == 1 else f"{unfinished:,} unfinished runs"
        has = "it has" if unfinished == 1 else "they have"
        notes.append(f"{which}{' count' * (unfinished > 1)} with the steps that {has}")
    if empty:
        notes.append(f"no episode ended in {_runs(empty)}: no score")
    if lowest:
        notes.append(
            f"diverged: {_runs(lowest)} whose last {WINDOW} episodes all have returns that are not "
            "finite, counted as the lowest score of the task"
        )
    if nothing:
        notes.append(
            f"diverged: {_runs(nothing)} whose last {WINDOW} episodes all have returns that are "
            "not finite, on a task on which no run has a score: left out"
        )
    if some:
        notes.append(
            f"in {_runs(some)} some episodes have returns that are not finite; no mean has them"
        )
    return notes


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _grid(log: Log, ends: np.ndarray, floor: float) -> np.ndarray:
    """Mean return of the last episodes at each of the steps, `floor` where it is not finite; NaN
    before the first."""
    if not len(log.returns):
        return np.full(len(ends), np.nan)
    at = np.searchsorted(log.episode_steps, ends, side="right") - 1
    values = running_mean(log.returns, WINDOW)[np.maximum(at, 0)]
    values = np.where(np.isfinite(values), values, floor)
    return np.where((at >= 0) & (ends <= log.total + 0.5), values, np.nan)


def _interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interquartile mean and its band of curves [runs, points], of the runs that have a value
    there."""
    middle, low, high = np.full((3, values.shape[1]), np.nan)
    there = np.isfinite(values)
    patterns, which = np.unique(there, axis=1, return_inverse=True)
    for number_, pattern in enumerate(patterns.T):
        points = np.flatnonzero(which.ravel() == number_)
        runs = values[pattern]
        if not len(runs):
            continue
        middle[points] = statistics.interquartile_mean(runs[:, points])
        if len(runs) < 2:
            continue
        size = max(1, _AT_ONCE // (_BAND_RESAMPLES * len(runs)))
        for part in np.array_split(points, -(-len(points) // size)):
            low[part], high[part] = statistics.bootstrap_interval(
                [runs[:, part].astype(np.float32)], resamples=_BAND_RESAMPLES
            )
    return middle, low, high


def _curves(
    place: int,
    task: str,
    groups: Sequence[Group],
    styles: dict[str, int],
    floors: dict[str, float],
    *,
    wide: bool,
) -> Figure:
    end = max(log.total for one in groups for log in one.runs)
    ends = np.linspace(0, end, _GRID + 1)[1:]
    series, said = [], []
    for one in groups:
        values = np.array([_grid(log, ends, floors[task]) for log in one.runs])
        middle, low, high = _interval(values)
        label = f"{one.method} ({len(one.runs)})"
        series.append(Series(label, "interval", ends, middle, low, high, styles[one.method]))
        middle_score = statistics.interquartile_mean(_scores(one, floors)).item()
        said.append(f"{one.method} {number(middle_score)}")
    return Figure(
        f"curves-{place}",
        f"Return on {task}",
        f"Interquartile mean over the runs, whose number stands in brackets, of each one's mean of "
        f"the last {WINDOW} episodes, and its pointwise 95 % stratified-bootstrap interval. With "
        "few runs such an interval is too narrow.",
        f"Interquartile means at the end: {_said(said)}",
        STEPS,
        Axis("undiscounted return (reward)"),
        tuple(series),
        wide=wide,
    )


def _trace(
    place: int, name: str, task: str, groups: Sequence[Group], styles: dict[str, int]
) -> Figure | None:
    word, title, axis, says = _TRACES[name]
    series, said = [], []
    for one in groups:
        runs = [log for log in one.runs if name in log.traced]
        if not runs:
            continue
        ends = np.linspace(0, max(log.total for log in runs), _GRID + 1)[1:]
        values = np.array([_at(log, name, ends) for log in runs])
        points = np.isfinite(values).any(axis=0)
        if not points.any():
            continue
        middle = np.nanmedian(values[:, points], axis=0)
        shown = np.where(middle > 0, middle, np.nan) if axis.log else middle
        series.append(Series(one.method, "line", ends[points], shown, style=styles[one.method]))
        said.append(f"{one.method} {number(float(np.median(middle)))}")
    if not series:
        return None
    return Figure(
        f"{word}-{place}",
        f"{title}: {task}",
        says,
        f"Medians over the run: {_said(said)}",
        STEPS,
        axis,
        tuple(series),
    )


def _at(log: Log, name: str, ends: np.ndarray) -> np.ndarray:
    at = np.clip(np.searchsorted(log.steps, ends), 0, len(log.steps) - 1)
    values = log.traced[name][at]
    return np.where((ends <= log.total + 0.5) & np.isfinite(values), values, np.nan)


def _summary(groups: Sequence[Group], floors: dict[str, float]) -> Table:
    rows = []
    for one in groups:
        scores = _scores(one, floors)
        middle = low = high = mean = std = float("nan")
        if len(scores):
            middle, mean = float(statistics.interquartile_mean(scores)), float(scores.mean())
        if len(scores) > 1:
            low, high = map(float, statistics.bootstrap_interval([scores]))
            std = float(scores.std(ddof=1))
        steps = sorted({log.total for log in one.runs})
        rows.append(
            (
                one.method,
                one.task,
                str(len(one.runs)),
                f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}",
                number(middle),
                _range(low, high),
                number(mean) if std != std else f"{number(mean)} ± {number(std)}",
                number(float(scores.min())) if len(scores) else "–",
                number(float(scores.max())) if len(scores) else "–",
            )
        )
    header = ("method", "task", "runs", "steps", "IQM", "95 % interval", "mean ± std")
    return Table(
        f"Mean return of each run's last {WINDOW} episodes: interquartile mean over the runs with "
        "its 95 % bootstrap interval, and mean with standard deviation",
        (*header, "lowest", "highest"),
        rows,
        copied=True,
    )


def _said(parts: Sequence[str]) -> str:
    """The first few of them as a sentence."""
    more = len(parts) - _MOST_SAID
    end = f"; and {more:,} more" if more > 0 else ""
    return "; ".join(parts[:_MOST_SAID]) + end + "."


def _range(low: float, high: float, say: Callable[[float], str] = number) -> str:
    return "–" if low != low else f"{say(low)} to {say(high)}"


class _Scores(NamedTuple):
    """Scores that can be put together."""

    of: dict[str, list[np.ndarray]]
    """For each method one array a task."""
    unit: str
    """What they are in."""


def _common(scored: dict[str, list[Group]]) -> tuple[list[str], list[str]]:
    """The methods to compare, and the tasks that all of them have scores on: the tasks that the
    most methods have."""
    by_method: dict[str, list[str]] = {}
    for task, groups in scored.items():
        for one in groups:
            by_method.setdefault(one.method, []).append(task)
    sets = list(dict.fromkeys(map(tuple, by_method.values())))

    def methods(tasks: tuple[str, ...]) -> list[str]:
        return [name for name, own in by_method.items() if set(tasks) <= set(own)]

    if not sets:
        return [], []
    best = max(sets, key=lambda tasks: (len(methods(tasks)) > 1, len(methods(tasks)) * len(tasks)))
    return methods(best), list(best)


def _normalized(
    scored: dict[str, list[Group]],
    methods: Sequence[str],
    tasks: Sequence[str],
    floors: dict[str, float],
) -> _Scores:
    raw = {
        task: {one.method: _scores(one, floors) for one in scored[task] if one.method in methods}
        for task in tasks
    }
    if len(tasks) == 1:
        return _Scores({method: [raw[tasks[0]][method]] for method in methods}, "return (reward)")
    of: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    for task in tasks:
        every = np.concatenate(list(raw[task].values()))
        low, span = every.min(), np.ptp(every) or 1.0
        for method in methods:
            of[method].append((raw[task][method] - low) / span)
    return _Scores(of, "score, 0 the lowest and 1 the highest run of the task (–)")


def _over_tasks(scores: _Scores, tasks: Sequence[str]) -> Table:
    rows = []
    for method, strata in scores.of.items():
        every = np.concatenate(strata)
        interval = "–"
        if min(map(len, strata)) > 1:
            interval = "{:.3f} to {:.3f}".format(*statistics.bootstrap_interval(strata))
        middle = float(statistics.interquartile_mean(every))
        rows.append((method, str(len(every)), f"{middle:.3f}", interval, f"{every.mean():.3f}"))
    return Table(
        f"Over {len(tasks)} tasks ({', '.join(tasks)}): scores scaled per task, 0 the lowest run "
        "and 1 the highest",
        ("method", "runs", "IQM", "95 % interval", "mean"),
        rows,
        copied=True,
    )


def _profile(scores: _Scores, tasks: Sequence[str], styles: dict[str, int]) -> Figure:
    every = np.concatenate([one for strata in scores.of.values() for one in strata])
    low, high = float(every.min()), float(every.max())
    margin = 0.02 * (high - low or 1.0)
    taus = np.linspace(low - margin, high + margin, _TAUS)
    series = []
    for method, strata in scores.of.items():
        share = statistics.performance_profile(strata, taus)
        band: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        if min(map(len, strata)) > 1:
            band = statistics.profile_interval(strata, taus, resamples=_PAIR_RESAMPLES)
        series.append(Series(method, "interval", taus, share, *band, styles[method]))
    return Figure(
        "profile",
        "Performance profiles",
        f"Share of the runs with a final score above τ, on {', '.join(tasks)}, with pointwise 95 % "
        "bands. A curve above another everywhere is the better method; where they cross, it "
        "depends on what is asked for.",
        f"{len(scores.of)} methods, {len(every)} runs.",
        Axis(f"τ: {scores.unit}"),
        Axis("share of runs above τ (–)", low=-0.02, high=1.02),
        tuple(series),
    )


def _improvement(scores: _Scores, tasks: Sequence[str]) -> tuple[Figure, Table]:
    names = list(scores.of)
    means = {
        name: statistics.interquartile_mean(np.concatenate(scores.of[name])).item()
        for name in names
    }
    names.sort(key=lambda name: -means[name])
    if len(names) <= _MOST_PAIRED:
        pairs = [(x, y) for i, x in enumerate(names) for y in names[i + 1 :]]
    else:
        pairs = [(names[0], y) for y in names[1:]]
    found = []
    for x, y in pairs:
        chance = statistics.probability_of_improvement(scores.of[x], scores.of[y])
        low = high = float("nan")
        # One run, drawn again and again, is no evidence of how much runs differ.
        if min(map(len, scores.of[x] + scores.of[y])) > 1:
            low, high = statistics.improvement_interval(
                scores.of[x], scores.of[y], resamples=_PAIR_RESAMPLES
            )
        found.append((chance, low, high))
    middle, low_, high_ = np.array(found, float).T
    labels = tuple(f"{x} > {y}" for x, y in pairs)
    places = np.arange(len(pairs), dtype=float)[::-1]
    against = "" if len(names) <= _MOST_PAIRED else f", {names[0]} against each other method"
    figure = Figure(
        "improvement",
        "Probability of improvement",
        "P(X > Y): how likely a run of X scores higher than one of Y, mean over "
        f"{', '.join(tasks)}, ties counted half, with 95 % intervals{against}. One half is no "
        "difference; an interval that holds it has not shown one.",
        _said([f"{label}: {value:.2f}" for label, value in zip(labels, middle, strict=True)]),
        Axis("probability of improvement P(X > Y) (–)", low=-0.02, high=1.02),
        Axis("", labels=labels[::-1]),
        (
            Series(
                "no difference",
                "rule",
                np.array([0.5, 0.5]),
                np.array([-0.5, len(pairs) - 0.5]),
                style=PLAIN,
            ),
            Series("probability, 95 % interval", "bars", middle, places, low_, high_, style=0),
        ),
        wide=len(pairs) > _MOST_SAID,
        rows=len(pairs),
    )
    rows = [
        (x, y, f"{p:.3f}", _range(low, high, "{:.3f}".format))
        for (x, y), (p, low, high) in zip(pairs, found, strict=True)
    ]
    table = Table(
        f"Probability that a run of X scores higher than one of Y, on {', '.join(tasks)}",
        ("X", "Y", "P(X > Y)", "95 % interval"),
        rows,
        copied=True,
    )
    return figure, table
