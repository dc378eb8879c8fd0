"""Reports: what they read of a run, what they say of it, and how they look in a real browser."""

import base64
import contextlib
import html.parser
import importlib.util
import io
import json
import math
import os
import re
import sys

import numpy as np
import pytest
import scipy.stats

from benchmarks import reporting as synthetic
from support.browser import Browser, find
from surefoot import reporting
from surefoot.cli.main import main
from surefoot.common import statistics
from surefoot.reporting import page as pages
from surefoot.reporting import single_run
from surefoot.reporting.comparison import compare, grouping
from surefoot.reporting.data import read_run, run_paths
from surefoot.reporting.data.trailing_mean import trailing_mean
from surefoot.reporting.drawing import matplotlib_figures, plotly_figures, tables
from surefoot.reporting.drawing.figures import Axis, Figure, Series, thin
from surefoot.reporting.drawing.formatting import number, quantiles
from surefoot.reporting.drawing.series import STEPS
from surefoot.reporting.single_run.checks import checks
from surefoot.runs.folder import command_line, method_facts
from surefoot.runs.folder.diagnostic_table import followed

EVIL = "<script>alert(1)</script>&\"'"


def run(*arguments):
    """Exit code, output and errors of the command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in arguments])
    return code, out.getvalue(), err.getvalue()


def make(folder, rows=(), **config):
    """A run's folder."""
    folder.mkdir(parents=True)
    given = {
        "algorithm": "trpo",
        "environment": "CartPole-v1",
        "environment_id": "CartPole-v1",
        "hyperparameters": {"max_kl": 0.01, "damping": 0.1},
        "setup": {"steps": 1000, "seed": 0},
        "steps": 1000,
        "versions": {"surefoot": "0"},
        **config,
    }
    (folder / "config.json").write_text(json.dumps(given))
    text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text)
    return folder


def row(number, returns=(1.0,), **fields):
    timing = {"total": 0.5, "compile": 0.1, "environment": 0.2, "act": 0.1, "update": 0.05}
    return {
        "iteration": number,
        "steps": 100 * (number + 1),
        "objective_before": 0.0,
        "objective_after": 0.02,
        "predicted_improvement": 0.01,
        "kl_mean": 0.008,
        "kl_max": 0.1,
        "entropy": 0.6,
        "step_scale": 2.0,
        "accepted": True,
        "backtracks": 1,
        "shrink": 0.8,
        "explained_variance": 0.5,
        "effective_sample_size": 0.9,
        "std": [0.5, 0.25],
        "refused": False,
        "episode_returns": list(returns),
        "episode_lengths": [1] * len(returns),
        "env_restarts": 0,
        "timing": {**timing, "critic": 0.05, "program": None, "steps_per_s": 200.0},
        **fields,
    }


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A run with all that a run can have: refusals, restarts, evaluations, half a last line."""
    rows = [row(i, returns=[10.0 * i, 10.0 * i + 5], kl_mean=0.004 + 0.001 * i) for i in range(10)]
    rows[3].update(refused=True, kl_mean="nan", objective_after="-inf")
    rows[5].update(env_restarts=2, accepted=False, shrink=0.0)
    folder = make(tmp_path_factory.mktemp("one") / "run", [*rows, '{"iteration": 10, "ste'])
    points = [
        {"steps": s, "mean": s / 10, "std": 2.0, "returns": [], "lengths": []} for s in (500, 1000)
    ]
    (folder / "evaluations.jsonl").write_text("".join(json.dumps(p) + "\n" for p in points))
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Two methods on two tasks, four seeds each."""
    folder = tmp_path_factory.mktemp("many")
    for seed in range(4):
        for method in ("trpo", "ppo_clip"):
            for task in ("Hopper-v5", "Ant-v5"):
                place = folder / f"{method}-{task}" / f"seed-{seed}"
                synthetic.write_run(place, method, task, seed, iterations=60)
    return folder


# --- Statistics


def slow_profile(strata, thresholds):
    return [
        np.mean([np.mean([score > tau for score in scores]) for scores in strata])
        for tau in thresholds
    ]


def slow_improvement(x, y):
    chances = []
    for a, b in zip(x, y, strict=True):
        points = [1.0 if i > j else 0.5 if i == j else 0.0 for i in a for j in b]
        chances.append(sum(points) / len(points))
    return sum(chances) / len(chances)


@pytest.mark.parametrize("runs", range(1, 10))
def test_the_interquartile_mean_is_scipys(runs):
    scores = np.random.default_rng(runs).normal(size=(runs, 3))
    expected = scipy.stats.trim_mean(scores, 0.25, axis=0)
    np.testing.assert_allclose(statistics.interquartile_mean(scores), expected)
    np.testing.assert_allclose(statistics.interquartile_mean(scores.T, axis=1), expected)


def test_profiles_and_improvement_are_those_of_slow_loops_on_the_same_draws():
    rng = np.random.default_rng(1)
    # Rounded, so that there are ties; tasks have different numbers of runs.
    x = [np.round(rng.normal(0.3, 1, size=n), 1) for n in (5, 7)]
    y = [np.round(rng.normal(0.0, 1, size=n), 1) for n in (4, 6)]
    taus = np.array([-1.0, 0.0, 0.3, 1.0])
    np.testing.assert_allclose(statistics.performance_profile(x, taus), slow_profile(x, taus))
    chance = statistics.probability_of_improvement(x, y)
    assert chance == pytest.approx(slow_improvement(x, y))
    assert statistics.probability_of_improvement(y, x) == pytest.approx(1 - chance)

    draws, profiles, chances = 50, [], []
    rng = np.random.default_rng(7)
    of_x = [a[rng.integers(len(a), size=(draws, len(a)))] for a in x]
    profiles = [slow_profile([a[i] for a in of_x], taus) for i in range(draws)]
    expected = np.quantile(profiles, [0.025, 0.975], axis=0)
    ours = statistics.profile_interval(x, taus, resamples=draws, seed=7)
    np.testing.assert_allclose(ours, expected)

    rng = np.random.default_rng(7)
    drawn = [
        (
            a[rng.integers(len(a), size=(draws, len(a)))],
            b[rng.integers(len(b), size=(draws, len(b)))],
        )
        for a, b in zip(x, y, strict=True)
    ]
    chances = [
        slow_improvement([a[i] for a, _ in drawn], [b[i] for _, b in drawn]) for i in range(draws)
    ]
    ours = statistics.improvement_interval(x, y, resamples=draws, seed=7)
    np.testing.assert_allclose(ours, np.quantile(chances, [0.025, 0.975]))


