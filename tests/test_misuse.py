"""Wrong calls of the Python face: each is a `UsageError` in one line, and nothing is written."""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot as sf
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.common.fields import Interval
from surefoot.common.parameters import check_flag, check_integer, check_number, check_path
from surefoot.core.networks.architecture import Architecture
from surefoot.methods.registry import RECIPES
from surefoot.reporting import write
from surefoot.theory import estimate

CARTPOLE = gymnasium.make("CartPole-v1")
SPEC = PolicySpec(
    CARTPOLE.observation_space,
    CARTPOLE.action_space,
    Architecture(hidden=(8,)),
    -0.5,
    False,
    "affine",
    False,
)
AGENT = sf.Agent(SPEC.policy(jax.random.key(0)), SPEC.normalizer(), SPEC, environment="CartPole-v1")


class Things(NamedTuple):
    """What the calls are made with."""

    run: Any
    new: Any
    """A path at which there is nothing."""


class Functional:
    observation_space, action_space = CARTPOLE.observation_space, CARTPOLE.action_space

    def initial(self, rng):
        return jnp.zeros(4)

    def transition(self, state, action, rng):
        return state

    def observation(self, state, rng):
        return state

    def reward(self, state, action, next_state, rng):
        return 0.0

    def terminal(self, state, rng):
        return False


class Odd:
    def __repr__(self):
        raise ValueError("it has no text")


COUNTS = [0, -1, 2.0, "3", None, True, [2], math.nan, 1 + 2j, Odd(), np.ones(2)]
PLAIN_COUNTS = [0, -1, 2.0, "3", None, True, [2], math.nan]
SEEDS = [-1, None, 1.5, "x", 2**32, 10**30, False, [1], np.float32(1)]
FLAGS = ["no", None, 2, [True], np.array([True, False])]
PATHS = [3, 2.5, "a\0b", b"bytes", ["x"], {"x": 1}, object(), "x" * 300]
ENVS = [3, "CartPol-v1", "Acrobot-v1", "", "module:Env", object(), CARTPOLE, lambda: 3, ["x"]]
ENVS += [functools.partial(gymnasium.make, "CartPol-v1"), Functional(), sf.DeviceEnv(Functional())]
NUMBERS = [-0.1, "1", math.nan, math.inf, [1.0], True, 1j, np.ones(2), "x"]
CALLABLES = [3, "print", [print]]
OBSERVATIONS = [
    (np.zeros(4), {}),
    [[1.0, 2.0], [3.0]],
    "abc",
    {"a": 1},
    None,
    np.zeros(3),
    np.zeros((2, 3)),
    np.zeros((2, 2, 4)),
    np.zeros(4, complex),
    np.array(["1"] * 4),
    object(),
    3.0,
    [],
    [None] * 4,
    np.zeros(4, "datetime64[s]"),
]

train = functools.partial(sf.train, "trpo", "CartPole-v1")


def demonstrations(**changed):
    made = {
        "obs": np.zeros((2, 4)),
        "action": np.zeros(2, int),
        "reward": np.zeros(2),
        "terminated": [False, True],
        "truncated": [False, False],
        "observation_space": CARTPOLE.observation_space,
        "action_space": CARTPOLE.action_space,
    }
    return sf.demonstrations.Demonstrations(**{**made, **changed})


def option(name):
    return lambda x, on: train(out=on.new, **{name: x})


ROWS = [None, "ab", [[1], [2, 3]], [], np.zeros((3, 3)), np.array(["a", "b"]), object()]
SPACES = [None, 3, spaces.Text(3), spaces.Graph(spaces.Discrete(2), None), CARTPOLE]

