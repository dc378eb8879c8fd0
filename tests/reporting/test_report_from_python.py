"""`sf.report` writes the page of whatever stands for a run."""

import shutil

import pytest

import surefoot as sf
from support.runs import BATCH, TINY
from surefoot.common.errors import UsageError
from surefoot.runs.recorder import Result


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained(), tmp_path / "run")


def test_a_run_is_a_folder_or_its_agent_or_its_result(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    agent = sf.load("run")
    for told in (run, str(run), agent, Result(agent, [], 0, 0), [agent]):
        path = sf.report(told)
        assert path == run / "report.html"
        assert "trpo on CartPole-v1" in path.read_text()
        path.unlink()
    assert sf.report(agent, out="page.html").samefile(tmp_path / "page.html")


def test_several_are_compared(run, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sf.report([sf.load(run), trained(seed=1)]).samefile(tmp_path / "report.html")
    assert not (run / "report.html").exists()


def test_a_folder_of_runs_has_its_page_in_it(run, tmp_path):
    shutil.copytree(run, tmp_path / "runs" / "a")
    assert sf.report(tmp_path / "runs") == tmp_path / "runs" / "report.html"


MISTAKES = {
    "nothing": ([], "runs is \\[\\]; accepted are"),
    "None": (None, "runs is None; accepted are"),
    "a number": ([3], "a run is 3; accepted are"),
    "no run": ("nowhere", "nowhere does not exist"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs, message = MISTAKES[mistake]
    with pytest.raises(UsageError, match=message) as error:
        sf.report(runs)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_agent_without_a_folder_says_how_to_have_one():
    agent = sf.train("trpo", "CartPole-v1", steps=BATCH, **TINY)
    with pytest.raises(UsageError, match="has no run's folder: train it with out=FOLDER"):
        sf.report(agent)