def test_a_better_method_is_more_likely_to_win():
    better, worse = [np.array([3.0, 4.0])], [np.array([1.0, 3.0])]
    assert statistics.probability_of_improvement(better, worse) == 0.875


# --- Reading


def test_a_run_is_read_row_by_row(one):
    log = read_run.read(one)
    assert log.total == 1000
    np.testing.assert_array_equal(log.returns, [x for i in range(10) for x in (10 * i, 10 * i + 5)])
    np.testing.assert_array_equal(log.episode_steps[:4], [50, 100, 150, 200])
    np.testing.assert_array_equal(log.refused, [400])
    np.testing.assert_array_equal(log.restarts, [600, 600])
    assert log.traced["kl_mean"][4] == pytest.approx(0.008)
    assert math.isnan(log.traced["kl_mean"][3])
    assert log.columns["objective_after"][3] == -math.inf
    np.testing.assert_array_equal(log.columns["std.1"], [0.25] * 10)
    assert log.columns["timing.environment"][0] == 0.2
    assert log.evaluations.mean.tolist() == [50, 100]
    assert "a line of metrics.jsonl could not be read" in log.notes[0]


def test_rows_found_by_their_keys_are_those_that_are_parsed(tmp_path):
    rows = [row(i, returns=[1.5 * i, math.pi] * (i % 3)) for i in range(7)]
    rows[2].update(episode_returns=["nan", 2.0, "-inf"], refused=True, env_restarts=1)
    plain_ = read_run.read(make(tmp_path / "a", rows))
    # The same, laid out by another hand.
    compact = [json.dumps(one, separators=(",", ":"), sort_keys=True) + "\n" for one in rows]
    other = read_run.read(make(tmp_path / "b", compact))
    for name in ("steps", "returns", "episode_steps", "refused", "restarts"):
        np.testing.assert_array_equal(getattr(plain_, name), getattr(other, name))
    for name in followed():
        np.testing.assert_array_equal(plain_.traced[name], other.traced[name])
    expected = [float(x) for one in rows for x in one["episode_returns"]]
    np.testing.assert_array_equal(plain_.returns, expected)


def test_of_a_long_run_rows_are_read_in_detail_evenly_and_all_are_scanned(tmp_path):
    folder = make(tmp_path / "run", [row(i, refused=i == 7) for i in range(90)])
    log = read_run.read(folder, detail=30)
    np.testing.assert_array_equal(log.columns["steps"], 100.0 * np.arange(1, 91, 3))
    assert log.every == 3
    assert len(log.steps) == len(log.returns) == 90
    assert log.refused == [800]


@pytest.mark.parametrize("value", [None, "x", "5", math.inf, math.nan, -1, 1e300])
def test_a_damaged_row_is_counted_and_left_out(tmp_path, value):
    for name, count in (("steps", 2), ("env_restarts", 2)):
        bad = row(1, **{name: value})
        log = read_run.read(make(tmp_path / name, [row(0), bad, row(2)]))
        assert log.steps.tolist() == [100, 300]
        assert len(log.returns) == count
        assert "a line of metrics.jsonl" in log.notes[0]
    many = [row(0, env_restarts=10**12)]
    assert len(read_run.read(make(tmp_path / "many", many)).restarts) == 1000


def test_a_run_that_was_made_longer_is_complete_at_its_new_end(tmp_path):
    def longer(name, rows, **config):
        folder = make(tmp_path / name, [row(i) for i in range(rows)], **config)
        for checkpoint, budget in (("00000009", 1000), ("00000012", 2050), ("00000014", None)):
            (folder / "checkpoints" / checkpoint).mkdir(parents=True)
            manifest = folder / "checkpoints" / checkpoint / "manifest.json"
            # The newest one is half-written.
            manifest.write_text("{" if budget is None else json.dumps({"budget": budget}))
        return read_run.read(folder)

    short, long = longer("short", 15), longer("long", 20)
    assert (short.planned, short.complete) == (2000, False)
    assert (long.planned, long.complete) == (2000, True)
    assert "1,500 of 2,000 steps" in write(short.folder, out=tmp_path / "report.html")
    assert "--steps 2050" in (tmp_path / "report.html").read_text()
    given = {"setup": {"steps": 2050, "seed": 1}, "steps": 2000}
    whole = read_run.read(make(tmp_path / "whole", [row(i) for i in range(20)], **given))
    (found,) = grouping.group([short, long, whole])
    assert found.method == "trpo"


def test_the_trailing_mean_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    steps, values = np.sort(rng.integers(10, 200, size=40)).astype(float), rng.normal(size=40)
    values[[0, 4]] = math.nan, math.inf
    ends, expected = np.arange(1.0, 260.0, 3.0), []
    for end in ends:
        before = [(s, x) for s, x in zip(steps, values, strict=True) if s <= end and np.isfinite(x)]
        newest = max((s for s, _ in before), default=0.0)
        inside = [x for s, x in before if s > min(end - 20.0, newest - 0.5)]
        expected.append(np.mean(inside) if inside else math.nan)
    np.testing.assert_allclose(trailing_mean(steps, values, ends, 20.0), expected)
    assert np.isnan(trailing_mean(steps[:0], values[:0], ends, 20.0)).all()
    assert thin(100, 10)[[0, -1]].tolist() == [0, 99]
    assert len(thin(100, 10)) == 10


# --- What is shown


def test_every_diagnostic_has_a_panel_and_absent_ones_have_none(one, tmp_path):
    names = [figure.name for figure in single_run.figures(read_run.read(one))]
    words = "learning kl improvement scale search effective_sample_size entropy std"
    assert names == [*words.split(), "explained_variance", "time"]
    little = make(tmp_path / "run", [{"steps": 5, "kl_mean": 0.1, "episode_returns": []}])
    assert [figure.name for figure in single_run.figures(read_run.read(little))] == ["kl"]