#: What is called with each of the wrong values.
CALLS = {
    "predict(observation)": (lambda x, on: AGENT.predict(x), OBSERVATIONS),
    "predict(state)": (lambda x, on: AGENT.predict(np.zeros(4), x), [True, False, np.True_]),
    "predict(deterministic)": (lambda x, on: AGENT.predict(np.zeros(4), deterministic=x), FLAGS),
    "evaluate(episodes)": (lambda x, on: AGENT.evaluate(x), COUNTS),
    "evaluate(seed)": (lambda x, on: AGENT.evaluate(1, x), SEEDS),
    "evaluate(env)": (lambda x, on: AGENT.evaluate(1, env=x), ENVS),
    "evaluate(deterministic)": (lambda x, on: AGENT.evaluate(1, deterministic=x), FLAGS),
    "evaluate(video)": (lambda x, on: AGENT.evaluate(1, video=x), [*PATHS, "video.gif", ""]),
    "evaluate(video_episodes)": (
        lambda x, on: AGENT.evaluate(1, video=on.new.with_suffix(".mp4"), video_episodes=x),
        COUNTS,
    ),
    "record(episodes)": (lambda x, on: AGENT.record(x), COUNTS),
    "record(seed)": (lambda x, on: AGENT.record(1, x), SEEDS),
    "record(env)": (lambda x, on: AGENT.record(1, env=x), ENVS),
    "record(deterministic)": (lambda x, on: AGENT.record(1, deterministic=x), FLAGS),
    "save(path)": (lambda x, on: AGENT.save(x), [None, *PATHS]),
    "Agent.load(path)": (lambda x, on: sf.Agent.load(x), [None, *PATHS, "nowhere", ""]),
    "load(path)": (lambda x, on: sf.load(x), [None, *PATHS, "nowhere", ""]),
    "train(algorithm)": (
        lambda x, on: sf.train(x, "CartPole-v1", out=on.new),
        [3, None, "sac", "tpro", "", b"trpo", sf.recipes.TRPO, sf.KLBall(0.1), ["trpo"], object],
    ),
    "train(env)": (lambda x, on: sf.train("trpo", x, out=on.new), [None, *ENVS[:2], *ENVS[3:11]]),
    "train(out)": (lambda x, on: train(out=x), [*PATHS, "", "."]),
    "train(display)": (lambda x, on: train(out=on.new, display=x), CALLABLES),
    "train(progress)": (lambda x, on: train(out=on.new, progress=x), [3, "yes", [True]]),
    "train(on_iteration)": (lambda x, on: train(out=on.new, on_iteration=x), CALLABLES),
    "train(steps)": (option("steps"), [*PLAIN_COUNTS, 127]),
    "train(seed)": (option("seed"), SEEDS),
    "train(hidden)": (option("hidden"), [8, "8", (0,), (1.5,), None, (True,), ((8,),), 10**9]),
    "train(num_envs)": (option("num_envs"), PLAIN_COUNTS),
    "train(max_kl)": (option("max_kl"), NUMBERS),
    "train(backend)": (option("backend"), ["gpu", None, 3, ["host"]]),
    "train(log)": (option("log"), ["cvs", 3, ("csv", 3), None, {"csv"}]),
    "train(scale_rewards)": (option("scale_rewards"), FLAGS),
    "train(log, no folder)": (lambda x, on: train(log=x), ["csv", ("csv",)]),
    "train(unknown)": (
        lambda x, on: train(out=on.new, **{x: 1}),
        ["gamma", "total_timesteps", "n_steps", "ent_coef", "verbose", "max_lk", "x" * 99],
    ),
    "train_seeds(seeds)": (
        lambda x, on: sf.train_seeds("trpo", "CartPole-v1", x, out=on.new, backend="device"),
        [3, "12", [], [1, 1], [-1], [0.5], None, [True], [2**32], ["a"]],
    ),
    "train_seeds(backend)": (
        lambda x, on: sf.train_seeds("trpo", "CartPole-v1", [0, 1], out=on.new, backend=x),
        ["host", "envpool", "gpu", None],
    ),
    "resume(folder)": (lambda x, on: sf.resume(x), [None, *PATHS, "nowhere", ""]),
    "resume(steps)": (lambda x, on: sf.resume(on.run, steps=x), [*COUNTS[:4], *COUNTS[5:], 1]),
    "resume(env)": (lambda x, on: sf.resume(on.run, env=x), ENVS),
    "resume(algorithm)": (
        lambda x, on: sf.resume(on.run, algorithm=x),
        ["trpo", 3, sf.recipes.TRPO, sf.recipes.TRPO(max_kl=0.5)],
    ),
    "resume(on_iteration)": (lambda x, on: sf.resume(on.run, on_iteration=x), CALLABLES),
    "resume_seeds(folder)": (lambda x, on: sf.resume_seeds(x), [None, *PATHS, "nowhere"]),
    "inspect(folder)": (lambda x, on: sf.inspect(x), [None, *PATHS, "nowhere"]),
    "inspect(iteration)": (
        lambda x, on: sf.inspect(on.run, x),
        [-1, 99, 1.0, "1", True, [0], math.nan],
    ),
    "inspect(clip)": (lambda x, on: sf.inspect(on.run, clip=x), NUMBERS),
    "inspect(beta)": (lambda x, on: sf.inspect(on.run, beta=x), NUMBERS),
    "inspect(display)": (lambda x, on: sf.inspect(on.run, display=x), CALLABLES),
    "export(agent)": (lambda x, on: sf.export(x, on.new.with_suffix(".onnx")), [None, 3, "run"]),
    "export(path)": (lambda x, on: sf.export(AGENT, x), [None, *PATHS, "policy.pt", ""]),
    "export(format)": (
        lambda x, on: sf.export(AGENT, on.new.with_suffix(".onnx"), format=x),
        ["pt", None, 3, ["onnx"], "stablehlo"],
    ),
    "export(episodes)": (
        lambda x, on: sf.export(AGENT, on.new.with_suffix(".onnx"), episodes=x),
        COUNTS[1:],
    ),
    "export(seed)": (lambda x, on: sf.export(AGENT, on.new.with_suffix(".onnx"), seed=x), SEEDS),
    "export(run)": (
        lambda x, on: sf.export(AGENT, on.new.with_suffix(".onnx"), episodes=0, run=x),
        PATHS,
    ),
    "DeviceEnv(env)": (lambda x, on: sf.DeviceEnv(x), [None, 3, "CartPole-v1", CARTPOLE, object()]),
    "DeviceEnv(time_limit)": (
        lambda x, on: sf.DeviceEnv(Functional(), time_limit=x),
        [*COUNTS[:4], *COUNTS[5:], 2**31],
    ),
    "DeviceEnv(name)": (lambda x, on: sf.DeviceEnv(Functional(), name=x), [3, None, ["x"]]),
    "Demonstrations(obs)": (lambda x, on: demonstrations(obs=x), ROWS),
    "Demonstrations(action)": (lambda x, on: demonstrations(action=x), [*ROWS, [0, 2], [0.5, 1]]),
    "Demonstrations(reward)": (lambda x, on: demonstrations(reward=x), ROWS),
    "Demonstrations(truncated)": (lambda x, on: demonstrations(truncated=x), ROWS),
    "Demonstrations(observation_space)": (
        lambda x, on: demonstrations(observation_space=x),
        SPACES,
    ),
    "Demonstrations(action_space)": (lambda x, on: demonstrations(action_space=x), SPACES),
    "Demonstrations(environment)": (lambda x, on: demonstrations(environment=x), [3, CARTPOLE]),
    "demonstrations.save(path)": (
        lambda x, on: sf.demonstrations.save(demonstrations(), x),
        [None, *PATHS, ""],
    ),
    "demonstrations.save(demonstrations)": (
        lambda x, on: sf.demonstrations.save(x, on.new),
        [None, 3, AGENT, np.zeros(3)],
    ),
    "demonstrations.load(source)": (
        lambda x, on: sf.demonstrations.load(x),
        [None, *PATHS, "nowhere", ""],
    ),
    "report(paths)": (
        lambda x, on: write(x, on.new.with_suffix(".html")),
        [None, 3, [], [3], ["nowhere"], "nowhere", ["a\0b"]],
    ),
    "sf.report(runs)": (
        lambda x, on: sf.report(x),
        [None, 3, [], [3], AGENT, "nowhere", [["nowhere"]], np.zeros((3, 3)), "a\0b", {1: 2}],
    ),
    "sf.report(out)": (lambda x, on: sf.report(on.run, out=x), [*PATHS, "report.pdf", ""]),
    "history[name]": (lambda x, on: sf.load(on.run).history[x], ["kl", 3, None, ("kl_mean",)]),
    "history": (lambda x, on: x.history, [AGENT]),
    "report(out)": (lambda x, on: write([on.run], x), [None, *PATHS, "report.pdf", ""]),
    "estimate.play(agent)": (lambda x, on: estimate.play(x), [None, "run", 3]),
    "estimate.play(episodes)": (lambda x, on: estimate.play(AGENT, episodes=x), COUNTS),
    "estimate.play(horizon)": (lambda x, on: estimate.play(AGENT, horizon=x), COUNTS),
    "estimate.play(seed)": (lambda x, on: estimate.play(AGENT, seed=x), SEEDS),
    "estimate.play(env)": (lambda x, on: estimate.play(AGENT, x), ENVS[:10]),
}
CASES = [(name, i) for name, (_, wrong) in CALLS.items() for i in range(len(wrong))]


