"""Runs that earlier versions made are read, looked at and gone on with."""

import json
import pkgutil
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import surefoot as sf
from golden import make
from support.runs import rows, untimed
from support.suites import cases
from surefoot.common.arrays import to_named_arrays
from surefoot.runs.earlier.restored import restored

GOLDEN = Path(make.__file__).parent
RUNS = sorted(path.parent.name for path in GOLDEN.glob("*/config.json"))
STOPPED = sorted(path.stem for path in GOLDEN.glob("*.jsonl"))

#: Where the processor is another one, compiled programs round otherwise. Compiled for SSE4.2 or AVX
#: instead of AVX-512, these runs' numbers differ by 1e-5 of their values at most, and by 2e-7 where
#: they are small: of what is a sum of terms of size 1, float32 has no more.
RELATIVE, ABSOLUTE = 1e-4, 1e-6
#: What rounding leaves of a residual is noise.
ROUNDING = {"relative_residual"}


class Notes:
    """A display that keeps what is remarked: the platform, for one, is another one than then."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    def show(self, iteration):
        pass

    def resumed(self, scoring):
        pass

    def close(self):
        pass


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Makes a copy of a run, with the data that it learns from where it looks for it."""

    def copy(name):
        shutil.copy(GOLDEN / "demonstrations.safetensors", tmp_path)
        monkeypatch.chdir(tmp_path)
        return shutil.copytree(GOLDEN / name, Path(name))

    return copy


def command(monkeypatch, *arguments):
    """The command `surefoot`, as it is installed."""
    project = tomllib.loads((GOLDEN.parents[1] / "pyproject.toml").read_text())["project"]
    monkeypatch.setattr(sys, "argv", ["surefoot", *map(str, arguments)])
    return pkgutil.resolve_name(project["scripts"]["surefoot"])()


def test_there_are_runs_of_every_kind():
    formats = range(1, make.FORMAT + 1)
    stopped = {f"{name}-{number}" for name in make.STOPPED for number in formats}
    others = {f"{name}-{number}" for name in make.RUNS for number in formats}
    assert set(STOPPED) == stopped
    assert set(RUNS) == stopped | others


@pytest.mark.parametrize("name", RUNS)
def test_its_agent_acts_and_its_page_is_written(name, copied, monkeypatch):
    run = copied(name)
    config = json.loads((run / "config.json").read_text())
    agent = sf.load(run)
    last = rows(run)[-1]["steps"]
    assert agent.provenance.get("trained_steps", last) == last  # The oldest do not tell.
    assert np.isfinite(agent.evaluate(1).returns).all()
    assert command(monkeypatch, "report", run) == 0
    assert f"{config['algorithm']} on {config['environment']}" in (run / "report.html").read_text()


@pytest.mark.parametrize("name", RUNS)
def test_it_stands_where_its_checkpoint_says(name, copied):
    """Every array that the checkpoint holds is in the state of learner and environments, with the
    same values."""
    with restored(copied(name)) as (one,):
        assert not any("anew" in warning for warning in one.warnings)
        ours = to_named_arrays(learner=one.run.state)
        told = one.checkpoint.state
        assert told
        for key, array in told.items():
            np.testing.assert_array_equal(ours[key], array, err_msg=key)


@pytest.mark.slow
def test_its_last_update_is_replayed_from_a_checkpoint(copied, monkeypatch, capsys):
    run = copied("trpo-1")
    assert command(monkeypatch, "inspect", run, "--iteration", make.AFTER - 1) == 0
    assert "replayed from a checkpoint before iteration 2" in capsys.readouterr().out


@pytest.mark.parametrize("name", cases(STOPPED, fast=["trpo-1", "trpo-2"]))
def test_the_rest_of_it_is_that_of_the_run_without_a_stop(name, copied):
    run = copied(name)
    before = rows(run)
    assert len(before) == make.AFTER
    sf.resume(run, display=lambda steps: Notes())
    assert rows(run)[: make.AFTER] == before
    expected = [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]
    told = untimed(run)
    assert len(told) == len(expected) == 5
    for mine, row in zip(told, expected, strict=True):
        check(mine, row)
    here = make.machine() == json.loads((GOLDEN / "machine.json").read_text())
    if here and name.endswith(f"-{make.FORMAT}"):
        assert json.dumps(told) == json.dumps(expected), "not bit for bit"


def check(told, expected):
    """Two rows have the same numbers, up to rounding."""
    assert told.keys() == expected.keys()
    for name in expected.keys() - ROUNDING:
        np.testing.assert_allclose(
            told[name], expected[name], rtol=RELATIVE, atol=ABSOLUTE, err_msg=name
        )
