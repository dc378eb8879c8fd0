"""The learning benchmark: its statistics against closed forms, SciPy and their own coverage; its
runner against changed defaults, failures and signals; its table and curves from rows by hand."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from benchmarks.learning import lines, matrix, overall, plot, rows, runner, single
from benchmarks.learning.__main__ import main, options
from benchmarks.learning.table import TASKS, table
from surefoot.common import statistics
from surefoot.common.errors import UsageError

SKEWED = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 100.0])


def an_entry(folder, recipe="trpo", task="Hopper-v5", seed=0, steps=4096, **chosen):
    return matrix.Entry(recipe, task, seed, steps, chosen, folder)


def a_row(entry, last_100, curve=((2048, 1.0), (4096, 2.0)), final=None, **more):
    flat = entry.settings()
    setup = {name: flat.pop(name) for name in ("steps", "log_std") if name in flat}
    row = {
        "recipe": flat.pop("recipe"),
        "task": flat.pop("task"),
        "seed": entry.seed,
        "steps": entry.steps,
        "last_100": last_100,
        "deterministic_20": final,
        "hyperparameters": flat,
        "setup": {**setup, "seed": entry.seed},
        "curve": [list(point) for point in curve],
        **more,
    }
    rows.write(entry.path, row)
    return row


# Statistics


def test_the_interquartile_mean_drops_a_quarter_at_either_end():
    assert statistics.interquartile_mean(SKEWED) == 4.5  # (3 + 4 + 5 + 6) / 4
    assert statistics.interquartile_mean(np.array([9.0, 1.0, 2.0, 3.0, 4.0])) == 3.0
    assert statistics.interquartile_mean(np.array([1.0, 2.0, 9.0])) == 4.0
    both = statistics.interquartile_mean(np.stack([SKEWED, 2 * SKEWED], axis=1))
    assert both.tolist() == [4.5, 9.0]


def test_the_t_interval_is_scipys():
    error = SKEWED.std(ddof=1) / math.sqrt(8)
    expected = scipy.stats.t.interval(0.95, 7, loc=SKEWED.mean(), scale=error)
    np.testing.assert_allclose(statistics.t_interval(SKEWED), expected)
    # By hand: mean 2, deviation 1, t = 4.3027 with 2 degrees of freedom.
    low, high = statistics.t_interval(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose([low, high], [2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5], rtol=1e-4)


def test_standard_errors_above_a_reference():
    # Mean 2, standard error 1/√3.
    above = statistics.standard_errors_above(np.array([1.0, 2.0, 3.0]), -1.0)
    assert above == pytest.approx(3 * 3**0.5)
    assert statistics.standard_errors_above(np.array([500.0, 500.0]), 20.0) == math.inf


def test_the_bootstrap_interval_is_scipys_for_one_stratum():
    scores = np.random.default_rng(3).normal(size=30)
    ours = statistics.bootstrap_interval([scores])
    theirs = scipy.stats.bootstrap(
        (scores,),
        statistics.interquartile_mean,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    # Standard error of a 2.5 % quantile of 10,000 normal draws: 0.027 of their deviation, which is
    # about 0.2; five of those, for either side.
    np.testing.assert_allclose(ours, theirs, atol=0.04)
    assert statistics.bootstrap_interval([scores]) == ours


def test_the_bootstrap_interval_covers_as_stated():
    rng = np.random.default_rng(0)
    trials, hits = 400, 0
    for _ in range(trials):
        # Two tasks of other levels: drawn together and not within each, they would give intervals
        # of about ten times the width, which always cover.
        strata = [rng.normal(size=20), 10 + rng.normal(size=20)]
        low, high = statistics.bootstrap_interval(strata, np.mean, resamples=400)
        hits += low <= 5 <= high
    # 95 %, less some 1 % that the percentile method loses on 20 runs a task. The standard error of
    # the share is 1.1 %; three of those.
    assert abs(hits / trials - 0.94) < 0.033


def test_strata_are_drawn_within_each_task():
    apart = [np.full(5, 0.0), np.full(5, 1000.0)]
    low, high = statistics.bootstrap_interval(apart, np.mean)
    assert low == high == 500.0


# Rows and the matrix


def test_what_is_done_is_skipped_and_what_is_missing_is_not(tmp_path):
    every = matrix.entries(
        ["trpo", "random"],
        ["Hopper-v5", "ALE/Pong-v5"],
        [0, 1, 1],
        steps=4096,
        options={},
        label=None,
        results=tmp_path,
    )
    assert len(every) == len({entry.path for entry in every}) == 8
    assert {entry.folder.name for entry in every} == {"defaults", "random"}
    assert matrix.missing(every) == every
    a_row(every[0], 1.0)
    a_row(every[3], 1.0)
    assert matrix.missing(every) == [*every[1:3], *every[4:]]
    assert rows.settings(rows.read(every[3].path)) == every[3].settings()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_row_of_other_settings_is_refused_whatever_its_seed(tmp_path, capsys, seed):
    folder = tmp_path / "defaults"
    a_row(an_entry(folder, seed=seed, max_kl=0.02), 1.0)
    command = ["run", "--recipes", "trpo", "--tasks", "Hopper-v5", "--seeds", "0"]
    assert main([*command, "--steps", "4096", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert f"trpo-Hopper-v5-4096-{seed}.json" in line
    assert "max_kl was 0.02, is 0.01" in line
    assert "--label" in line
    assert "delete" in line


def test_an_option_that_a_row_does_not_know_has_its_default_and_one_that_is_gone_is_stale(tmp_path):
    entry = an_entry(tmp_path)
    row = a_row(entry, 1.0)
    del row["hyperparameters"]["damping"]
    rows.write(entry.path, row)
    assert matrix.missing([entry]) == []
    with pytest.raises(UsageError, match=r"damping was 0\.1, is 0\.2"):
        matrix.missing([an_entry(tmp_path, damping=0.2)])
    row["hyperparameters"]["sharpness"] = 3
    rows.write(entry.path, row)
    with pytest.raises(UsageError, match=r"sharpness was 3, is unset"):
        matrix.missing([entry])


def test_a_damaged_row_is_named(tmp_path):
    entry = an_entry(tmp_path)
    for text in ("", "[1]", '{"recipe": "trpo"}'):
        entry.path.write_text(text)
        with pytest.raises(UsageError, match=r"trpo-Hopper-v5-4096-0\.json is no row"):
            matrix.missing([entry])


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["max_k=0.1"], "Did you mean 'max_kl'"),
        (["seed=3"], "--set 'seed'"),
        (["max_kl"], "NAME=VALUE"),
        (["max_kl=-1"], "max_kl is -1"),
    ],
)
def test_mistakes_in_options_are_one_line(tmp_path, capsys, pairs, message):
    command = ["run", "--recipes", "trpo", "--tasks", "Hopper-v5", "--results", str(tmp_path)]
    assert main([*command, "--set", *pairs]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_survive_the_command_line(tmp_path):
    chosen = {"hidden": (32, 32), "backend": "device", "max_kl": 1e-3, "scale_rewards": False}
    command = runner.command(an_entry(tmp_path, **chosen), 1)
    assert options(command[command.index("--set") + 1 :]) == chosen


# Single runs


def test_a_run_gives_a_small_row_that_counts_as_done(tmp_path, monkeypatch):
    def iterations(run):
        for number in range(1, 5):
            returns = np.full(50, 1000.123456 * number)
            timing = SimpleNamespace(total=0.5)
            yield SimpleNamespace(steps=256 * number, episode_returns=returns, timing=timing)

    # The run is built and says what it is, but need not learn.
    agent = SimpleNamespace(evaluate=lambda episodes, seed: SimpleNamespace(mean=float(episodes)))
    monkeypatch.setattr("surefoot.runs.run.Run.iterations", iterations)
    monkeypatch.setattr("surefoot.runs.run.Run.agent", lambda run: agent)
    chosen = {"num_envs": 1, "horizon": 256, "hidden": (8,), "backend": "device"}
    entry = an_entry(tmp_path, "reinforce", "CartPole-v1", steps=1100, **chosen)
    row = single.one(entry)
    rows.write(entry.path, row)
    assert matrix.missing([entry]) == []
    assert entry.path.stat().st_size < 4096
    assert list(tmp_path.iterdir()) == [entry.path]
    assert rows.read(entry.path)["hyperparameters"]["horizon"] == 256
    assert row["steps"] == 1024
    assert row["episodes"] == 200
    assert row["last_100"] == 3500.4
    assert row["curve"] == [[266, 1000.1], [512, 2000.2], [778, 3000.4], [1024, 4000.5]]
    assert (row["deterministic_20"], row["seconds"]) == (20, 2)
    assert "platform" not in row["versions"]


def test_random_actions_give_a_row_of_100_episodes_that_depends_on_the_seed():
    one, same, other = (
        single.one(an_entry(Path(), "random", "CartPole-v1", seed)) for seed in (0, 0, 1)
    )
    assert one["episodes"] == 100
    assert one["curve"] == same["curve"] != other["curve"]
    # Known: about 22 a random episode, with a deviation of 12; five standard errors.
    assert abs(one["last_100"] - 22) < 6
    assert one["steps"] == pytest.approx(100 * one["last_100"], rel=1e-3)


def test_curves_carry_the_steps_at_which_slices_end():
    ended = [(100 * k, float(k)) for k in range(1, 101)]
    found = single.summary(ended, 10_000)
    assert found["curve"][0] == [200, 1.5]
    assert found["curve"][-1] == [10_000, 99.5]
    assert len(found["curve"]) == 50
    assert found["last_100"] == 50.5
    assert single.summary([(1000, 0.0), *ended], 10_000)["last_100"] == 50.5


def test_without_an_episode_there_is_no_score():
    nothing = {"score": None, "last_100": None, "episodes": 0, "curve": []}
    assert single.summary([], 4096) == nothing
    assert rows.rounded(math.nan) is None


def test_the_commit_is_that_of_the_code_and_marked_if_it_differs(tmp_path):
    assert single.commit(tmp_path) is None
    (tmp_path / "surefoot").mkdir()
    code = tmp_path / "surefoot" / "a.py"
    code.write_text("1\n")

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "a")
    clean = single.commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "notes.md").write_text("no code\n")
    assert single.commit(tmp_path) == clean
    code.write_text("2\n")
    assert single.commit(tmp_path) == f"{clean}-dirty"


# Processes

WRITE = (
    "import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.parent.mkdir(exist_ok=True);"
    "path.write_text('row'); sys.exit('-1.json' in path.name)"
)


def test_a_failure_is_reported_and_the_others_go_on(tmp_path, capsys):
    todo = [an_entry(tmp_path, seed=seed) for seed in range(4)]
    code = runner.run(todo, jobs=2, command=lambda e, _: [sys.executable, "-c", WRITE, str(e.path)])
    assert code == 1
    assert all(entry.path.exists() for entry in todo)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4
    assert sum("done in" in line for line in said) == 3
    assert "trpo-Hopper-v5-4096-1.json: failed with exit code 1" in said


PARENT = """
import sys
from pathlib import Path
sys.path.append({root!r})
from benchmarks.learning import matrix, runner
child = '''
import os, sys, time
from pathlib import Path
sys.path.append({root!r})
from benchmarks.learning import runner
runner.follow_parent()
folder = Path(sys.argv[1])
(folder / f"half.{{os.getpid()}}.part").write_text("half")
(folder / f"{{os.getpid()}}.pid").touch()
time.sleep(60)
'''
folder = Path({folder!r})
todo = [matrix.Entry("trpo", "Hopper-v5", seed, 4096, {{}}, folder) for seed in range(3)]
command = lambda entry, core: [sys.executable, "-c", child, str(folder)]
sys.exit(runner.run(todo, jobs=2, command=command))
"""


def _gone(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def _until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_children_end_with_the_runner(tmp_path, number):
    code = PARENT.format(root=str(Path(__file__).parents[2]), folder=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    _until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    children = [int(path.stem) for path in tmp_path.glob("*.pid")]
    parent.send_signal(number)
    _, said = parent.communicate()
    _until(lambda: all(_gone(pid) for pid in children))
    if number != signal.SIGKILL:
        assert parent.returncode == 128 + number
        assert said.decode().splitlines() == ["stopped; the same command goes on from here"]
        assert list(tmp_path.glob("*.part")) == []
    assert len(list(tmp_path.glob("*.pid"))) == 2


# The table and the curves


def fill(results, recipe, task, scores, label="defaults", **chosen):
    for seed, score in enumerate(scores):
        folder = results / ("random" if recipe == "random" else label)
        a_row(an_entry(folder, recipe, task, seed, **chosen), score, final=score)


def cells(text, *start):
    (line,) = [x for x in text.splitlines() if x.startswith(f"| {' | '.join(start)} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_line_of_the_table(tmp_path):
    fill(tmp_path, "trpo", "Hopper-v5", [100, 200, 300, 400, 900])
    fill(tmp_path, "random", "Hopper-v5", [10, 30])
    line = dict(zip(TASKS, cells(table(lines.load(tmp_path)), "defaults", "trpo"), strict=True))
    low, high = statistics.t_interval(np.array([100.0, 200, 300, 400, 900]))
    assert line["steps"] == "4,096"
    assert line["seeds"] == "0, 1, 2, 3, 4"
    assert line["score: mean"] == "**380**"
    assert line["last 100 episodes: mean"] == "380"
    assert line["95 % interval (Student's t)"] == f"{low:.2f} – {high:.0f}"
    assert line["interquartile mean"] == "300"
    assert line["single seeds"] == "100, 200, 300, 400, 900"
    # (380 − 20) / (311.4 / √5)
    assert line["standard errors above random"] == "2.6"
    assert line["20 deterministic episodes: mean"] == "380"
    ends = line["95 % interval (bootstrap)"].split(" – ")
    assert 100 <= float(ends[0]) < 300 < float(ends[1]) <= 900


def test_rows_of_other_settings_have_lines_of_their_own(tmp_path):
    fill(tmp_path, "trpo", "Hopper-v5", [1, 2])
    entry = an_entry(tmp_path / "defaults", seed=7, max_kl=0.02)
    a_row(entry, 50.0)
    text = table(lines.load(tmp_path))
    assert cells(text, "defaults", "trpo (max_kl=0.01)")[10] == "1, 2"
    assert cells(text, "defaults", "trpo (max_kl=0.02)")[10] == "50"


def test_a_seed_without_episodes_leaves_its_line_without_statistics(tmp_path):
    fill(tmp_path, "trpo", "Hopper-v5", [1, None])
    assert cells(table(lines.load(tmp_path)), "defaults", "trpo")[5:] == [
        *["**–**", "–", "–", "–", "–"],
        *["1, –", "–", "1.04", "–", "–"],
    ]


def test_rows_are_scored_by_their_last_tenth_and_older_ones_as_before(tmp_path):
    fill(tmp_path, "random", "Hopper-v5", [0, 0])
    entry = an_entry(tmp_path / "defaults")
    a_row(entry, 7.0, curve=((2048, 1.0), (4096, 5.0)), score=9.0)
    text = table(lines.load(tmp_path))
    line = dict(zip(TASKS, cells(text, "defaults", "trpo"), strict=True))
    assert (line["score: mean"], line["last 100 episodes: mean"]) == ("**9**", "7")
    # Of 50 parts, 25 before the first point count for nothing, and 25 hold its value.
    assert line["area under the curve"] == "1.15"
    assert line["steps to halfway"] == "4,096"
    assert "Halfway from the random policy to the best mean: 4.5 on Hopper-v5." in text
    assert "Scored by" not in text
    a_row(an_entry(tmp_path / "defaults", seed=1), 3.0)
    text = table(lines.load(tmp_path))
    # A line has one measure.
    assert cells(text, "defaults", "trpo")[10] == "7, 3"
    assert "for their rows were made before there was a score: defaults, trpo." in text


def test_scores_over_tasks_are_scaled_between_random_and_best(tmp_path):
    fill(tmp_path, "random", "Hopper-v5", [0, 0])
    fill(tmp_path, "random", "Walker2d-v5", [10, 10])
    fill(tmp_path, "trpo", "Hopper-v5", [50, 150])
    fill(tmp_path, "trpo", "Walker2d-v5", [20, 20])
    fill(tmp_path, "ppo_clip", "Hopper-v5", [20, 30])
    fill(tmp_path, "ppo_clip", "Walker2d-v5", [20, 40])
    fill(tmp_path, "reinforce", "Hopper-v5", [1, 1])
    loaded = lines.load(tmp_path)
    found, notes = overall.over_tasks(
        [line for line in loaded if line.recipe != "random"], {"Hopper-v5": 0, "Walker2d-v5": 10}
    )
    strata = {scores.name: [x.tolist() for x in scores.strata] for scores in found}
    assert strata == {"ppo_clip": [[0.2, 0.3], [0.5, 1.5]], "trpo": [[0.5, 1.5], [0.5, 0.5]]}
    assert notes == ["defaults, reinforce, 4,096 steps: no rows on Walker2d-v5"]
    text = table(loaded)
    # Of [0.2, 0.3, 0.5, 1.5] and of [0.5, 0.5, 0.5, 1.5] the middle two.
    assert cells(text, "defaults", "ppo_clip", "Hopper-v5, Walker2d-v5")[6] == "**0.40**"
    assert cells(text, "defaults", "trpo", "Hopper-v5, Walker2d-v5")[5:7] == ["0.75", "**0.50**"]
    assert "Not over tasks: defaults, reinforce" in text


def test_the_table_is_printed_and_written(tmp_path, capsys):
    fill(tmp_path, "trpo", "Hopper-v5", [1, 2])
    fill(tmp_path, "trpo", "Hopper-v5", [1, 2], label="other")
    out = tmp_path / "table.md"
    command = ["table", "--results", str(tmp_path), "--label", "other", "--out", str(out)]
    assert main(command) == 0
    assert capsys.readouterr().out == out.read_text()
    assert "| other | trpo |" in out.read_text()
    assert "defaults" not in out.read_text()
    assert main([*command[:3], "--tasks", "Ant-v5"]) == 2
    assert "no rows of Ant-v5" in capsys.readouterr().err


def test_curves_of_several_seeds_meet_on_the_steps_that_all_know():
    one = {"curve": [[100, 0.0], [200, 10.0], [400, 30.0]]}
    other = {"curve": [[200, 1.0], [300, None], [400, 3.0], [500, 4.0]]}
    steps, returns = plot.common_grid([one, other])
    assert steps.tolist() == [200, 400]
    assert returns.tolist() == [[10.0, 30.0], [1.0, 3.0]]
    third = {"curve": [[150, 0.0], [300, 0.0], [600, 0.0]]}
    steps, returns = plot.common_grid([one, other, third])
    assert steps.tolist() == [200, 300, 400]
    assert returns[:2].tolist() == [[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]]
    assert plot.common_grid([one, {"curve": []}])[0].size == 0


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_plot_is_written_and_names_recipes_and_tasks(tmp_path, suffix):
    for task in ("Hopper-v5", "Walker2d-v5"):
        fill(tmp_path, "trpo", task, [1, 2, 3])
        fill(tmp_path, "ppo_clip", task, [1])
    fill(tmp_path, "random", "Hopper-v5", [0.5])
    out = tmp_path / f"curves.{suffix}"
    assert main(["plot", "--results", str(tmp_path), "--out", str(out)]) == 0
    assert out.stat().st_size > 1000
    if suffix == "svg":
        text = out.read_text()
        for name in ("trpo", "ppo_clip", "Hopper-v5", "Walker2d-v5", "environment steps"):
            assert f"<!-- {name} -->" in text
        again = tmp_path / "again.svg"
        main(["plot", "--results", str(tmp_path), "--out", str(again)])
        assert again.read_text() == text


def test_a_plot_of_no_known_kind_is_refused(tmp_path, capsys):
    fill(tmp_path, "trpo", "Hopper-v5", [1])
    assert main(["plot", "--results", str(tmp_path), "--out", str(tmp_path / "curves")]) == 2
    assert ".png, .svg, .pdf" in capsys.readouterr().err
