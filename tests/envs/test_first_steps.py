"""What an environment returns in its first steps: what cannot be learned from is one line, in the
words of `check_env`, wherever environments are stepped."""

import functools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot as sf
from support.runs import TINY
from support.suites import cases
from surefoot.common.errors import UsageError
from surefoot.envs.checking import faults
from surefoot.envs.checking.check_env import check_env
from surefoot.envs.checking.first_steps import CHECKED
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import make_host
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.observations import leading_dimensions

ZEROS = np.zeros(2, np.float32)


class Env(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return ZEROS, {}

    def step(self, action):
        return ZEROS, 1.0, False, False, {}


def kind(**own):
    return type("Env", (Env,), own)


def resets_to(obs):
    return lambda self, seed=None, options=None: (obs, {})


def steps_to(*result):
    return lambda self, action: result


DEFECTS = {
    "shape": (kind(reset=resets_to(np.zeros(3))), r"has the shape \(3,\); accepted is \(2,\)"),
    "shape of a step": (kind(step=steps_to(np.zeros((1, 2)), 1.0, False, False, {})), "shape"),
    "text": (kind(reset=resets_to("ab")), "is a str; accepted is a NumPy array"),
    "nothing": (kind(reset=resets_to(None)), "is a NoneType; accepted is a NumPy array"),
    "old reset": (kind(reset=lambda self, seed=None, options=None: ZEROS), "reset returned a nda"),
    "no seed": (kind(reset=lambda self: (ZEROS, {})), r"reset takes \(\); accepted is reset\(self"),
    "old step": (kind(step=steps_to(ZEROS, 1.0, False, {})), "step returned 4 values"),
    "reward [1.0]": (kind(step=steps_to(ZEROS, np.ones(1), False, False, {})), "the reward is arr"),
    "no reward": (kind(step=steps_to(ZEROS, None, False, False, {})), "the reward is None"),
    "text reward": (kind(step=steps_to(ZEROS, "1", False, False, {})), "the reward is '1'"),
    "terminated [x]": (kind(step=steps_to(ZEROS, 1.0, [True], False, {})), "terminated is"),
    "no truncated": (kind(step=steps_to(ZEROS, 1.0, False, None, {})), "truncated is None"),
    "no spaces": (type("Bare", (gymnasium.Env,), {}), "observation_space is None"),
    "no action space": (kind(action_space=None), "action_space is None"),
    "missing key": (
        kind(
            observation_space=spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2)),
            reset=resets_to({"a": 0}),
        ),
        r"has \['a'\]; accepted is a dict with the keys \['a', 'b'\]",
    ),
    "short tuple": (
        kind(
            observation_space=spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]),
            reset=resets_to((0,)),
        ),
        "accepted is a tuple of 2",
    ),
    "Discrete(3) of 3": (
        kind(observation_space=spaces.Discrete(3), reset=resets_to(3)),
        r"the observation is 3; accepted is what lies in Discrete\(3\)",
    ),
    "MultiDiscrete beyond": (
        kind(observation_space=spaces.MultiDiscrete([2, 3]), reset=resets_to(np.array([1, -1]))),
        "accepted is what lies in MultiDiscrete",
    ),
}


def play(env, steps=3):
    try:
        env.reset(0)
        for _ in range(steps):
            env.step(np.zeros(env.num_envs, int))
    finally:
        env.close()


@pytest.mark.parametrize("name", DEFECTS)
@pytest.mark.parametrize("vectorization", ["sync", "thread"])
def test_what_cannot_be_learned_from_is_one_line(name, vectorization):
    make, says = DEFECTS[name]
    with pytest.raises(UsageError, match=says) as raised:
        play(make_host(make, 2, vectorization=vectorization))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", DEFECTS)
def test_it_is_said_as_check_env_says_it(name):
    make = DEFECTS[name][0]
    with pytest.raises(UsageError) as raised:
        play(make_host(make, 1))
    said = str(raised.value).partition(": ")[2].partition(" ('surefoot")[0]
    assert said in [defect.message for defect in check_env(make)]