def test_the_accepted_scale_is_what_the_line_search_left_of_it(one):
    figures = {figure.name: figure for figure in single_run.figures(read_run.read(one))}
    assert figures["scale"].series[0].y[0] == pytest.approx(2.0 * 0.8)
    (rule,) = [s for s in figures["kl"].series if s.kind == "rule"]
    assert rule.y.tolist() == [0.01, 0.01]
    crosses = {s.name: s.x.tolist() for s in figures["learning"].series if s.kind == "crosses"}
    assert crosses == {"refused update (1)": [400], "environment restarted (2)": [600, 600]}
    assert "lower" not in figures["improvement"].summary


def test_many_action_dimensions_are_a_median_with_its_range(tmp_path):
    std = [8.0, 0.5, 1.0, 9.0, 2.0, 0.25, 3.0, 7.0, 1.5]
    log = read_run.read(make(tmp_path / "run", [row(i, std=std) for i in range(3)]))
    (band,) = single_run.policy.std(log).series
    assert band.kind == "interval"
    assert [x.tolist() for x in (band.low, band.y, band.high)] == [[0.25] * 3, [2.0] * 3, [9.0] * 3]


def test_a_summary_has_the_quantiles_from_low_to_high():
    assert quantiles(np.arange(101.0) ** 2) == "median 2,500, 5 % to 95 %: 25 to 9,025"


def verdict(log):
    return checks(log, single_run.figures(log))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kl_mean": 0.05}, "above twice the trust region"),
        ({"kl_max": 0.9}, "the largest KL was above 100 times the mean in 100 %"),
        ({"predicted_improvement": 0.3}, "less than a tenth of what was predicted in 100 %"),
        ({"projected_fraction": 0.0}, "shortened 0 %"),
        ({"projected_fraction": 0.99}, "shortened 99 %"),
        ({"population_return": 1.0, "elite_return": 1.0}, "the elite was no better"),
        ({"accepted": False}, "the line search took a step in 0 %"),
        ({"explained_variance": -1.0}, "worse than a constant"),
        ({"effective_sample_size": 0.2}, "the effective sample size was 20 %"),
        ({"clip_fraction": 0.5}, "clipped 50 %"),
        ({"refused": True}, "refused"),
        ({"critic_refused": True}, "9 of 9 fits of the critic were refused"),
        ({"returns": ["-inf"]}, "9 of 9 episodes had a return that is not finite"),
        ({"env_restarts": 1}, "restarted"),
    ],
)
def test_what_is_bad_stands_out_and_nothing_else(tmp_path, fields, says):
    good = read_run.read(make(tmp_path / "good", [row(i) for i in range(9)]))
    assert all(check.ok for check in verdict(good))
    bad = read_run.read(make(tmp_path / "bad", [row(i, **fields) for i in range(9)]))
    (found,) = [check.text for check in verdict(bad) if not check.ok]
    assert says in found
    assert not verdict(bad)[0].ok


#: What goes bad over a run: the value of a field in iteration i of 20.
TURNS = {
    "learning": ({"returns": lambda i: [100.0 - abs(10.0 - i) * 10 if i < 18 else 0.0]}, {}),
    "kl": ({"kl_max": lambda i: 0.9 if i in (3, 4) else 0.01}, {}),
    "improvement": ({"predicted_improvement": lambda i: 0.3 if i > 14 else 0.01}, {}),
    "scale": ({"step_scale": lambda i: 2.0 if i < 18 else 1e-4}, {}),
    "search": ({"backtracks": lambda i: 9 if i in (3, 4) else 1}, {"tries": 10}),
    "kl_penalty": ({"kl_penalty": lambda i: 64.0 if i > 5 else 1.0 + i}, {"max_beta": 64.0}),
    "clip_fraction": ({"clip_fraction": lambda i: 0.5 if i > 8 else 0.1}, {}),
    "projected_fraction": ({"projected_fraction": lambda i: 0.99 if i > 8 else 0.1}, {}),
    "effective_sample_size": ({"effective_sample_size": lambda i: 0.2 if i in (3, 4) else 0.9}, {}),
    "std": ({"std": lambda i: [1e-3 if i > 5 else 0.5, 0.5]}, {}),
    "explained_variance": ({"explained_variance": lambda i: -0.31 if i in (8, 9) else 0.5}, {}),
    "population": (
        {"population_return": lambda i: 1.0, "elite_return": lambda i: 2.0 if i < 18 else 1.0},
        {},
    ),
    "search_std": ({"search_std": lambda i: 1.0 if i < 3 else 1e-3}, {}),
    "time": ({"timing": lambda i: {"total": 1.0 if i < 12 else 9.0, "compile": 0.0}}, {}),
    "likelihood": ({"objective_after": lambda i: -1.0 * i, "returns": lambda i: []}, "bc"),
}


@pytest.mark.parametrize("name", TURNS)
def test_the_verdict_has_what_its_panels_call_bad(tmp_path, name):
    """By the panel's own numbers: what it says is bad, the list on top does not call good."""
    turns, more = TURNS[name]
    config = {"algorithm": "bc"} if more == "bc" else {"hyperparameters": {"max_kl": 0.01, **more}}
    rows = [row(i, **{field: value(i) for field, value in turns.items()}) for i in range(20)]
    for one in rows if more == "bc" else ():
        one.update(objective_before=0.0, predicted_improvement="nan")
    drawn = {}
    for which, told in (
        ("good", [row(i, **{f: v(0) for f, v in turns.items()}) for i in range(20)]),
        ("bad", rows),
    ):
        log = read_run.read(make(tmp_path / which, told, steps=2000, **config))
        (drawn[which],) = [figure for figure in single_run.figures(log) if figure.name == name]
        assert "Bad: " in drawn[which].says
        assert set(drawn[which].findings) <= set(verdict(log))
    if name != "population":
        assert all(finding.ok for finding in drawn["good"].findings)
    assert not all(finding.ok for finding in drawn["bad"].findings)


