"""An agent's history is its run's metrics, wherever they are kept."""

import csv
import json
import math
import pickle
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot as sf
from support.runs import BATCH, TINY, rows
from surefoot.common.errors import UsageError
from surefoot.runs.display.progress import SILENT
from surefoot.runs.execute import execute
from surefoot.runs.folder.history_columns import HistoryColumns, read_history
from surefoot.runs.options import prepare


def equal(a, b):
    """Whether two histories are the same but for how long it took."""
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        if not name.startswith("timing_"):
            np.testing.assert_array_equal(a[name], b[name], name)


def test_with_a_folder_and_without_it_is_the_same(trained, tmp_path):
    folder = trained()
    kept = sf.load(folder).history
    equal(kept, sf.train("trpo", "CartPole-v1", steps=5 * BATCH, **TINY).history)
    equal(kept, sf.load(folder / "agent").history)
    shutil.copytree(folder, tmp_path / "run")
    agent = sf.resume(tmp_path / "run", steps=6 * BATCH)
    assert agent.history["steps"].tolist() == [BATCH * (i + 1) for i in range(6)]
    assert agent.history is agent.history


def test_columns_are_the_rows_numbers(trained):
    folder = trained()
    history, told = sf.load(folder).history, rows(folder)
    assert history.rows == len(told) == 5
    for name in ("steps", "kl_mean", "backtracks", "refused", "accepted"):
        assert history[name].tolist() == [row[name] for row in told]
    assert history["steps"].dtype == history["refused"].dtype == np.int64
    assert history["timing_total"].tolist() == [row["timing"]["total"] for row in told]
    for x, row in zip(history["episode_return_mean"], told, strict=True):
        returns = row["episode_returns"]
        assert x == pytest.approx(np.mean(returns)) if returns else math.isnan(x)


def test_the_names_are_those_of_the_csv(trained):
    folder = trained(log=("csv",))
    with (folder / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    history = sf.load(folder).history
    assert list(history) == list(table[0])
    for name, column in history.items():
        cells = [float(row[name] or "nan") for row in table]
        np.testing.assert_array_equal(column, cells, name)


def test_evaluations_stand_in_the_rows_after_which_they_were(trained):
    folder = trained(evaluate_every=2 * BATCH, evaluation_episodes=2)
    lines = map(json.loads, (folder / "evaluations.jsonl").read_text().splitlines())
    told = {line["steps"]: line["mean"] for line in lines}
    history = sf.load(folder).history
    found = dict(zip(history["steps"].tolist(), history["evaluation_mean"], strict=True))
    assert {steps: x for steps, x in found.items() if not math.isnan(x)} == told
    assert told


VALUES = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["nan", "inf", "-inf", "text"]),
    st.lists(st.floats(), max_size=2),
    st.dictionaries(st.text("ab", min_size=1), st.integers(), max_size=2),
)
NAMES = st.sampled_from(["steps", "kl_mean", "a", "episode_returns", "timing"])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=6))
def test_odd_rows_are_columns_of_one_length(told):
    columns = HistoryColumns()
    for row in told:
        columns.add(row)
    history = columns.history()
    assert {len(column) for column in history.values()} <= {len(told)}
    for name, column in history.items():
        for value, row in zip(column, told, strict=True):
            given = row.get(name)
            if type(given) is int and column.dtype == np.int64:
                assert value == given
            elif name == "kl_mean" and isinstance(given, float):
                np.testing.assert_equal(value, given)
            elif name == "kl_mean" and (given is None or given == "text"):
                assert math.isnan(value)


def test_counts_are_exact():
    columns = HistoryColumns()
    for steps in (2**53 + 1, 2**62 + 1):
        columns.add({"steps": steps})
    assert columns.history()["steps"].tolist() == [2**53 + 1, 2**62 + 1]
    columns.add({"steps": 2**70})
    assert columns.history()["steps"].tolist() == [2.0**53, 2.0**62, 2.0**70]


def test_a_half_written_line_is_passed_over(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained(), folder)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 5, "ste')
    assert read_history(folder).rows == 5


def test_what_has_no_history_says_so(trained, tmp_path):
    agent = sf.load(trained())
    agent.save(tmp_path / "apart")
    with pytest.raises(UsageError, match="this agent knows no history; accepted is"):
        _ = sf.load(tmp_path / "apart").history
    shutil.copytree(trained(), tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        _ = sf.load(tmp_path / "run").history
    with pytest.raises(UsageError, match=r"no column 'kl'; it has .* Did you mean"):
        _ = agent.history["kl"]
    assert agent.history.get("kl") is None
    assert "kl" not in agent.history
    assert "kl_mean" in agent.history


def test_the_folder_is_found_from_anywhere(trained, tmp_path, monkeypatch):
    folder = trained()
    monkeypatch.chdir(folder.parent)
    agent = sf.load(folder.name)
    monkeypatch.chdir(tmp_path)
    assert agent.history.rows == 5
    assert agent.run == folder
    assert pickle.loads(pickle.dumps(agent.history)).rows == 5


def test_a_table_of_pandas(trained, monkeypatch):
    history = sf.load(trained()).history
    pandas = pytest.importorskip("pandas")
    table = history.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == list(history)
    assert table["kl_mean"].tolist() == history["kl_mean"].tolist()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        history.to_pandas()


def test_histories_and_results_say_what_they_are(trained):
    history = sf.load(trained()).history
    assert repr(history).startswith("<History: 5 rows of iteration, steps, ")
    assert repr(sf.History({})) == "<History: 0 rows of >"
    assert (history.rows, sf.History({}).rows) == (5, 0)
    (result,) = execute([prepare("trpo", "CartPole-v1", {"steps": BATCH, **TINY})], [None], SILENT)
    assert (
        repr(result)
        == f"<Result: {BATCH} steps, {len(result.returns)} episodes, 0 skipped updates>"
    )


@pytest.mark.slow
def test_seeds_at_once_have_a_history_each(tmp_path):
    options = {**TINY, "backend": "device", "steps": 3 * BATCH}
    for out in (None, tmp_path / "runs"):
        agents = sf.train_seeds("trpo", "CartPole-v1", [0, 1], out=out, **options)
        first, second = (agent.history["kl_mean"] for agent in agents)
        assert len(first) == len(second) == 3
        assert not np.array_equal(first, second)