@pytest.mark.parametrize("name", cases(["shape", "old step", "no spaces"], fast=["old step"]))
def test_in_a_worker_process_it_is_the_same_line(name):
    make, says = DEFECTS[name]
    with pytest.raises(UsageError, match=says) as raised:
        play(make_host(make, 1, vectorization="async"))
    assert "Traceback" not in str(raised.value)


def test_training_says_it_before_anything_is_written(tmp_path):
    make, says = DEFECTS["Discrete(3) of 3"]
    with pytest.raises(UsageError, match=says):
        sf.train("reinforce", make, out=tmp_path / "run", steps=128, **TINY)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (kind(action_space=None), "action space does not inherit from `gymnasium.spaces.Space`"),
        (kind(step=lambda self, action: ZEROS), "step result to be a tuple"),
        (DEFECTS["old reset"][0], "reset returned a ndarray"),
    ],
)
def test_what_gymnasiums_own_checker_asserts_is_the_same_mistake(make, says):
    gymnasium.register("Defective-v0", make)
    try:
        for source in ("Defective-v0", functools.partial(gymnasium.make, "Defective-v0")):
            with pytest.raises(UsageError, match=says) as raised:
                play(make_host(source, 1))
            assert "\n" not in str(raised.value)
    finally:
        del gymnasium.registry["Defective-v0"]


def raises(self, action):
    raise ZeroDivisionError("its own")


def test_what_the_environment_raises_is_its_own():
    with pytest.raises(ZeroDivisionError, match="its own"):
        play(make_host(kind(step=raises), 1))


UNTIDY = {
    "another dtype": kind(reset=resets_to(np.zeros(2, np.float64))),
    "a list": kind(reset=resets_to([0.0, 0.0])),
    "beyond the bounds": kind(reset=resets_to(np.full(2, 9.0, np.float32))),
    "not finite": kind(step=steps_to(np.full(2, np.nan, np.float32), np.nan, False, False, {})),
    "integers for truth": kind(step=steps_to(ZEROS, 1, 0, np.int64(0), {})),
    "arrays of no dimension": kind(step=steps_to(ZEROS, np.array(1.0), np.array(False), False, {})),
    "no info": kind(reset=resets_to(ZEROS), step=steps_to(ZEROS, 1.0, False, False, None)),
}


@pytest.mark.parametrize("name", UNTIDY)
def test_what_can_be_learned_from_is_left_to_check_env(name):
    play(make_host(UNTIDY[name], 2))


def test_later_steps_are_the_environments_own():
    """Checking costs nothing then: what is returned goes on as it is."""
    played = []

    def step(self, action):
        played.append(action)
        return ZEROS, 1.0, False, False, "no info" if len(played) <= CHECKED else {}

    env = make_host(kind(step=step), 1)
    inner = env.stepper.envs[0]
    play(env, CHECKED)
    assert inner._to_check == 0
    assert len(played) == CHECKED


