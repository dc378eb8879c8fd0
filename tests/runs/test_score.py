"""How good a run is: slow loops say what a score is, and every place says the same."""

import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.learning import lines, single
from surefoot.common import statistics
from surefoot.reporting.comparison import compare
from surefoot.reporting.data import read_run
from surefoot.runs.display.dashboard import of_run
from surefoot.runs.display.watched_run import RunWatcher
from surefoot.runs.score import (
    POINTS,
    Returns,
    Scoring,
    area,
    learning_curve,
    score,
    steps_to,
)

fast = settings(max_examples=50, deadline=None, derandomize=True)
returns = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
#: (steps that an iteration took, returns of the episodes that ended in it, an evaluation after it).
iterations = st.lists(
    st.tuples(st.integers(1, 500), st.lists(returns, max_size=4), st.none() | returns),
    min_size=1,
    max_size=60,
)


def accumulated(parts):
    """(steps so far, returns, evaluation) of each."""
    steps, rows = 0, []
    for took, *rest in parts:
        steps += took
        rows.append((steps, *rest))
    return rows


def slow_score(total, episodes, evaluations):
    """(value, number, kind) from single episodes and evaluations: (steps, return) each."""
    every = evaluations or episodes
    window = [value for at, value in every if at > total * 9 / 10]
    if not window and every:
        newest = max(at for at, _ in every)
        window = [value for at, value in every if at == newest]
    finite = [value for value in window if math.isfinite(value)]
    value = sum(finite) / len(finite) if finite else math.nan
    return value, len(window), "evaluation" if evaluations else "episode"


def split(pairs):
    return [at for at, _ in pairs], [value for _, value in pairs]


@fast
@given(parts=iterations, with_evaluations=st.booleans())
def test_a_score_is_that_of_slow_loops_whole_and_row_by_row(parts, with_evaluations):
    rows, growing = accumulated(parts), Scoring()
    episodes, evaluations = [], []
    for steps, values, evaluated in rows:
        growing.add(steps, values)
        episodes += [(steps, value) for value in values]
        if with_evaluations and evaluated is not None:
            growing.add_evaluation(steps, evaluated)
            evaluations.append((steps, evaluated))
        value, number, of = slow_score(steps, episodes, evaluations)
        whole = score(steps, Returns.of(*split(episodes)), Returns.of(*split(evaluations)))
        for found in (whole, growing.score):
            assert found.value == pytest.approx(value, rel=1e-9, abs=1e-6, nan_ok=True)
            assert (found.ended, found.of) == (number, of)
            assert found.diverged == (number > 0 and math.isnan(value))


def test_the_window_begins_after_nine_tenths_of_the_steps():
    episodes = Returns.of([900, 901, 950, 1000], [0.0, 1.0, 2.0, 6.0])
    assert score(1000, episodes).value == 3.0
    assert score(1000, episodes).words == (
        "mean of the 3 episodes that ended in the last tenth of the steps"
    )


def test_where_no_episode_ended_in_the_window_those_that_ended_last_count():
    episodes = Returns.of([100, 300, 300], [1.0, 5.0, 7.0])
    found = score(1000, episodes)
    assert (found.value, found.recent) == (6.0, False)
    assert found.words.endswith("that ended last, before the last tenth of the steps")
    nothing = score(1000, Returns.of([], []))
    assert (nothing.ended, nothing.exists, nothing.diverged) == (0, False, False)
    assert nothing.words == "no episode ended"


def test_evaluations_count_in_the_place_of_episodes_and_the_newest_if_none_is_late():
    episodes = Returns.of([1000], [1.0])
    assert score(1000, episodes, Returns.of([500, 950, 1000], [2.0, 4.0, 6.0])).value == 5.0
    early = score(1000, episodes, Returns.of([400, 800], [2.0, 4.0]))
    assert (early.value, early.words) == (
        4.0,
        "the newest evaluation, before the last tenth of the steps",
    )


@fast
@given(st.lists(st.tuples(st.integers(1, 5000), returns), max_size=60))
def test_a_learning_curve_is_that_of_slow_loops(pairs):
    total = 5000
    ends, means = learning_curve(total, Returns.of(*split(pairs)))
    slow, held, steps_to_zero = [], [], math.inf
    for number in range(1, POINTS + 1):
        low, high = (number - 1) * total / POINTS, number * total / POINTS
        inside = [value for at, value in pairs if low < at <= high and math.isfinite(value)]
        slow.append(sum(inside) / len(inside) if inside else math.nan)
        if inside or held:
            held.append(slow[-1] if inside else held[-1])
        if slow[-1] >= 0 and math.isinf(steps_to_zero):
            steps_to_zero = high
        assert ends[number - 1] == high
    np.testing.assert_allclose(means, slow, rtol=1e-9, atol=1e-6)
    mean = sum(held) / len(held) if held else math.nan
    assert area(means) == pytest.approx(mean, rel=1e-9, abs=1e-6, nan_ok=True)
    assert steps_to(0.0, ends, np.array(slow)) == steps_to_zero


@fast
@given(iterations)
def test_what_is_forgotten_counts_in_nothing(parts):
    """A long run holds the rows of its last tenth, and at most about as many before."""
    growing = Scoring()
    for number in range(1, 2000):
        growing.add(10 * number, [1.0])
    held = len(growing._episodes.returns().steps)
    assert 199 <= held <= 2 * 200 + 2
    for steps, values, _ in accumulated(parts):
        growing.add(20_000 + steps, values)
    assert growing.score.ended >= 1