def test_a_panel_that_calls_something_bad_finds_whether_it_is(one):
    for figure in single_run.figures(read_run.read(one)):
        assert ("Bad: " in figure.says) == bool(figure.findings) or figure.name in TURNS


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.02), (None, 0.5), (0.2, None), (None, None)])
def test_an_axis_that_cuts_values_off_says_so(low, high):
    values = np.array([-2.5, math.nan, 0.3, 0.75])
    series = (Series("s", "line", np.arange(4.0), values),)
    figure = Figure("f", "", "Says.", "", STEPS, Axis("y (–)", low=low, high=high), series)
    said = []
    if low is not None:
        said.append(f"The axis begins at {number(low)}; values go down to −2.5.")
    if high == 0.5:
        said.append("The axis ends at 0.5; values go up to 0.75.")
    assert figure.cut_off == " ".join(said)
    assert pages.figures([figure], lambda _: "").count("The axis") == len(said)


def test_a_comparison_whose_critic_is_worse_than_its_axis_says_so(tmp_path):
    rows = [row(i, explained_variance=-7.0 if i < 3 else 0.5) for i in range(10)]
    log = read_run.read(make(tmp_path / "run", rows), detail=0)
    (figure,) = [
        one for one in compare.compare([log]).figures if one.name == "explained_variance-0"
    ]
    assert figure.cut_off == "The axis begins at −1; values go down to −7."


def test_ticks_are_of_one_kind():
    x, y = np.arange(3.0), np.array([0.0011, 0.02, 0.4])
    logarithmic = plotly_figures._axis(Axis("y (–)", log=True), [y])
    # Plotly gives 2 and 5 between decades a smaller size where there is no format.
    assert logarithmic["tickformat"] == "~g"
    counts = plotly_figures._axis(Axis("y (–)", low=-0.1, high=1.1, whole=True), [x])
    assert (counts["dtick"], counts["tickformat"]) == (1, ",d")
    assert "dtick" not in plotly_figures._axis(Axis("y (–)", whole=True), [30 * x])


@pytest.mark.parametrize(
    ("name", "given", "held"),
    [
        ("trpo", {"max_kl": 0.02}, ("trust region δ", 0.02)),
        ("acktr", {"max_kl": 0.02, "critic_max_kl": 1.0}, ("trust region δ", 0.02)),
        ("ppo_kl", {"target_kl": 0.03}, ("target of the KL", 0.03)),
        # The δ of Wang et al. bounds a rate, not the KL of the step.
        ("a2c_trust_region", {"max_kl": 1.0}, None),
        ("trpo", {"max_kl": "x"}, None),
        ("trpo", {"max_kl": 10**400}, None),
        ("trpo", {}, None),
        ("mine", {"max_kl": 1.0}, None),
    ],
)
def test_the_kl_that_a_step_is_held_to_is_the_same_everywhere(name, given, held):
    from surefoot.runs.display.dashboard import bound

    config = {"algorithm": name, "hyperparameters": given}
    assert method_facts.step_kl(config) == held
    assert bound(config) == (None if held is None else held[1])


def test_the_command_that_repeats_a_run_leaves_its_folder_out():
    config = {
        "algorithm": "trpo",
        "environment_id": "CartPole-v1",
        "setup": {"steps": 5000, "seed": 3, "hidden": [8], "scale_rewards": False},
        "hyperparameters": {"max_kl": 0.02, "damping": 0.1},
        "command": ["/x/surefoot", "train", "trpo", "Cart Pole", "--out", "a b", "--seed", "3"],
    }
    assert command_line.command(config) == "surefoot train trpo 'Cart Pole' --seed 3"
    assert command_line.command(config, steps=9000) == (
        "surefoot train trpo 'Cart Pole' --seed 3 --steps 9000"
    )
    module = ["/x/surefoot/cli.py", "train", "trpo", "E", "--steps=5", "--steps", "6"]
    assert command_line.made_by({"command": module}) == ["surefoot", *module[1:]]
    package = ["/x/surefoot/cli/__main__.py", *module[1:]]
    assert command_line.made_by({"command": package}) == ["surefoot", *module[1:]]
    another = ["/x/other/__main__.py", "train"]
    assert command_line.made_by({"command": another}) == ["__main__.py", "train"]
    given = {**config, "command": module}
    assert command_line.command(given, steps=7) == "surefoot train trpo E --steps 7"
    config["command"] = ["my_script.py"]
    assert command_line.command(config) == (
        "surefoot train trpo CartPole-v1 --steps 5000 --seed 3 --hidden 8 --no-scale-rewards "
        "--max-kl 0.02"
    )
    assert command_line.command({**config, "environment_id": None}) is None


def test_runs_are_grouped_by_all_but_their_seed(tmp_path):
    def log(name, seed, **options):
        return read_run.read(make(tmp_path / name, setup={"seed": seed, "steps": 9}, **options))

    wide = {"max_kl": 0.02, "damping": 0.1}
    logs = [
        log("a", 0),
        log("b", 1),
        log("c", 0, hyperparameters=wide),
        log("d", 0, algorithm="npg"),
        log("e", 0, environment="Other-v0"),
        # Of an older version, which had fewer settings.
        log("f", 2, hyperparameters={"damping": 0.1}),
    ]
    found = [(g.method, g.task, len(g.runs)) for g in grouping.group(logs)]
    assert found == [
        ("trpo max_kl=0.01", "CartPole-v1", 3),
        ("trpo max_kl=0.02", "CartPole-v1", 1),
        ("npg", "CartPole-v1", 1),
        ("trpo max_kl=0.01", "Other-v0", 1),
    ]


def test_runs_of_before_an_option_are_not_grouped_with_those_that_have_it(tmp_path):
    """They did what was done then, which is not what the option's default does."""

    def log(name, seed, **options):
        return read_run.read(make(tmp_path / name, setup={"seed": seed, "steps": 9}, **options))

    today = {"max_kl": 0.01, "damping": 0.1, "line_search": "secant"}
    logs = [log("a", 0), log("b", 1, hyperparameters=today)]
    assert [(g.method, len(g.runs)) for g in grouping.group(logs)] == [
        ("trpo line_search=decay", 1),
        ("trpo line_search=secant", 1),
    ]


