"""`check_env`: one message for each defect, none for a sound environment."""

import contextlib
import functools
import io

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import surefoot as sf
from support.environments import broken
from support.environments.broken import BROKEN, Sound
from surefoot.cli.main import main
from surefoot.envs.checking.check_env import check_env
from surefoot.envs.lookup import find_factory

BROKEN_ENVS = broken.__name__


@pytest.mark.parametrize("name", BROKEN)
def test_a_defect_is_told_once_in_a_line_with_what_is_accepted(name):
    make, kind, words = BROKEN[name]
    (defect,) = check_env(make)
    assert defect.kind == kind
    assert "\n" not in defect.message
    for word in (*words, "accepted"):
        assert word in defect.message


def test_there_are_enough_kinds_of_defects():
    assert len(BROKEN) >= 25
    assert len({kind for _, kind, _ in BROKEN.values()}) >= 12


SOUND = ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCarContinuous-v0", "FrozenLake-v1"]
MUJOCO = ["HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "InvertedPendulum-v5"]


@pytest.mark.parametrize("env_id", [*SOUND, *MUJOCO, "Blackjack-v1", "Taxi-v4"])
def test_a_sound_environment_has_none(env_id):
    assert check_env(find_factory(env_id)) == []


@pytest.mark.parametrize(
    "make",
    [
        Sound,
        functools.partial(gymnasium.make, "CartPole-v1"),
        functools.partial(SyncVectorEnv, [Sound], autoreset_mode=AutoresetMode.SAME_STEP),
        lambda: gymnasium.wrappers.TimeLimit(Sound(), 3),
    ],
)
def test_neither_have_wrapped_and_vector_environments(make):
    assert check_env(make) == []


def test_defects_of_different_kinds_are_all_told():
    class Several(Sound):
        def step(self, action):
            obs, _, terminated, truncated, _ = super().step(action)
            return obs[:1], np.nan, int(terminated), truncated, None

    kinds = [defect.kind for defect in check_env(Several)]
    assert sorted(kinds) == ["info", "observation", "reward", "terminated"]


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["check-env", *arguments])
    return code, out.getvalue(), err.getvalue()


def test_the_command_says_that_there_is_none():
    code, out, err = run("CartPole-v1")
    assert (code, err) == (0, "")
    assert out == "CartPole-v1: no defect found in 250 steps\n"


def test_the_command_prints_a_line_for_each_and_exits_with_1():
    code, out, err = run(f"{BROKEN_ENVS}:WrongShape")
    assert (code, err) == (1, "")
    assert out.startswith(f"{BROKEN_ENVS}:WrongShape: the observation has the shape (3,); accepted")
    assert out.count("\n") == 1


def test_the_module_may_lie_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "mine_alone.py").write_text(
        "from support.environments.broken import NanReward as make\n"
    )
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("mine_alone:make")
    assert code == 1
    assert "mine_alone:make: the reward is nan" in out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPol-v1", "Did you mean 'CartPole-v1'"),
        ("no_such_module:make", "'no_such_module' cannot be imported .*No module named"),
        (
            f"{BROKEN_ENVS}:WrongShap",
            "names nothing that can be called.* Did you mean 'WrongShape'",
        ),
        (f"{BROKEN_ENVS}:BROKEN", "names nothing that can be called"),
        (f"{BROKEN_ENVS}:", "names nothing that can be called"),
        (":make", "'' cannot be imported"),
    ],
)
def test_what_is_no_environment_is_a_mistake(name, message):
    with pytest.raises(sf.UsageError, match=message) as error:
        find_factory(name)
    assert "\n" not in str(error.value)
    code, out, err = run(name)
    assert (code, out) == (2, "")
    assert err == f"surefoot: {error.value}\n"