def write_run(folder, rows, *, method="trpo", seed=0, steps, evaluations=()):
    folder.mkdir(parents=True)
    config = {
        "algorithm": method,
        "environment": "CartPole-v1",
        "environment_id": "CartPole-v1",
        "hyperparameters": {},
        "setup": {"steps": steps, "seed": seed},
        "steps": steps,
        "versions": {},
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = [
        {
            "iteration": number,
            "steps": at,
            "kl_mean": 0.01,
            "episode_returns": [x if math.isfinite(x) else str(x) for x in values],
            "episode_lengths": [1] * len(values),
        }
        for number, (at, values) in enumerate(rows)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if evaluations:
        told = [{"steps": at, "mean": mean, "std": 0.0} for at, mean in evaluations]
        (folder / "evaluations.jsonl").write_text("".join(json.dumps(x) + "\n" for x in told))
    return folder


@pytest.mark.parametrize("evaluated", [False, True], ids=["episodes", "evaluations"])
def test_report_watch_and_benchmark_say_the_same(tmp_path, evaluated):
    rng = np.random.default_rng(0)
    rows = [(64 * k, list(rng.normal(k, 5, size=k % 4))) for k in range(1, 120)]
    rows[110][1].append(math.nan)
    total = rows[-1][0]
    points = [(1280 * k, float(k)) for k in range(1, 6)] if evaluated else []
    folder = write_run(tmp_path / "run", rows, steps=total, evaluations=points)
    log = read_run.read(folder, detail=0)
    watched = RunWatcher(folder)
    watched.poll()
    assert log.score == pytest.approx(watched.summary.scoring.score)
    ended = [(at, value) for at, values in rows for value in values]
    if not evaluated:
        row = {"steps": total, **single.summary(ended, total)}
        assert row["score"] == pytest.approx(log.score.value, rel=1e-4)
        ends, means = lines.curve(row)
        np.testing.assert_array_equal(ends, log.curve[0])
        np.testing.assert_allclose(means, log.curve[1], rtol=1e-4)
    console = Console(file=io.StringIO(), width=120)
    console.print(of_run(watched))
    assert f"{log.score.value:.1f}, {log.score.brief}" in console.file.getvalue()


def test_a_run_that_is_written_anew_keeps_its_evaluations(tmp_path):
    rows = [(100 * k, [1.0]) for k in range(1, 11)]
    folder = write_run(tmp_path / "run", rows, steps=1000, evaluations=[(1000, 7.0)])
    watched = RunWatcher(folder)
    watched.poll()
    assert watched.summary.scoring.score.value == 7.0
    # A shorter file: the run was resumed from an earlier checkpoint.
    text = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(text[:3]))
    watched.poll()
    assert (watched.summary.rows, watched.summary.scoring.score.value) == (3, 7.0)


def learned(at, total=100_000, batch=2048):
    """Rows of a run on CartPole that balances every pole to the end from `at` steps on."""
    rows, steps, unfinished = [], 0, 0
    while steps + batch <= total:
        steps += batch
        length = 500 if steps > at else 20 + 300 * steps / at
        number, unfinished = divmod(batch + unfinished, int(length))
        rows.append((steps, [float(int(length))] * int(number)))
    return rows


def test_three_methods_that_solved_cartpole_score_alike_and_differ_in_how_fast(tmp_path):
    """A hundred episodes of 500 steps are half of these runs: their mean told when a method had
    learned, and was called how well."""
    solved = {"trpo": 75_000, "ppo_clip": 65_000, "npg": 55_000}
    logs, last_hundred = [], []
    for method, at in solved.items():
        rows = learned(at)
        last_hundred.append(np.mean([x for _, values in rows for x in values][-100:]))
        for seed in range(2):
            path = tmp_path / f"{method}-{seed}"
            folder = write_run(path, rows, method=method, seed=seed, steps=rows[-1][0])
            logs.append(read_run.read(folder, detail=0))
    assert np.ptp(last_hundred) > 10
    assert {log.score.value for log in logs} == {500.0}
    summary, speed, improvement = compare.compare(logs).tables
    assert {cells[4] for cells in summary.rows} == {"500"}
    assert {cells[2] for cells in improvement.rows} == {"0.500"}
    reached = {cells[0]: int(cells[4].replace(",", "")) for cells in speed.rows}
    assert {cells[2] for cells in speed.rows} == {"475"}
    assert reached["npg"] < reached["ppo_clip"] < reached["trpo"]
    areas = {cells[0]: float(cells[5]) for cells in speed.rows}
    assert areas["npg"] > areas["ppo_clip"] > areas["trpo"]
    # One half is what a comparison of equals is.
    assert statistics.probability_of_improvement([np.ones(3)], [np.ones(3)]) == 0.5


def test_runs_with_and_without_evaluations_are_scored_alike(tmp_path):
    rows = [(100 * k, [1.0]) for k in range(1, 11)]
    one = write_run(tmp_path / "a", rows, steps=1000, evaluations=[(1000, 9.0)])
    other = write_run(tmp_path / "b", rows, method="npg", steps=1000)
    shown = compare.compare([read_run.read(folder, detail=0) for folder in (one, other)])
    assert [cells[4] for cells in shown.tables[0].rows] == ["1", "1"]
    assert any("only 1 run on CartPole-v1 was evaluated" in x for x in shown.notes)
    alone = compare.compare([read_run.read(one, detail=0)])
    assert [cells[4] for cells in alone.tables[0].rows] == ["9"]


def test_seeds_side_by_side_are_scored_together():
    runs = [Scoring(), Scoring()]
    for number in range(1, 11):
        for run, value in zip(runs, (number, 10 * number), strict=True):
            run.add(100 * number, [float(value)])
    runs[0].add_evaluation(1000, 3.0)
    together = Scoring.together(runs)
    assert (together.steps, together.score.value) == (2000, 3.0)
    together.replace_evaluations([])
    assert together.score.value == 55.0