class Vector(VectorEnv):
    """One whose first step may be anything."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
    num_envs = 2
    single_observation_space = Env.observation_space
    single_action_space = Env.action_space

    def __init__(self, start=None, step=None):
        zeros = np.zeros((2, 2), np.float32)
        self._start = zeros if start is None else start
        flags = np.zeros(2, bool)
        self._step = step or (zeros, np.zeros(2), flags, flags, {})

    def reset(self, *, seed=None, options=None):
        return self._start, {}

    def step(self, actions):
        return self._step


FLAGS, BATCH = np.zeros(2, bool), np.zeros((2, 2), np.float32)


@pytest.mark.parametrize(
    ("start", "step", "says"),
    [
        (np.zeros((3, 2)), None, r"is a batch \[3\] of them; accepted is one of 2"),
        (np.zeros(2), None, r"is a batch \[\] of them; accepted is one of 2"),
        (np.zeros((2, 3)), None, "is no batch of observations; accepted is one of 2"),
        (None, (BATCH, np.zeros(2), FLAGS, {}), "step returned 4 values"),
        (None, (BATCH, 1.0, FLAGS, FLAGS, {}), r"reward has the shape \(\)"),
        (None, (BATCH, np.zeros(2), [None, None], FLAGS, {}), "terminated .* is of object"),
        (None, (BATCH, np.zeros(2), ~FLAGS, FLAGS, {}), 'has no "final_obs"'),
    ],
)
def test_a_vector_environment_is_checked_likewise(start, step, says):
    with pytest.raises(UsageError, match=says):
        play(HostEnv.of(Vector(start, step), name="Vector"))


def test_infos_may_be_a_list():
    """As `gymnasium.wrappers.vector.DictInfoToList` gives them."""
    vector = gymnasium.make_vec(
        "CartPole-v1",
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    listed = gymnasium.wrappers.vector.DictInfoToList(vector)
    plain = make_host("CartPole-v1", 3)
    env = HostEnv.of(listed, name="CartPole-v1")
    np.testing.assert_array_equal(env.reset(0), plain.reset(0))
    ends = 0
    for t in range(60):
        action = np.array([t % 2, 0, 1])
        ours, theirs = env.step(action), plain.step(action)
        np.testing.assert_array_equal(ours.next_obs, theirs.next_obs)
        ends += (ours.terminated | ours.truncated).sum()
    assert ends > 3
    env.close()


def leaf():
    integers = st.integers(-3, 3)
    return st.one_of(
        st.lists(st.integers(1, 3), max_size=2).map(lambda s: spaces.Box(-2, 2, tuple(s))),
        st.tuples(st.integers(1, 4), integers).map(lambda x: spaces.Discrete(x[0], start=x[1])),
        st.lists(st.integers(1, 4), min_size=1, max_size=3).map(spaces.MultiDiscrete),
        st.integers(1, 4).map(spaces.MultiBinary),
    )


def nested(children):
    return st.one_of(
        st.dictionaries(st.sampled_from("cab"), children, min_size=1).map(spaces.Dict),
        st.lists(children, min_size=1, max_size=3).map(spaces.Tuple),
    )


SPACES = st.recursive(leaf(), nested, max_leaves=4)


def damage(space, obs, data):
    """The observation with one part made another's: of another shape, kind, or out of range."""
    match space:
        case spaces.Dict():
            key = data.draw(st.sampled_from(list(space)))
            if data.draw(st.booleans()):
                return {k: v for k, v in obs.items() if k != key}
            return {**obs, key: damage(space[key], obs[key], data)}
        case spaces.Tuple():
            i = data.draw(st.integers(0, len(space) - 1))
            if data.draw(st.booleans()):
                return obs[:i]
            return tuple(damage(space[i], x, data) if j == i else x for j, x in enumerate(obs))
        case spaces.Discrete():
            return data.draw(st.sampled_from([space.start + space.n, space.start - 1, None, "a"]))
        case spaces.MultiDiscrete():
            return data.draw(st.sampled_from([obs + space.nvec, obs[None], -1 - obs, None]))
        case _:
            return data.draw(st.sampled_from([np.zeros((*obs.shape, 2)), obs[None], "a", {}, None]))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(SPACES, st.data())
def test_in_any_space_its_observations_are_accepted_and_damaged_ones_are_not(space, data):
    space.seed(0)
    obs = space.sample()
    assert leading_dimensions(space, obs) == ()
    assert faults.observation_fault(space, obs) is None
    Encoding(space)(obs)
    damaged = damage(space, obs, data)
    if leading_dimensions(space, damaged) != ():
        assert faults.observation_fault(space, damaged) is not None
    else:
        raise AssertionError(f"{damaged} is taken for an observation of {space}")
