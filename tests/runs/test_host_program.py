"""What surefoot leaves in the process of the program that calls it: nothing of that program goes
into a run's files, and imports, variables and compiled programs are those of before."""

import contextlib
import importlib
import io
import json
import sys

import gymnasium
import numpy as np
import pytest

import surefoot as sf
from support.runs import BATCH, TINY, rows
from surefoot.cli.main import main
from surefoot.common.compile_cache import attributes
from surefoot.envs.device.classic import DEVICE_ENVS, CartPole
from surefoot.envs.lookup import find_env
from surefoot.envs.make import make_host
from surefoot.envs.module_finder import ModuleFinder

SMALL = {**TINY, "steps": BATCH}


def config(folder):
    return json.loads((folder / "config.json").read_text())


def test_the_command_line_of_another_program_is_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tune.py", "--api-key", "sk-secret"])
    sf.train("reinforce", "CartPole-v1", out=tmp_path / "run", **SMALL)
    assert "command" not in config(tmp_path / "run")
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"sk-secret" not in path.read_bytes()


def test_surefoots_own_command_line_is_kept_whoever_calls_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tune.py", "--api-key", "sk-secret"])
    options = [f"--{name.replace('_', '-')}" for name in TINY]
    values = ["4", "32", "8"]
    words = ["train", "reinforce", "CartPole-v1", f"--steps={BATCH}", "--no-report"]
    words += [word for pair in zip(options, values, strict=True) for word in pair]
    words.append(f"--out={tmp_path / 'run'}")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(words) == 0
    assert config(tmp_path / "run")["command"] == ["surefoot", *words]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with an environment, and with modules that have names of others."""
    (tmp_path / "own_walk.py").write_text(
        "import gymnasium\n"
        "import own_neighbor\n"
        "gymnasium.register('OwnWalk-v0', entry_point='own_entry:Walk', max_episode_steps=9)\n"
        "class Walk(gymnasium.Wrapper):\n"
        "    def __init__(self):\n"
        "        super().__init__(gymnasium.make('CartPole-v1'))\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        import own_later\n"
        "        return super().reset(seed=seed, options=options)\n"
    )
    (tmp_path / "own_entry.py").write_text("from own_walk import Walk\n")
    for name in ("own_neighbor", "own_later", "own_trap"):
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.chdir(tmp_path)
    before, known = list(sys.meta_path), set(sys.modules)
    yield tmp_path
    sys.meta_path[:] = before
    gymnasium.registry.pop("OwnWalk-v0", None)
    for name in set(sys.modules) - known:
        if name.startswith("own_"):
            del sys.modules[name]


@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize("name", ["own_walk:Walk", "own_walk:OwnWalk-v0"])
def test_a_module_of_the_working_folder_finds_its_neighbors_and_nobody_else_does(
    project, name, vectorization
):
    path = list(sys.path)
    # In a worker process as well, which imports the module by its name.
    with contextlib.closing(make_host(find_env(name), 1, vectorization=vectorization)) as env:
        env.reset(0)
        env.step(np.zeros(1, int))
    assert sys.path == path
    assert ("own_later" in sys.modules) == (vectorization == "sync")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("own_trap")
    assert importlib.util.find_spec("own_trap") is None


def test_a_folder_is_looked_in_once_however_often_it_is_named(project):
    for name in ("own_walk:Walk", "own_walk:Walk", "own_entry:Walk"):
        find_env(name)
    folders = [x.folder for x in sys.meta_path if isinstance(x, ModuleFinder)]
    assert folders.count(folders[-1]) == 1
    assert len(folders) == len(set(folders))


def returns(folder, **options):
    sf.train("reinforce", "CartPole-v1", backend="device", out=folder, **SMALL, **options)
    return rows(folder)[0]["episode_lengths"]


class StopError(Exception):
    """Instead of compiling."""


CHANGED = [("instance", "force", 40.0), ("class", "angle_limit", 0.02), ("class", "reward", None)]


@pytest.mark.parametrize(("where", "name", "value"), CHANGED)
def test_a_program_is_known_by_the_dynamics_and_not_by_the_object(where, name, value, monkeypatch):
    keys = []

    def compile_cached(function, *args, closed_over, **options):
        keys.append(closed_over)
        raise StopError

    monkeypatch.setattr("surefoot.training.device_program.compile_cached", compile_cached)

    def begin():
        with pytest.raises(StopError):
            sf.train("reinforce", "CartPole-v1", backend="device", **SMALL)

    begin()
    place = DEVICE_ENVS["CartPole-v1"].env if where == "instance" else CartPole
    with monkeypatch.context() as patched:
        patched.setattr(place, name, value, raising=False)
        begin()
    begin()
    usual, other, again = keys
    assert usual == again
    assert hash(usual) == hash(again)
    assert other != usual


@pytest.mark.slow
def test_programs_are_kept_for_the_dynamics_and_not_for_the_object(tmp_path, monkeypatch):
    built_in = DEVICE_ENVS["CartPole-v1"].env
    usual = returns(tmp_path / "usual")
    for i, (place, name, value) in enumerate(
        [(built_in, "force", 40.0), (CartPole, "angle_limit", 0.02)]
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, value, raising=False)
            assert returns(tmp_path / f"other-{i}") != usual
    assert returns(tmp_path / "again") == usual


class Thing:
    number, text, array, method = 1.0, "a", np.zeros(2), len

    def __init__(self):
        self.own = [1, 2]


CHANGES = {
    "number": 1,
    "text": "b",
    "array": np.zeros(2, np.float32),
    "method": str,
    "own": [1, 3],
    "new": None,
}


@pytest.mark.parametrize("name", CHANGES)
def test_attributes_differ_where_anything_does(name, monkeypatch):
    before = attributes(Thing())
    assert attributes(Thing()) == before
    assert hash(attributes(Thing())) == hash(before)
    thing = Thing()
    setattr(thing, name, CHANGES[name])
    assert attributes(thing) != before
    if name != "own":
        monkeypatch.setattr(Thing, name, CHANGES[name], raising=False)
        assert attributes(Thing()) != before