def test_a_comparison_has_the_statistics_of_its_runs(many):
    logs = [read_run.read(folder, detail=0) for folder in run_paths.find_runs([many])]
    shown = compare.compare(logs)
    summary, _, overall, improvement = shown.tables
    scores = [
        log.score.value
        for log in logs
        if (log.config["algorithm"], log.config["environment"]) == ("trpo", "Ant-v5")
    ]
    (cells,) = [cells for cells in summary.rows if cells[:2] == ("trpo", "Ant-v5")]
    assert cells[2] == "4"
    assert cells[4] == number(scipy.stats.trim_mean(scores, 0.25))
    assert len(overall.rows) == 2
    assert len(improvement.rows) == 1
    names = [figure.name for figure in shown.figures]
    assert names[:4] == ["curves-0", "curves-1", "profile", "improvement"]
    curve = shown.figures[0].series[0]
    assert np.all(curve.low <= curve.y + 1e-3)
    assert np.all(curve.y <= curve.high + 1e-3)


#: Final scores of two seeds each.
SCORES = {
    ("trpo", "A-v0"): (20.0, 30.0),
    ("npg", "A-v0"): (10.0, 20.0),
    ("trpo", "B-v0"): (-900.0, -800.0),
    ("npg", "B-v0"): (-1000.0, -800.0),
}


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """The comparison of runs with these scores."""
    folder, logs = tmp_path_factory.mktemp("by-hand"), []
    for (method, task), scores in SCORES.items():
        for seed, score in enumerate(scores):
            given = {"algorithm": method, "environment": task, "setup": {"steps": 9, "seed": seed}}
            path = make(folder / method / task / str(seed), [row(0, returns=[score])], **given)
            logs.append(read_run.read(path, detail=0))
    return compare.compare(logs)


def test_intervals_of_scores_go_from_their_lower_end_to_their_upper(by_hand):
    summary, *_ = by_hand.tables
    # Of two runs, a quarter of the draws has one of them twice.
    assert [cells[:2] + cells[4:6] for cells in summary.rows] == [
        ("trpo", "A-v0", "25", "20 to 30"),
        ("npg", "A-v0", "15", "10 to 20"),
        ("trpo", "B-v0", "−850", "−900 to −800"),
        ("npg", "B-v0", "−900", "−1,000 to −800"),
    ]


def test_over_tasks_the_lowest_run_of_each_counts_0_and_the_highest_1(by_hand):
    _, _, overall, _ = by_hand.tables
    # 0.5, 1, 0.5, 1 against 0, 0.5, 0, 1.
    assert [cells[:3] + cells[4:] for cells in overall.rows] == [
        ("trpo", "4", "0.750", "0.750"),
        ("npg", "4", "0.250", "0.375"),
    ]
    profile = next(figure for figure in by_hand.figures if figure.name == "profile")
    assert [series.y[series.x < 0].tolist() for series in profile.series] == [[1.0, 1.0]] * 2
    assert [series.y[series.x > 1].tolist() for series in profile.series] == [[0.0, 0.0]] * 2


def test_the_better_method_is_the_likely_winner(by_hand):
    *_, improvement = by_hand.tables
    # 3.5 of 4 pairs on one task, 2.5 on the other.
    assert [cells[:3] for cells in improvement.rows] == [("trpo", "npg", "0.750")]
    figure = next(figure for figure in by_hand.figures if figure.name == "improvement")
    assert figure.y.labels == ("trpo > npg",)
    (bars,) = [series for series in figure.series if series.kind == "bars"]
    assert bars.x.tolist() == [0.75]


def test_a_run_whose_kl_explodes_leaves_the_median_where_it_is(tmp_path):
    logs = []
    for seed, kl in enumerate((0.01, 0.02, 50.0)):
        rows = [row(i, kl_mean=kl) for i in range(3)]
        path = make(tmp_path / str(seed), rows, setup={"steps": 300, "seed": seed})
        logs.append(read_run.read(path, detail=0))
    (figure,) = [figure for figure in compare.compare(logs).figures if figure.name == "kl_mean-0"]
    assert set(figure.series[0].y) == {0.02}


def test_runs_of_different_length_share_a_curve_as_far_as_each_goes(tmp_path):
    long = make(tmp_path / "a", [row(i, returns=[10.0]) for i in range(10)])
    other = {"setup": {"steps": 1000, "seed": 1}}
    short = make(tmp_path / "b", [row(i, returns=[20.0]) for i in range(5)], **other)
    logs = [read_run.read(folder, detail=0) for folder in (long, short)]
    shown = compare.compare(logs)
    curve = shown.figures[0].series[0]
    assert curve.y[curve.x < 495][-1] == 15
    assert curve.y[-1] == 10
    assert np.isnan(curve.low[-1])
    assert any("1 unfinished run counts with the steps that it has" in note for note in shown.notes)


def test_a_run_that_diverged_counts_as_the_lowest(tmp_path):
    def log(name, seed, returns, method="trpo"):
        setup = {"steps": 300, "seed": seed}
        rows = [row(i, returns=returns) for i in range(3)]
        folder = make(tmp_path / name, rows, setup=setup, steps=300, algorithm=method)
        return read_run.read(folder, detail=0)

    logs = [
        log("a", 0, [5.0]),
        log("b", 1, ["-inf"]),
        log("c", 2, []),
        log("d", 3, [7.0, "nan"]),
        log("e", 0, [2.0], "npg"),
        log("f", 1, [4.0], "npg"),
    ]
    shown = compare.compare(logs)
    cells = {cells[0]: cells for cells in shown.tables[0].rows}
    # The scores are 2 (the lowest), 5 and 7.
    assert cells["trpo"][4] == number(scipy.stats.trim_mean([2.0, 5.0, 7.0], 0.25))
    assert cells["trpo"][7] == "2"
    curve = next(s for s in shown.figures[0].series if s.name.startswith("trpo"))
    assert curve.y[-1] == pytest.approx(scipy.stats.trim_mean([2.0, 5.0, 7.0], 0.25))
    for said in (
        "no episode ended in 1 run: no score",
        "diverged: 1 run in whose last tenth of the steps no return is finite",
        "in 1 run some episodes have returns that are not finite",
    ):
        assert any(said in note for note in shown.notes)
    alone = compare.compare([logs[1]])
    assert any("no run has a score: left out" in note for note in alone.notes)
    assert "diverged" in write(*(one.folder for one in logs), out=tmp_path / "report.html")


