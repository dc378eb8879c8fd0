"""The paper's table and figure, from rows by hand."""

import json

import numpy as np
import pytest

from benchmarks.learning import matrix, rows
from benchmarks.paper import published, tables
from benchmarks.paper.__main__ import main
from surefoot.methods.registry import RECIPES


def a_row(entry, last_100):
    """A row of exactly the settings that the entry would have now."""
    if entry.recipe == rows.RANDOM:
        numbers, setup = {"episodes": 100}, {}
    else:
        names = set(RECIPES[entry.recipe]().hyperparameters())
        flat = entry.settings()
        numbers = {name: value for name, value in flat.items() if name in names}
        setup = {k: v for k, v in flat.items() if k not in names | {"recipe", "task"}}
    row = {"recipe": entry.recipe, "task": entry.task, "seed": entry.seed, "steps": entry.steps}
    row |= {"last_100": last_100, "deterministic_20": None, "hyperparameters": numbers}
    row |= {"setup": setup, "curve": [[500_000, last_100 / 2], [1_000_000, last_100]]}
    rows.write(entry.path, row)


@pytest.fixture
def results(tmp_path):
    """Two seeds of every setting and method: a setting's place, times 100, plus the seed."""
    for number, setting in enumerate(published.TABLE_1):
        for task in published.TASKS:
            for seed in (0, 1):
                folder = tmp_path / setting.label
                a_row(
                    matrix.Entry(setting.recipe, task, seed, 1_000_000, setting.options, folder),
                    100.0 * number + seed,
                )
    for recipe in published.FIGURE_3:
        for task in published.TASKS:
            for seed in (0, 1):
                entry = matrix.Entry(recipe, task, seed, 1_000_000, {}, tmp_path / "defaults")
                if not entry.path.exists():
                    a_row(entry, 50.0 + seed)
    for task in published.TASKS:
        for seed in (0, 1):
            a_row(matrix.Entry(rows.RANDOM, task, seed, 0, {}, tmp_path / rows.RANDOM), -100.0)
    return tmp_path


def cells(text):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]


def test_table_1_scales_by_the_random_policy_and_the_best(results, capsys):
    assert main(["table1", "--jobs", "0", "--seeds", "0", "1", "--results", str(results)]) == 0
    told = cells(capsys.readouterr().out)[3:]
    assert [row[0] for row in told] == [setting.name for setting in published.TABLE_1]
    for number, row in enumerate(told):
        # (100 n + ½ + 100)/(1000.5 + 100), and of the best single run 1001.
        mean = 100 * number + 100.5
        assert row[2] == f"**{mean / 1100.5:.2f}**"
        assert row[4] == f"{mean / 1101:.2f}"
        assert row[5] == f"{published.TABLE_1[number].score:.2f}"
        low, high = map(float, row[3].split(" – "))
        assert low <= round(mean / 1100.5, 2) <= high


def test_a_setting_that_lacks_rows_has_no_score_and_is_named(results, capsys):
    setting = published.TABLE_1[0]
    for path in (results / setting.label).glob("*Reacher*"):
        path.unlink()
    main(["table1", "--jobs", "0", "--seeds", "0", "1", "--results", str(results)])
    told = capsys.readouterr().out
    assert f"Not all rows are there: {setting.name}." in told
    assert len([line for line in told.splitlines() if line.startswith("| clipping")]) == 3


def test_figure_3_has_the_papers_numbers_beside_ours_and_is_drawn(results, capsys, tmp_path):
    out = tmp_path / "figure.svg"
    arguments = ["figure3", "--jobs", "0", "--seeds", "0", "1", "--results", str(results)]
    assert main([*arguments, "--out", str(out)]) == 0
    told = cells(capsys.readouterr().out)[3:]
    assert len(told) == len(published.FIGURE_3) * len(published.TASKS)
    by_name = {(row[0], row[1]): row for row in told}
    row = by_name["a2c", "Swimmer-v5"]
    assert row[2:4] == ["2", "50.5"]
    assert row[5:] == ["31", "-100"]
    assert by_name["cem", "Swimmer-v5"][5] == "–"
    assert out.read_text().count("Swimmer-v5") == 1


def test_what_is_missing_is_run_all_of_a_seed_first(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        "benchmarks.learning.runner.run", lambda todo, *, jobs: asked.extend(todo) or 0
    )
    main(["table1", "--jobs", "1", "--results", str(tmp_path)])
    assert len(asked) == (11 + 1) * 7 * 3
    assert [entry.seed for entry in asked] == sorted(entry.seed for entry in asked)
    assert "252 runs, 0 of them done" in capsys.readouterr().out
    # Rows of different settings never lie in one place.
    assert len({entry.path for entry in asked}) == len(asked)


def test_rows_of_the_defaults_are_those_of_the_matrix():
    shared = [setting for setting in published.TABLE_1 if setting.label == "defaults"]
    assert [setting.recipe for setting in shared] == ["ppo_clip", "ppo_kl", "ppo_fixed_kl"]
    for setting, (name, value) in zip(
        shared, [("clip", 0.2), ("target_kl", 0.01), ("beta", 3.0)], strict=True
    ):
        assert RECIPES[setting.recipe]().hyperparameters()[name] == value


def test_the_settings_of_a_group_differ_in_one_number():
    for setting in published.TABLE_1:
        numbers = RECIPES[setting.recipe](**setting.options).hyperparameters()
        assert len(setting.options) <= 1
        assert json.loads(json.dumps(numbers)) == numbers
        digits = setting.name.rpartition("= ")[2]
        assert setting.group == published.NONE or float(digits) in numbers.values()


def test_a_stale_row_is_an_error_of_one_line(results, capsys):
    path = next((results / "defaults").glob("ppo_clip-Swimmer*"))
    row = json.loads(path.read_text())
    row["hyperparameters"]["clip"] = 0.25
    rows.write(path, row)
    assert main(["table1", "--jobs", "0", "--results", str(results)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("benchmarks.paper: ")
    assert told.count("\n") == 1


def test_scores_are_those_of_the_last_100_episodes(results):
    entry = matrix.Entry("trpo", "Hopper-v5", 1, 1_000_000, {}, results / "defaults")
    np.testing.assert_array_equal(tables.last_100([entry])["Hopper-v5"], [51.0])
