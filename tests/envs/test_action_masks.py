"""Masks of valid actions, wherever an environment gives them."""

import functools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorWrapper
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

from surefoot.common.errors import UsageError
from surefoot.core.observation import Observation
from surefoot.envs.host.action_masks import WithActionMask
from surefoot.envs.make import make_host
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.masks import any_valid, check_mask, mask_size, with_mask_space

CHOICES = 5


class Counting(gymnasium.Env):
    """Valid are the actions up to the number of steps taken; at the end, none is."""

    observation_space = spaces.Box(-1.0, 10.0, (1,))
    action_space = spaces.Discrete(CHOICES)
    length = 3

    def _mask(self):
        return np.arange(CHOICES) <= self.time

    def _obs(self):
        return np.array([self.time], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._obs(), self._info()

    def step(self, action):
        self.time += 1
        return self._obs(), 1.0, self.time == self.length, False, self._info()

    def _info(self):
        return {}


class ByMethod(Counting):
    def action_masks(self):
        assert self.time < self.length, "there is no mask for an end"
        return self._mask()


class ByInfo(Counting):
    def _info(self):
        return {"action_mask": self._mask().astype(np.int8)} if self.time < self.length else {}


class InObservation(Counting):
    observation_space = with_mask_space(Counting.observation_space, CHOICES)

    def _obs(self):
        mask = self._mask() if self.time < self.length else np.zeros(CHOICES, bool)
        return {"observation": super()._obs(), "action_mask": mask.astype(np.int8)}


def steps(env, count=5):
    action = np.zeros(env.num_envs, int)
    obs = [env.reset(3), *(env.step(action).obs for _ in range(count))]
    env.close()
    return obs


@pytest.mark.parametrize("vectorization", ["sync", "thread", "async"])
@pytest.mark.parametrize(
    ("source", "masks"), [(ByMethod, "auto"), (ByInfo, "info"), (InObservation, "auto")]
)
def test_a_mask_is_that_of_the_observation_that_is_answered(source, masks, vectorization):
    env = make_host(source, 2, vectorization=vectorization, masks=masks)
    seen = steps(env)
    assert all(isinstance(obs, Observation) for obs in seen)
    for time, obs in zip([0, 1, 2, 0, 1, 2], seen, strict=True):
        np.testing.assert_array_equal(obs.seen, np.full((2, 1), time))
        np.testing.assert_array_equal(obs.action_mask, [np.arange(CHOICES) <= time] * 2)


def test_where_no_action_counts_every_one_is_valid():
    vector = SyncVectorEnv([InObservation] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    seen = steps(make_host(vector, 2))
    np.testing.assert_array_equal(seen[3].seen, np.full((2, 1), 3))
    assert seen[3].action_mask.all()
    np.testing.assert_array_equal(seen[4].action_mask, [np.arange(CHOICES) <= 0] * 2)


class Own(SyncVectorEnv):
    def action_masks(self):
        return np.stack([env.unwrapped._mask() for env in self.envs])


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize(
    ("vector", "source", "masks"),
    [
        (SyncVectorEnv, ByMethod, "auto"),
        (SyncVectorEnv, ByInfo, "info"),
        (Own, Counting, "auto"),
    ],
)
def test_those_of_a_vector_environment_likewise(vector, source, masks, mode):
    env = make_host(vector([source] * 2, autoreset_mode=mode), 2, masks=masks)
    times = [0, 1, 2, 0, 1] if mode == AutoresetMode.SAME_STEP else [0, 1, 2, 3, 0, 1]
    for time, obs in zip(times, steps(env, len(times) - 1), strict=True):
        np.testing.assert_array_equal(obs.seen, np.full((2, 1), time))
        valid = (np.arange(CHOICES) <= time) | (time == Counting.length)
        np.testing.assert_array_equal(obs.action_mask, [valid] * 2)


class MaskerOfAll(VectorWrapper):
    def action_masks(self):
        return np.stack([env._mask() for env in self.env.envs])


class Attribute(Counting):
    action_masks = np.ones(CHOICES)


class TooFew(SyncVectorEnv):
    def action_masks(self):
        return np.ones((1, CHOICES))


def test_the_method_of_a_wrapper_around_a_vector_environment_is_found():
    envs = MaskerOfAll(SyncVectorEnv([Counting] * 2, autoreset_mode=AutoresetMode.SAME_STEP))
    for wrapped in (envs, RecordEpisodeStatistics(envs)):
        wrapped.reset()
        obs = make_host(wrapped, 2, masks="auto").reset(0)
        np.testing.assert_array_equal(obs.action_mask, [np.arange(CHOICES) <= 0] * 2)
    envs.close()


def test_what_is_no_method_is_left():
    assert isinstance(
        steps(make_host(SyncVectorEnv([Attribute] * 2), 2, masks="auto"))[0], np.ndarray
    )


def test_a_mask_for_each_copy():
    with pytest.raises(
        UsageError, match="there are 1 action masks; accepted is one for each of the 2"
    ):
        make_host(TooFew([Counting] * 2), 2, masks="auto").reset(0)


class WithoutWorkers(AsyncVectorEnv):
    """Its copies are in this process: JAX's threads are no place to fork from."""

    def __init__(self, makers, mode):
        self._within = SyncVectorEnv(makers, autoreset_mode=mode)
        vars(self).update(vars(self._within))
        self.reset, self.step, self.call = map(
            functools.partial(getattr, self._within), ("reset", "step", "call")
        )

    def close(self):
        self._within.close()

    def __del__(self):
        pass


def test_workers_of_a_vector_environment_are_asked():
    envs = WithoutWorkers([ByMethod] * 2, AutoresetMode.SAME_STEP)
    for time, obs in zip([0, 1, 2, 0], steps(make_host(envs, 2, masks="auto"), 3), strict=True):
        np.testing.assert_array_equal(obs.action_mask, [np.arange(CHOICES) <= time] * 2)


def test_what_was_seen_last_of_a_vector_environment_is_its_end():
    envs = SyncVectorEnv([ByInfo] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    for wrapped in (envs, DictInfoToList(envs)):
        env = make_host(wrapped, 2, masks="info")
        env.reset(0)
        rows = [env.step(np.zeros(2, int)) for _ in range(3)]
        assert rows[-1].terminated.all()
        np.testing.assert_array_equal(rows[-1].next_obs.seen, [[3], [3]])
        np.testing.assert_array_equal(rows[-1].obs.seen, [[0], [0]])
    env.close()


def test_masks_that_are_not_wanted_are_left():
    vector = SyncVectorEnv([ByMethod] * 2)
    assert isinstance(steps(make_host(vector, 2, masks="none"))[0], np.ndarray)
    assert isinstance(steps(make_host(ByMethod, 1))[0], np.ndarray)
    assert isinstance(steps(make_host(ByInfo, 1, masks="auto"))[0], np.ndarray)
    assert isinstance(steps(make_host("CartPole-v1", 1, masks="auto"))[0], np.ndarray)
    assert isinstance(make_host("Pendulum-v1", 1, masks="info").reset(0), np.ndarray)


def test_a_dict_observation_keeps_its_parts():
    inner = spaces.Dict({"b": spaces.Box(0, 1, (2,)), "a": spaces.Discrete(3)})
    encoding = Encoding(with_mask_space(inner, 4))
    obs = {"a": np.array([2]), "b": np.array([[0.5, 0.25]]), "action_mask": np.eye(4)[:1]}
    encoded = encoding(obs)
    np.testing.assert_array_equal(encoded.seen, [[0, 0, 1, 0.5, 0.25]])
    np.testing.assert_array_equal(encoded.action_mask, [[True, False, False, False]])
    assert encoding.size == 5


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (spaces.Discrete(4), 4),
        (spaces.MultiDiscrete([2, 3]), 5),
        (spaces.MultiBinary(3), 6),
        (spaces.Box(0, 1, (2,)), None),
    ],
)
def test_a_mask_has_a_flag_for_each_value_of_each_choice(space, size):
    assert mask_size(space) == size


def test_each_choice_needs_a_valid_value():
    multi = spaces.MultiDiscrete([2, 3])
    masks = np.array([[1, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1]], bool)
    np.testing.assert_array_equal(any_valid(masks, multi), [True, False, False])
    coins = np.array([[1, 0, 0, 1], [1, 1, 0, 0]], bool)
    np.testing.assert_array_equal(any_valid(coins, spaces.MultiBinary(2)), [True, False])


class Never(ByInfo):
    def _mask(self):
        return np.arange(CHOICES) < self.time - 1


class TooShort(ByMethod):
    def action_masks(self):
        return np.ones(3, bool)


class Forgotten(Counting):
    def _info(self):
        return {} if self.time else {"action_mask": np.ones(CHOICES, np.int8)}


@pytest.mark.parametrize(
    ("source", "masks", "words"),
    [
        (Never, "info", "Never: no action is valid in environment 0"),
        (TooShort, "auto", "TooShort: its action mask is .*accepted for Discrete\\(5\\) are 5"),
        (Forgotten, "info", "Forgotten: its action mask is None; accepted"),
    ],
)
def test_a_mask_that_fits_nothing_is_told_in_a_line(source, masks, words):
    env = make_host(source, 2, masks=masks)
    with pytest.raises(UsageError, match=words):
        steps(env)


@pytest.mark.parametrize(
    ("source", "masks", "words"),
    [
        (Never, "info", "no action is valid in environment 0"),
        (TooShort, "auto", "copy 0 is .*accepted for Discrete\\(5\\) are 5"),
        (Forgotten, "info", "copy 0 is None; accepted"),
        (Counting, "info", "copy 0 is None; accepted"),
    ],
)
def test_likewise_of_a_vector_environment(source, masks, words):
    env = make_host(SyncVectorEnv([source] * 2), 2, masks=masks)
    with pytest.raises(UsageError, match=words):
        steps(env)


def test_a_mask_that_does_not_fit_the_actions_is_refused():
    box = spaces.Box(-1, 1, (2,))
    with pytest.raises(UsageError, match="accepted with it are actions that are choices"):
        check_mask(with_mask_space(box, 2), box)
    with pytest.raises(UsageError, match=r"has 3 entries .* accepted with it are 5 flags"):
        check_mask(with_mask_space(box, 3), Counting.action_space)
    check_mask(with_mask_space(box, 5), Counting.action_space)
    check_mask(spaces.Dict({"a": box}), box)


def test_a_wrapper_around_the_environment_reaches_its_method():
    make = functools.partial(gymnasium.wrappers.TimeLimit, ByMethod(), 2)
    env = WithActionMask(make(), "method")
    obs, _ = env.reset(seed=0)
    assert obs["action_mask"].tolist() == [1, 0, 0, 0, 0]
    obs, *_ = env.step(0)
    assert obs["action_mask"].tolist() == [1, 1, 0, 0, 0]


class Masker(gymnasium.Wrapper):
    """As sb3-contrib's ActionMasker: the method is the wrapper's."""

    def action_masks(self):
        return [self.unwrapped._mask()]


def test_a_wrappers_method_is_found():
    env = make_host(lambda: Masker(Counting()), 2, masks="auto")
    for time, obs in zip([0, 1, 2, 0, 1, 2], steps(env), strict=True):
        np.testing.assert_array_equal(obs.action_mask, [np.arange(CHOICES) <= time] * 2)


def test_nothing_but_a_mask_is_refused():
    with pytest.raises(UsageError, match="has nothing but a mask"):
        Encoding(spaces.Dict({"action_mask": spaces.MultiBinary(5)}))