def test_a_seed_counts_once(tmp_path):
    def folder(name, seed, value, written):
        path = make(tmp_path / name, [row(0, returns=[value])], setup={"steps": 9, "seed": seed})
        os.utime(path / "metrics.jsonl", (written, written))
        return path

    folders = [folder("a", 0, 1.0, 10), folder("b", 1, 3.0, 10), folder("c", 0, 5.0, 20)]
    shown = compare.compare([read_run.read(path, detail=0) for path in folders])
    assert [log.folder for log in shown.groups[0].runs] == [folders[2], folders[1]]
    assert shown.tables[0].rows[0][2] == "2"
    (note,) = [note for note in shown.notes if "twice" in note]
    assert note.startswith("seed 0 of trpo on CartPole-v1 is there twice and counts once")


def test_tables_as_text():
    table = tables.Table("c", ("a|b", "50 %"), [("x_1 & y", "−1 ± 2"), ("p,q", "3")])
    assert tables.markdown(table).splitlines()[0] == r"| a\|b | 50 % |"
    assert r"x\_1 \& y & $-$1 $\pm$ 2 \\" in tables.latex(table)
    assert r"a|b & 50 \% \\" in tables.latex(table)
    assert '"p,q",3' in tables.comma_separated(table)


# --- The page


class Outline(html.parser.HTMLParser):
    """What a screen reader finds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def write(*paths, out):
    return reporting.write(paths, out).read_text(encoding="utf-8")


@pytest.fixture(params=["plotly", "matplotlib"])
def drawn_by(request, monkeypatch):
    monkeypatch.setattr(plotly_figures, "available", lambda: request.param == "plotly")
    return request.param


def test_a_page_is_readable_without_eyes(one, many, tmp_path, drawn_by):
    for path in (one, many):
        outline = Outline(write(path, out=tmp_path / "report.html"))
        assert len(outline.ids) == len(set(outline.ids))
        assert len(outline.all("main")) == len(outline.all("h1")) == 1
        assert outline.all("html") == [{"lang": "en"}]
        assert len(outline.all("figure")) == len(outline.all("figcaption")) > 5
        pictures = [a for a in outline.all("div") if a.get("role") == "img"]
        assert len(pictures) == len(outline.all("figure"))
        assert all(a.get("aria-label") or a.get("aria-labelledby") in outline.ids for a in pictures)
        assert len(outline.all("table")) == len(outline.all("caption")) > 2
        assert all(attrs["scope"] in ("row", "col") for attrs in outline.all("th"))
        assert not [attrs for attrs in outline.all("img") + outline.all("script") if "src" in attrs]


def test_what_comes_from_files_is_text(tmp_path, drawn_by):
    config = {
        "algorithm": EVIL,
        "environment": EVIL,
        "hyperparameters": {EVIL: EVIL},
        "versions": {"x": EVIL},
        "command": ["surefoot", "train", EVIL],
    }
    rows = [row(i, **{EVIL: 1.0}) for i in range(3)]
    for seed in range(2):
        make(tmp_path / "runs" / f"a{EVIL.replace('/', '')}{seed}", rows, **config)
        other = {**config, "hyperparameters": {EVIL: f"{EVIL}{seed}"}}
        make(tmp_path / "runs" / f"b{seed}", rows, **other)
    for path in (tmp_path / "runs", tmp_path / "runs" / "b0"):
        text = write(path, out=tmp_path / "report.html")
        assert "<script>alert" not in text
        assert "alert(1)" in text


def test_axes_have_names_with_units(one, many):
    figures = single_run.figures(read_run.read(one))
    figures += compare.compare([read_run.read(f, 0) for f in run_paths.find_runs([many])]).figures
    for figure in figures:
        for axis in (figure.x, figure.y):
            assert axis.labels or "steps" in axis.title or re.search(r"\(.+\)", axis.title)
        named = [series.name for series in figure.series]
        assert len(named) == len(set(named))


def test_series_differ_in_more_than_color():
    looks = set()
    for style in range(plotly_figures.COLORS * 4):
        zeros = np.zeros(3)
        series = Series(f"s{style}", "line", zeros, zeros, style=style)
        figure = Figure("f", "", "", "", STEPS, STEPS, (series,))
        (trace,) = plotly_figures.draw(figure)["data"]
        looks.add((trace["line"]["color"], trace["line"]["dash"]))
    assert len(looks) == plotly_figures.COLORS * 4


def unpacked(packed):
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])


def test_arrays_survive_their_packing():
    for values, kind in (([1, 2**30], "i4"), ([0.5, math.nan], "f4"), ([1.0, math.inf], "f4")):
        packed = plotly_figures._array(np.array(values, float))
        assert packed["dtype"] == kind
        found = unpacked(packed)
        expected = [x if math.isfinite(x) else math.nan for x in values]
        np.testing.assert_array_equal(found, np.array(expected, kind if kind == "i4" else float))


@pytest.mark.parametrize(("labels", "along"), [((), "y"), (("X > Y",), "x")])
def test_bars_reach_from_the_lower_end_of_an_interval_to_the_upper(labels, along):
    value, place, low, high = np.array([[0.6], [0.0], [0.5], [0.9]])
    x, y = (value, place) if labels else (place, value)
    series = Series("s", "bars", x, y, low, high)
    figure = Figure("f", "", "", "", STEPS, Axis("", labels=labels), (series,))
    (trace,) = plotly_figures.draw(figure)["data"]
    bars = trace[f"error_{along}"]
    np.testing.assert_allclose(value - unpacked(bars["arrayminus"]), low, rtol=1e-6)
    np.testing.assert_allclose(value + unpacked(bars["array"]), high, rtol=1e-6)


# --- Bad input


def test_a_run_without_iterations_is_a_page(tmp_path):
    empty = make(tmp_path / "empty")
    assert "no iteration yet" in write(empty, out=tmp_path / "report.html")
    (empty / "metrics.jsonl").unlink()
    assert "no iteration yet" in write(empty, out=tmp_path / "report.html")


@pytest.mark.parametrize("huge", [10**400, -(10**400)], ids=["positive", "negative"])
def test_a_number_too_large_to_compute_with_ends_nothing(tmp_path, huge):
    """In a row, in the configuration, in an evaluation or in a checkpoint."""
    whole = row(2)
    known = {k: v for k, v in whole.items() if isinstance(v, float | int) and k != "steps"}
    rows = [{**whole, **dict.fromkeys(known, huge)}, {**whole, "std": [huge, 0.5]}]
    rows += [{**whole, "timing": dict.fromkeys(whole["timing"], huge)}, row(3, steps=huge)]
    rows += [row(4, returns=[huge, 1.0]), row(5)]
    given = {"hyperparameters": {"max_kl": huge}, "setup": {"steps": huge, "seed": huge}}
    folder = make(tmp_path / "runs" / "huge", rows, **given, steps=huge)
    point = {"steps": 100, "mean": huge, "std": huge}
    (folder / "evaluations.jsonl").write_text(json.dumps(point) + "\n")
    (folder / "checkpoints" / "00000006").mkdir(parents=True)
    manifest = folder / "checkpoints" / "00000006" / "manifest.json"
    manifest.write_text(json.dumps({"budget": huge}))
    make(tmp_path / "runs" / "other", [row(i) for i in range(3)])
    assert "<h2" in write(folder, out=tmp_path / "report.html")
    assert "huge" in write(tmp_path / "runs", out=tmp_path / "report.html")


@pytest.mark.parametrize("steps", ["1000", 1000.0, None])
def test_steps_that_are_no_integer_are_no_plan(tmp_path, steps):
    folder = make(tmp_path / "run", [row(0)], setup={"steps": steps, "seed": 0})
    assert read_run.read(folder).budget is None


def test_runs_of_all_kinds_share_a_page(tmp_path, one):
    runs = tmp_path / "runs"
    make(runs / "empty")
    make(runs / "silent", [row(i, returns=[]) for i in range(3)])
    make(runs / "other", [row(i) for i in range(3)], environment="Other-v0")
    clone = {"steps": 9, "objective_after": -0.5, "kl_mean": 0.1, "entropy": 0.4}
    make(runs / "bc", [{**clone, "episode_returns": []}] * 2, algorithm="bc")
    search = {"steps": 9, "population_return": 1.0, "elite_return": 2.0, "search_std": 0.1}
    make(runs / "cem", [{**search, "episode_returns": [1.0, 2.0]}] * 2, algorithm="cem")
    broken = make(runs / "broken", ["nonsense\n", "[1]\n", '{"steps": "x"}\n', "\xff\n", "\n"])
    torn = runs / "torn"
    torn.mkdir()
    (torn / "config.json").write_text("{")
    (runs / "no run").mkdir()
    (runs / "file").write_text("")
    text = write(runs, one, out=tmp_path / "report.html")
    assert "Left out: " in text
    assert "4 lines of metrics.jsonl could not be read" in text
    for name in ("silent", "bc", "cem", "broken"):
        assert "<h2" in write(runs / name, out=tmp_path / "report.html")
    assert "No episode finished" in write(runs / "silent", out=tmp_path / "report.html")
    assert 'id="likelihood"' in write(runs / "bc", out=tmp_path / "report.html")
    assert 'id="population"' in write(runs / "cem", out=tmp_path / "report.html")
    assert "could not be read" in write(broken, out=tmp_path / "report.html")


def test_mistakes_are_one_line(tmp_path, one, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    make(tmp_path / "nameless", algorithm=3)
    make(tmp_path / "odd", hyperparameters=3)
    out = tmp_path / "report.html"
    for words, says in (
        ([tmp_path / "none"], "does not exist"),
        ([tmp_path / "file"], "is a file"),
        ([tmp_path / "folder"], "is no run and holds none"),
        ([tmp_path / "nameless"], "names no algorithm"),
        ([tmp_path / "odd"], "hyperparameters"),
        ([one, "-o", tmp_path / "x.pdf"], "accepted is .html"),
        ([one, "-o", tmp_path / "no" / "x.html"], "there is no folder"),
        ([tmp_path / ("x" * 300)], "File name too long"),
        ([one, "-o", tmp_path / ("x" * 300 + ".html")], "File name too long"),
        ([one, "-o", tmp_path / ("x" * 245 + ".html")], "File name too long"),
        ([one, "-o", tmp_path / ("x" * 300) / "y.html"], "File name too long"),
        ([], "missing argument RUNS"),
    ):
        words = words if "-o" in words or not words else [*words, "-o", out]
        code, said, err = run("report", *words)
        assert (code, said) == (2, "")
        assert says in err
        assert err.count("\n") == 1
    code, _, err = run("report", "x" * 300)
    assert (code, err.count("\n")) == (2, 1)
    monkeypatch.setattr(plotly_figures, "available", lambda: False)
    monkeypatch.setattr(matplotlib_figures, "available", lambda: False)
    code, _, err = run("report", one, "-o", out)
    assert code == 2
    assert "pip install 'surefoot[report]'" in err
    assert not out.exists()


def test_nothing_is_left_of_a_page_that_was_interrupted(one, tmp_path, monkeypatch):
    out = tmp_path / "report.html"
    out.write_text("old")
    monkeypatch.setattr(reporting.report, "_one", lambda *_: 0)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        reporting.write([one], out)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert out.read_bytes() == b"old"


def test_a_report_of_several_runs_lies_here(one, many, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, err = run("report", one, many)
    assert (code, said, err) == (0, "written: report.html\n", "")
    assert (tmp_path / "report.html").stat().st_size < 4e6


TRAIN = "train reinforce CartPole-v1 --num-envs 2 --horizon 32 --steps 128 --hidden 8 --no-baseline"


def test_training_ends_with_a_report_and_never_fails_by_it(tmp_path, monkeypatch):
    from surefoot.cli.commands import report

    words = [*TRAIN.split(), "--out", str(tmp_path / "b"), "--no-report"]
    monkeypatch.setattr(sys, "argv", ["/x/surefoot/cli.py", *words])
    code, said, _ = run(*words)
    assert code == 0
    assert "report" not in said
    assert not (tmp_path / "b" / "report.html").exists()

    # As it was trained, so it is gone on with.
    longer = run("resume", tmp_path / "b", "--steps", "192")
    assert longer[0] == 0
    assert not (tmp_path / "b" / "report.html").exists()
    (config := tmp_path / "b" / "config.json").write_text(
        config.read_text().replace("--no-report", "--report")
    )
    assert "report: " not in run("resume", tmp_path / "b", "--no-report")[1]
    assert "report: " in run("resume", tmp_path / "b")[1]
    text = (tmp_path / "b" / "report.html").read_text()
    assert "--steps 192" in text
    assert "192 steps" in text

    class Console:
        def print(self, text, **_):
            print(text)

    def ends(folder):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            report.report_at_end(Console(), folder)
        return out.getvalue(), err.getvalue()

    said, err = ends(tmp_path / "b")
    assert said == f"report: {tmp_path / 'b' / 'report.html'}\n"
    assert "reinforce on CartPole-v1" in (tmp_path / "b" / "report.html").read_text()
    monkeypatch.setattr(plotly_figures, "available", lambda: False)
    monkeypatch.setattr(matplotlib_figures, "available", lambda: False)
    said, err = ends(tmp_path / "b")
    assert said.count("\n") == 1
    assert "no report: " in said
    assert "pip install" in said
    monkeypatch.undo()
    # A defect shows itself, and the run stands.
    monkeypatch.setattr(reporting.report, "read", lambda _: 1 / 0)
    said, err = ends(tmp_path / "b")
    assert "ZeroDivisionError" in err
    assert "the run is complete" in err


def test_nothing_heavy_is_imported_before_it_is_needed():
    import subprocess

    code = (
        "import sys, surefoot.cli.commands.report, surefoot.reporting;"
        "print({'jax', 'plotly', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_a_page_without_plotly_stands_alone(one, tmp_path, monkeypatch):
    monkeypatch.setattr(plotly_figures, "available", lambda: False)
    text = write(one, out=tmp_path / "report.html")
    assert text.count("<svg") == 10
    assert "currentColor" in text
    assert "var(--c0)" in text
    assert "#0102" not in text
    assert len(text) < 2e6


# --- In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find() is None:
        if os.environ.get("SUREFOOT_REQUIRE_CHROMIUM"):
            pytest.fail("SUREFOOT_REQUIRE_CHROMIUM is set, and there is no Chromium")
        pytest.skip("Chromium is not installed")
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running.page()


@pytest.fixture(scope="module")
def written(one, many, tmp_path_factory):
    """Pages by what they show."""
    folder = tmp_path_factory.mktemp("pages")
    synthetic.write_run(folder / "dense", "npg", "Ant-v5", 0, iterations=100, per_iteration=30)
    for name, path in (("one", one), ("many", many), ("dense", folder / "dense")):
        reporting.write([path], folder / f"{name}.html")
    return folder


BOXES = """(() => {
  const boxes = [];
  for (const plot of document.querySelectorAll(".plot")) {
    const inside = plot.querySelectorAll(".scatterlayer .trace, .errorbar, .gl-canvas").length;
    const { width, height } = plot.querySelector(".main-svg").getBoundingClientRect();
    const titles = [...plot.querySelectorAll(".xtitle, .ytitle")].map((t) => t.textContent);
    boxes.push({ name: plot.dataset.spec, inside, width, height, titles });
  }
  return boxes;
})()"""


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("one", 1280, False),
        ("one", 390, True),
        ("many", 1280, False),
        ("many", 390, True),
        ("dense", 1280, True),
    ],
)
def test_a_page_is_drawn_whole_and_asks_nobody(browser, written, name, width, dark):
    path = written / f"{name}.html"
    shown = browser.show(path, width=width, dark=dark, mobile=width < 600)
    assert shown.ask("document.documentElement.dataset.state") == "drawn"
    assert shown.errors == []
    assert shown.requests == [path.as_uri()]
    assert shown.ask("document.documentElement.scrollWidth") == width
    figures = shown.ask(BOXES)
    assert len(figures) == path.read_text().count("<figure") > 5
    for figure in figures:
        assert figure["inside"] > 0, figure
        assert 250 < figure["width"] <= width, figure
        assert figure["height"] > 100, figure
        assert figure["titles"], figure
    back = shown.ask("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(18, 22, 27)") == dark
    line = shown.ask("document.querySelector('.plot .js-line').style.stroke")
    assert line == ("rgb(86, 168, 232)" if dark else "rgb(0, 114, 178)")


def test_hover_and_legend_and_copying_work(browser, written):
    shown = browser.show(written / "many.html", width=1280)
    holder = "document.querySelector('[data-spec=\"curves-0-spec\"]')"
    shown.ask(f"{holder}.scrollIntoView({{block: 'center'}})")

    def middle(query):
        return shown.ask(
            f"(() => {{ const b = {holder}.querySelector('{query}').getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )

    shown.move(*middle(".nsewdrag"))
    told = shown.wait(f"{holder}.querySelector('.hoverlayer').textContent")
    assert "trpo" in told
    assert "ppo_clip" in told
    shown.click(*middle(".legendtoggle"))
    shown.wait(f"{holder}.data.some((trace) => trace.visible === 'legendonly')")
    hidden = shown.ask(f"{holder}.data.map((trace) => trace.visible === 'legendonly')")
    # A method's band goes with its line.
    assert sum(hidden) == 3
    shown.ask(
        "window.copied = ''; navigator.clipboard.writeText = async (t) => { window.copied = t; };"
        "document.querySelector('[data-copies=\"table-0-Markdown\"]').click()"
    )
    text = shown.wait("window.copied")
    assert text.startswith("| method | task | runs |")
    assert shown.errors == []


def test_a_plain_page_needs_no_script_to_be_seen(browser, one, tmp_path, monkeypatch):
    monkeypatch.setattr(plotly_figures, "available", lambda: False)
    path = tmp_path / "plain.html"
    write(one, out=path)
    shown = browser.show(path, width=390, mobile=True)
    assert shown.errors == []
    assert shown.requests == [path.as_uri()]
    assert shown.ask("document.documentElement.scrollWidth") == 390
    sizes = shown.ask("[...document.querySelectorAll('figure svg')].map((s) => s.clientWidth)")
    assert len(sizes) == 10
    assert min(sizes) > 300


def test_plotly_is_found_where_it_is_installed():
    assert plotly_figures.available() == (importlib.util.find_spec("plotly") is not None)
    assert pages.figures([], matplotlib_figures.picture).count("figure") == 1
