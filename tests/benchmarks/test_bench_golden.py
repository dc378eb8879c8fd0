"""The golden comparison: what it reads of a help, and what it notices."""

import json
import math
import shutil

import pytest

from benchmarks.golden.__main__ import main
from benchmarks.golden.comparing import Difference, compare, differences
from benchmarks.golden.inside.cases import GROUPS, RUNS, STOPPED
from benchmarks.golden.making import ABOUT

ROW = {"iteration": 0, "kl_mean": 0.009873616509139538, "accepted": True, "returns": [1.0, 2.0]}


def write(folder, name, content):
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def change(folder, name, key, value):
    """Set one value in a file, at a path of keys."""
    content = json.loads((folder / f"{name}.json").read_text())
    inner = content
    for step in key[:-1]:
        inner = inner[step]
    inner[key[-1]] = value
    write(folder, name, content)


@pytest.fixture
def both(tmp_path):
    """Two folders with the same: all options by `make`, and runs by hand."""
    base, head = tmp_path / "base", tmp_path / "head"
    assert main(["make", str(base), "--only", "options"]) == 0
    run = {"config": {"steps": 3}, "rows": [ROW] * 3, "agent": {"weights": [0.5, math.nan]}}
    for name in RUNS:
        write(base, f"runs/{name}", run)
    for name in STOPPED:
        write(base, f"stopped/{name}", run)
        write(base, f"resumed/{name}", {"resumed_from": "digest", "page": {}, **run})
    shutil.copytree(base, head)
    return base, head


def test_a_comparison_notices(both, capsys):
    base, head = both
    trpo = json.loads((base / "options" / "train-trpo.json").read_text())
    assert trpo["options"]["--max-kl FLOAT"] == "0.01"
    assert trpo["options"]["--solver {cg,exact}"] == "cg"
    assert trpo["options"]["ENV"] == "required"
    assert trpo["options"]["-h, --help"] is None
    assert {path.stem for path in (base / "options").iterdir()} == set(GROUPS["options"])

    assert main(["compare", str(base), str(head)]) == 0
    said = capsys.readouterr().out
    assert f"runs: {len(RUNS)} files, {len(RUNS)} equal" in said
    assert "cheetah: made in neither" in said

    change(head, "options/train-trpo", ["options", "--max-kl FLOAT"], "0.02")
    change(head, "runs/trpo-host-gaussian", ["rows", 1, "kl_mean"], 0.00987361650913954)
    (head / "runs" / "bc-host-gaussian.json").unlink()
    change(head, "resumed/bc", ["rows", 2, "returns"], [1.0])
    assert main(["compare", str(base), str(head)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"options: {len(GROUPS['options'])} files, {len(GROUPS['options']) - 1} equal" in lines
    assert (
        '  options/train-trpo.json: 1 differ, first options.--max-kl FLOAT: "0.01" and "0.02"'
    ) in lines
    assert (
        "  runs/trpo-host-gaussian.json: 1 differ, first rows[1].kl_mean: 0.009873616509139538 and "
        "0.00987361650913954; largest relative difference 1.8e-16"
    ) in lines
    assert f"  runs/bc-host-gaussian.json: there is no {head}/runs/bc-host-gaussian.json" in lines
    assert any(line.startswith("  resumed/bc.json: 1 differ, first rows[2].ret") for line in lines)
    assert f"stopped: {len(STOPPED)} files, {len(STOPPED)} equal" in lines


def test_a_resumed_run_must_be_the_one_that_was_not_interrupted(both):
    base, head = both
    for folder in both:
        change(folder, "resumed/bc", ["agent", "weights", 0], 0.25)
    lines, equal = compare(base, head)
    assert not equal
    assert any("resumed/bc.json: other than the run that was not interr" in line for line in lines)


def test_mistakes_are_one_line(both, tmp_path, capsys):
    base, head = both
    capsys.readouterr()
    change(head, "resumed/bc", ["resumed_from"], "another")
    assert main(["compare", str(base), str(head)]) == 2
    said = capsys.readouterr().err
    assert said.endswith(f"remove {head / 'resumed'}, and make it with --after {base}\n")
    assert main(["compare", str(base), str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["make", str(base), "--checkout", str(tmp_path)]) == 2
    assert "accepted is a checkout of surefoot" in capsys.readouterr().err
    change(base, ABOUT.removesuffix(".json"), ["surefoot"], "another")
    assert main(["make", str(base), "--only", "options"]) == 2
    assert "was made with another surefoot" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other", "keys"),
    [
        (math.nan, math.nan, []),
        (0.0, -0.0, [""]),
        (1, 1.0, [""]),
        ({"a": 1, "b": 2}, {"b": 2, "c": 3}, ["a", "c"]),
        ([1, [2]], [1, [3], 4], [".length", "[1][0]"]),
    ],
)
def test_what_is_the_same(one, other, keys):
    assert [found.key for found in differences(one, other)] == keys


def test_relative_differences():
    assert Difference("", 3.0, 4.0).relative() == 0.25
    assert Difference("", 0.0, -0.0).relative() == 0.0
    for one, other in ((math.nan, 1.0), (True, 2.0), ("1", 2.0), (math.inf, 1.0)):
        assert Difference("", one, other).relative() == math.inf