@pytest.fixture(scope="module")
def run(trained):
    return trained()


def message(call):
    """The text of the mistake that a call is."""
    with pytest.raises(sf.UsageError) as raised:
        call()
    return str(raised.value)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_one_line_and_writes_nothing(name, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, wrong = CALLS[name]
    for value in wrong:
        text = message(lambda value=value: call(value, Things(run, tmp_path / "new")))
        assert text
        assert "\n" not in text, text
        assert not list(tmp_path.iterdir())


def test_there_are_enough_of_them():
    assert len(CASES) >= 200
    public = {name.partition("(")[0] for name in CALLS}
    functions = {"train", "train_seeds", "resume", "resume_seeds", "load", "inspect", "export"}
    assert functions <= public


@pytest.mark.parametrize("name", RECIPES)
def test_every_hyperparameter_of_every_recipe_is_checked(name):
    kind = RECIPES[name]
    # Without a function a cost is what the environment says; of several costs, limits are a list.
    right = {"cost": None, "cost_limit": [1]}
    for field in (field.name for field in dataclasses.fields(kind)):
        for value in (None, object(), [1], "x" if field != "data" else 3):
            if field in right and right[field] == value:
                continue
            assert field in message(lambda f=field, v=value: kind(**{f: v}))


INTEGERS = st.one_of(
    st.integers(-5, 5),
    st.integers(-5, 5).map(np.int64),
    st.integers(0, 5).map(np.uint8),
    st.integers(-5, 5).map(np.array),
    st.integers(-5, 5).map(jnp.int32),
)
OTHERS = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=3),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.lists(st.integers(), max_size=2),
    st.just(np.arange(2)),
    st.binary(max_size=2),
    st.complex_numbers(),
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(INTEGERS)
def test_integers_of_all_kinds_are_taken_as_pythons(value):
    found = check_integer("n", value, -5, 5)
    assert type(found) is int
    assert found == value
    assert type(check_number("x", value, Interval())) is float


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(OTHERS)
def test_what_is_no_integer_is_one_line(value):
    text = message(lambda: check_integer("n", value, -5, 5))
    assert text.startswith("n is ")
    assert "accepted is an integer >= -5 and <= 5" in text
    assert "\n" not in text


@pytest.mark.parametrize("value", [True, np.True_, jnp.array(True), np.array(True)])
def test_truths_of_all_kinds_are_taken_as_pythons(value):
    assert check_flag("flag", value) is True


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20))
def test_any_text_without_a_null_character_is_a_path(text):
    assert str(check_path("path", text))


def test_seeds_of_numpy_train_as_pythons(tmp_path):
    """They are recorded as plain ones."""
    from surefoot.runs.train import check_seeds

    kinds = [np.arange(3), range(3), (np.uint8(i) for i in range(3)), jnp.arange(3)]
    for seeds in kinds:
        plain = check_seeds(seeds)
        assert plain == [0, 1, 2]
        assert all(type(seed) is int for seed in plain)


def test_a_vector_environment_with_other_copies_is_one_line():
    vector = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
    assert "2 copies and num_envs is 8" in message(lambda: sf.train("trpo", vector))
    vector.close()
