"""One scripted stream through every auto-reset convention, and what `make_host` refuses."""

import functools
import importlib.util
from typing import NamedTuple

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import surefoot as sf
from support.environments import faulty
from support.suites import cases
from surefoot.core.data.advantages import gae
from surefoot.core.data.normalization import NoNormalizer
from surefoot.core.networks import CategoricalHead
from surefoot.envs.env_ids import list_env_ids
from surefoot.envs.host import episode_history
from surefoot.envs.host.episode_history import EpisodeHistoryWrapper
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import make_groups, make_host
from surefoot.envs.spaces.actions import action_map
from surefoot.training.rollout import (
    DeviceStanding,
    Episodes,
    HostRollout,
    device_rollout,
    with_old,
)

NUM_ENVS, ROWS, LIMIT = 3, 40, 5

#: Episodes 0, 2 and 3 terminate, 1 only meets the time limit, 2 does both in the same step.
LENGTHS = np.array([3, 99, LIMIT, 1])
REWARDS = np.random.default_rng(0).normal(size=(4, LIMIT)).astype(np.float32)

OBSERVATIONS = spaces.Box(0.0, 99.0, (2,))
ACTIONS = spaces.Discrete(3)


class Functional:
    """Plays an episode of the script drawn at random; the observation is (episode, step)."""

    observation_space = OBSERVATIONS
    action_space = ACTIONS

    def initial(self, rng):
        return jax.random.randint(rng, (), 0, 4), jnp.zeros((), jnp.int32)

    def transition(self, state, action, rng):
        return state[0], state[1] + 1

    def observation(self, state, rng):
        return jnp.stack(state).astype(jnp.float32)

    def reward(self, state, action, next_state, rng):
        return jnp.asarray(REWARDS)[state]

    def terminal(self, state, rng):
        return state[1] == jnp.asarray(LENGTHS)[state[0]]


class Scripted(gymnasium.Env):
    """Plays the given episodes of the script in turn."""

    observation_space = OBSERVATIONS
    action_space = ACTIONS

    def __init__(self, episodes):
        self._episodes = iter(episodes)

    def _observation(self):
        return np.array([self._episode, self._step], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._episode, self._step = next(self._episodes), 0
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = REWARDS[self._episode, self._step]
        self._step += 1
        terminated = bool(self._step == LENGTHS[self._episode])
        return self._observation(), reward, terminated, self._step >= LIMIT, {}


@pytest.fixture(scope="module")
def policy():
    """A policy that takes one action in each state with certainty, whatever the key."""
    made = sf.mlp_policy(jax.random.key(0), 2, CategoricalHead(3), hidden=())
    weights = 1000 * jnp.array([[1.0, 0.1, -1.0], [-0.9, 0.35, 1.2]])
    made = eqx.tree_at(lambda p: p.network.weights[0], made, weights)
    return eqx.tree_at(lambda p: p.network.biases[0], made, jnp.array([0.0, 500.0, 250.0]))


@pytest.fixture(scope="module")
def device(policy):
    env = sf.DeviceEnv(Functional(), time_limit=LIMIT)
    to_env = action_map(ACTIONS)

    @jax.jit
    def collect(key):
        start = DeviceStanding(env.init(key, NUM_ENVS))
        return device_rollout(env, ROWS, to_env, start, policy, NoNormalizer(), key)[1]

    return collect(jax.random.key(3))


def starts(trajectory, i):
    """The episodes that sub-environment `i` played, in order."""
    obs = np.asarray(trajectory.obs)[:, i][np.asarray(trajectory.valid)[:, i]]
    return obs[obs[:, 1] == 0, 0].astype(int).tolist()


def collect_on_host(policy, vector, rows):
    env = HostEnv.of(vector, name="scripted")
    rollout = HostRollout([env], rows, action_map(ACTIONS))
    state, key = rollout.init(0), jax.random.key(9)
    rollout.compile(state, policy, NoNormalizer(), key)
    return with_old(rollout(state, policy, NoNormalizer(), key)[1], policy, NoNormalizer())


def vector_env(device, mode, **options):
    # A bound script ends with the device's last episode; more of it is played than is compared.
    scripts = [starts(device, i) + [0] * ROWS for i in range(NUM_ENVS)]
    return SyncVectorEnv(
        [lambda s=script: Scripted(s) for script in scripts], autoreset_mode=mode, **options
    )


@pytest.fixture(scope="module")
def collected(device, policy):
    """The same episodes by each convention. NEXT_STEP spends rows on resets, so it gets more."""
    next_step = vector_env(device, AutoresetMode.NEXT_STEP)
    same_step = vector_env(device, AutoresetMode.SAME_STEP)
    return {
        "device": device,
        "SAME_STEP": collect_on_host(policy, same_step, ROWS),
        "NEXT_STEP": collect_on_host(policy, next_step, 2 * ROWS),
    }


class Stream(NamedTuple):
    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    episode_return: np.ndarray
    episode_length: np.ndarray
    advantage: np.ndarray


def values(obs):
    """Some value function."""
    return 0.3 * obs[..., 0] - 0.7 * obs[..., 1] + 1.0


def stream(trajectory, i, episodes):
    """The transitions of the first complete episodes of sub-environment `i`."""
    advantage = gae(
        trajectory.reward,
        values(trajectory.obs),
        values(trajectory.next_obs),
        trajectory.terminated,
        trajectory.truncated,
        trajectory.valid,
        discount=0.9,
        gae_lambda=0.8,
    )
    valid = np.asarray(trajectory.valid)[:, i]
    fields = {**trajectory._asdict(), "advantage": advantage}
    rows = Stream(*(np.asarray(fields[name])[:, i][valid] for name in Stream._fields))
    end = np.flatnonzero(rows.terminated | rows.truncated)[episodes - 1] + 1
    return Stream(*(x[:end] for x in rows))


def complete(trajectory, i):
    ended = (trajectory.terminated | trajectory.truncated) & trajectory.valid
    return int(ended[:, i].sum())


@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP"])
@pytest.mark.parametrize("i", range(NUM_ENVS))
def test_every_convention_gives_the_same_transitions_and_advantages(collected, mode, i):
    episodes = complete(collected["device"], i)
    expected = stream(collected["device"], i, episodes)
    got = stream(collected[mode], i, episodes)
    for name in ("obs", "action", "reward", "next_obs", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(got.episode_length, expected.episode_length)
    np.testing.assert_allclose(got.episode_return, expected.episode_return, atol=1e-6)
    np.testing.assert_allclose(got.advantage, expected.advantage, atol=1e-6)


def test_the_script_holds_every_kind_of_end_and_every_action(collected):
    rows = [stream(collected["device"], i, complete(collected["device"], i)) for i in range(3)]
    terminated, truncated, action = (
        np.concatenate([getattr(row, name) for row in rows])
        for name in ("terminated", "truncated", "action")
    )
    for kind in ((True, False), (False, True), (True, True)):
        assert ((terminated == kind[0]) & (truncated == kind[1])).any()
    assert set(action) == {0, 1, 2}


@pytest.mark.parametrize("mode", ["device", "SAME_STEP", "NEXT_STEP"])
def test_the_next_observation_is_the_episodes_own_also_at_its_end(collected, mode):
    trajectory = collected[mode]
    valid = np.asarray(trajectory.valid)
    step = np.array([0.0, 1.0])
    np.testing.assert_array_equal(
        np.asarray(trajectory.next_obs)[valid], np.asarray(trajectory.obs)[valid] + step
    )


def test_only_next_step_has_rows_that_are_no_transition_one_after_each_end(collected):
    assert collected["device"].valid.all()
    assert collected["SAME_STEP"].valid.all()
    trajectory = collected["NEXT_STEP"]
    ended = np.asarray(trajectory.terminated | trajectory.truncated)
    valid = np.asarray(trajectory.valid)
    np.testing.assert_array_equal(valid[1:], ~ended[:-1])
    assert valid[0].all()


def test_dummy_rows_count_in_no_episode_statistic(collected):
    for i in range(NUM_ENVS):
        expected = None
        for name, trajectory in collected.items():
            one = jax.tree.map(lambda x, i=i: x[:, i], Episodes.of(trajectory))
            returns, lengths = one.ended()
            n = complete(collected["device"], i)
            if expected is None:
                expected = returns, lengths
            np.testing.assert_allclose(returns[:n], expected[0], atol=1e-6, err_msg=name)
            np.testing.assert_array_equal(lengths[:n], expected[1], err_msg=name)
        played = starts(collected["device"], i)[: len(expected[1])]
        np.testing.assert_array_equal(expected[1], np.minimum(LENGTHS[played], LIMIT))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_a_vector_env_that_reuses_its_buffer_gives_the_same_transitions(
    collected, device, policy, mode
):
    trajectory = collect_on_host(policy, vector_env(device, mode, copy=False), 2 * ROWS)
    for i in range(NUM_ENVS):
        episodes = complete(device, i)
        expected, got = stream(device, i, episodes), stream(trajectory, i, episodes)
        np.testing.assert_array_equal(got.obs, expected.obs)
        np.testing.assert_array_equal(got.next_obs, expected.next_obs)


class Nested(Scripted):
    """The script with observations in a `Dict` of a `Tuple`."""

    observation_space = spaces.Dict({"both": spaces.Tuple([spaces.Discrete(4), OBSERVATIONS])})

    def _observation(self):
        return {"both": (np.int64(self._episode), super()._observation())}


def by_convention(maker, mode):
    """Two copies: ours for SAME_STEP, Gymnasium's for NEXT_STEP."""
    if mode == AutoresetMode.SAME_STEP:
        return make_host(maker, 2)
    return make_host(SyncVectorEnv([maker] * 2, autoreset_mode=mode), 2)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_true_last_observation_is_found_in_nested_spaces(mode):
    env = by_convention(lambda: Nested([3, 1, 0]), mode)
    np.testing.assert_array_equal(env.reset(0), [[0, 0, 0, 1, 3, 0]] * 2)
    row = env.step(np.zeros(2, int))
    np.testing.assert_array_equal(row.next_obs, [[0, 0, 0, 1, 3, 1]] * 2)
    if mode == AutoresetMode.NEXT_STEP:
        np.testing.assert_array_equal(row.obs, row.next_obs)
        row = env.step(np.zeros(2, int))
    np.testing.assert_array_equal(row.obs, [[0, 1, 0, 0, 1, 0]] * 2)


def test_a_reset_that_overwrites_the_last_observation_does_not_change_it():
    env = make_host(lambda: faulty.Reuses(1), 2)
    env.reset(7)
    row = env.step(np.zeros(2, int))
    np.testing.assert_array_equal(row.next_obs, [[7, 1], [8, 1]])
    np.testing.assert_array_equal(row.obs, [[7, 0], [8, 0]])


def test_a_reset_in_the_middle_leaves_no_dummy_row_behind():
    env = by_convention(lambda: Scripted([3, 1, 1]), AutoresetMode.NEXT_STEP)
    env.reset(0)
    assert env.step(np.zeros(2, int)).terminated.all()
    env.reset(0)
    assert env.step(np.zeros(2, int)).valid.all()


@pytest.mark.parametrize(
    "space", ["CartPole-v1", "Pendulum-v1", "Blackjack-v1", lambda: Nested([2] * 500)]
)
def test_environments_in_this_process_step_as_gymnasium_steps_them(space):
    maker = (lambda: gymnasium.make(space)) if isinstance(space, str) else space
    ours = make_host(space, 3)
    theirs = make_host(SyncVectorEnv([maker] * 3, autoreset_mode=AutoresetMode.SAME_STEP), 3)
    np.testing.assert_array_equal(ours.reset(5), theirs.reset(5))
    ours.action_space.seed(0)
    ended = 0
    for _ in range(250):
        action = np.asarray([ours.action_space.sample() for _ in range(3)])
        one, other = ours.step(action), theirs.step(action)
        ended += int((one.terminated | one.truncated).sum())
        for name, a, b in zip(one._fields, one, other, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    assert ended >= 3


def test_make_host_seeds_each_copy_apart():
    env = make_host("CartPole-v1", 3)
    obs = env.reset(7)
    for i in range(3):
        alone = gymnasium.make("CartPole-v1").reset(seed=7 + i)[0]
        np.testing.assert_array_equal(obs[i], alone)
    env.close()


def test_a_vector_env_that_does_not_reset_itself_is_refused():
    vector = SyncVectorEnv([lambda: Scripted([0])], autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(sf.UsageError, match=r"DISABLED is not supported; .* NEXT_STEP and SAME_"):
        make_host(vector, 1)


@pytest.mark.parametrize("declared", [None, "NextStep", "whenever"])
def test_an_undeclared_or_unknown_convention_is_refused(declared):
    vector = SyncVectorEnv([lambda: Scripted([0])])
    if declared is None:
        del vector.metadata["autoreset_mode"]
    else:
        vector.metadata["autoreset_mode"] = declared
    with pytest.raises(sf.UsageError, match=f"{declared} is not supported"):
        make_host(vector, 1)


@pytest.mark.parametrize("vectorization", ["thread", "async"])
def test_every_vectorization_gives_the_same_trajectory_as_sync(vectorization):
    rng = np.random.default_rng(0)
    actions = rng.integers(2, size=(60, 2))
    rows = {}
    for kind in ("sync", vectorization):
        env = make_host("CartPole-v1", 2, vectorization=kind)
        first = env.reset(5)
        rows[kind] = [first, *(env.step(action) for action in actions)]
        env.close()
    assert any(row.terminated.any() for row in rows["sync"][1:])
    for sync, other in zip(rows["sync"], rows[vectorization], strict=True):
        for a, b in zip(sync, other, strict=True):
            np.testing.assert_array_equal(a, b)


class Failing(Scripted):
    """Fails in the second step."""

    def step(self, action):
        if self._step:
            raise ZeroDivisionError("in the environment")
        return super().step(action)


def test_what_fails_in_a_thread_is_raised_where_the_step_is_fetched():
    env = make_host(lambda: Failing([0]), 1, vectorization="thread")
    env.reset(0)
    env.step(np.zeros(1, int))
    env.send(np.zeros(1, int))
    with pytest.raises(ZeroDivisionError, match="in the environment"):
        env.recv()
    env.close()


@pytest.mark.parametrize(
    ("vectorization", "count", "sizes"),
    [("sync", 5, [5]), ("thread", 5, [3, 2]), ("async", 2, [1, 1]), ("thread", 1, [1])],
)
def test_environments_that_can_step_beside_the_policy_are_two_groups(vectorization, count, sizes):
    groups = make_groups(
        "CartPole-v1", count, backend="host", vectorization=vectorization, env_threads=0
    )
    assert [group.num_envs for group in groups] == sizes
    for group in groups:
        group.close()


def test_the_wrong_number_of_copies_is_refused_with_the_mend():
    vector = SyncVectorEnv([lambda: Scripted([0])] * 2)
    with pytest.raises(sf.UsageError, match=r"has 2 copies and num_envs is 8: pass num_envs=2"):
        make_host(vector, 8)


@pytest.mark.parametrize(
    ("env_id", "meant"),
    [("CartPoel-v1", "CartPole-v1"), ("halfcheetah-v5", "HalfCheetah-v5"), ("Hoper-v5", "Hopper")],
)
def test_an_unknown_id_is_answered_with_the_closest(env_id, meant):
    with pytest.raises(sf.UsageError) as error:
        make_host(env_id, 1)
    message = str(error.value)
    assert repr(env_id) in message
    assert f"Did you mean '{meant}" in message
    assert "\n" not in message


def test_missing_mujoco_is_answered_with_how_to_install_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "mujoco" else find(name, *a)
    )
    with pytest.raises(sf.UsageError) as error:
        make_host("HalfCheetah-v5", 1)
    assert "pip install 'surefoot[mujoco]'" in str(error.value)
    make_host("CartPole-v1", 1).close()


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
@pytest.mark.parametrize("env_id", ["HalfCheetah-v3", "GymV21Environment-v0"])
def test_an_id_whose_package_is_missing_is_a_usage_error(env_id):
    with pytest.raises(sf.UsageError):
        make_host(env_id, 1)


def test_the_ids_are_listed_in_order():
    ids = list_env_ids()
    assert ids == sorted(ids)
    assert {"CartPole-v1", "HalfCheetah-v5"} <= set(ids)
    assert not {"HalfCheetah-v2", "HalfCheetah-v3", "GymV21Environment-v0"} & set(ids)


def test_a_vector_environment_steps_as_it_was_made_to():
    vector = SyncVectorEnv([lambda: Scripted([0])] * 2)
    with pytest.raises(
        sf.UsageError, match=r"'thread' with a vector environment.*accepted is 'sync'"
    ):
        make_groups(vector, 2, backend="host", vectorization="thread", env_threads=0)


def test_without_the_package_the_mend_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(sf.UsageError, match=r"pip install 'surefoot\[envpool\]'"):
        make_groups("CartPole-v1", 2, backend="envpool", vectorization="sync", env_threads=0)


@pytest.mark.parametrize(
    "vectorization", cases(["sync", "thread", "async"], fast=["sync", "thread"])
)
def test_an_environment_may_write_to_the_action_it_is_given(vectorization):
    env = make_host(faulty.InPlace, 2, vectorization=vectorization)
    actions = np.array([[1.0], [-2.0]], np.float32)
    actions.flags.writeable = False  # As those are that JAX computed.
    try:
        env.reset(0)
        for _ in range(3):
            np.testing.assert_array_equal(env.step(actions).reward, [0.5, -1.0])
        np.testing.assert_array_equal(actions, [[1.0], [-2.0]])
        histories = env.mark()()
        for i, history in enumerate(histories):
            np.testing.assert_array_equal(history.actions, [actions[i]] * 3)
            history.actions.flags.writeable = False
        assert env.resimulate(histories).same.all()
    finally:
        env.close()


def test_what_can_be_written_is_not_copied_once_more():
    env = make_host(faulty.InPlace, 2)
    actions = np.ones((2, 1), np.float32)
    env.reset(0)
    env.send(actions)
    assert env.stepper._action is actions


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_an_episode_is_kept_up_to_a_length_and_no_further(dtype, monkeypatch):
    monkeypatch.setattr(episode_history, "MAX_KEPT", 150)
    env = EpisodeHistoryWrapper(Walk())
    env.reset(seed=3)
    shape = (2,) if dtype is np.float32 else ()
    taken = np.random.default_rng(0).normal(size=(151, *shape)).astype(dtype)
    room = np.empty_like(taken[0])
    for count, action in enumerate(taken[:150], start=1):
        room[...] = action  # Whoever steps may write the next action in its place.
        obs, *_ = env.step(room)
        if count in (1, 63, 64, 65, 150):
            history = env.mark()()
            np.testing.assert_array_equal(history.actions, taken[:count])
            assert history.actions.dtype == dtype
    again = EpisodeHistoryWrapper(Walk())
    played, earned, same = again.resimulate(history)
    np.testing.assert_array_equal(played, obs)
    assert same
    assert earned == 150
    env.step(taken[150])
    assert env.mark()().actions is None
    assert env._actions is None, "nothing is held of it"
    env.reset()
    assert env.mark()().actions.shape == (0, 2)
    env.step(taken[0])
    np.testing.assert_array_equal(env.mark()().actions, taken[:1])


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_mark_tells_where_the_episodes_stood_however_far_they_have_gone_since(vectorization):
    """Over the end of the episode, too, and over what is kept growing."""
    env = make_host(functools.partial(faulty.Counter, length=7), 2, vectorization=vectorization)
    try:
        env.reset(3)
        taken = np.random.default_rng(0).integers(2, size=(100, 2))
        for action in taken[:3]:
            env.step(action)
        mark = env.mark()
        first = mark()
        for action in taken[3:]:
            env.step(action)
        again = mark()
        for i, (one, other) in enumerate(zip(first, again, strict=True)):
            np.testing.assert_array_equal(one.actions, taken[:3, i])
            np.testing.assert_array_equal(other.actions, taken[:3, i])
            assert (other.seed, other.generator, other.now) == (one.seed, one.generator, one.now)
        # Only the last mark counts.
        newer = env.mark()()
        assert [len(history.actions) for history in newer] == [100 % 7] * 2
    finally:
        env.close()


def test_a_mark_in_worker_processes_is_told_after_they_are_gone():
    """A checkpoint is written after the next steps, in which a worker may be lost or fail."""
    env = make_host(functools.partial(faulty.Counter, length=50), 2, vectorization="async")
    env.reset(3)
    taken = np.random.default_rng(0).integers(2, size=(30, 2))
    told = []
    for number, action in enumerate(taken, start=1):
        env.step(action)
        if number in (10, 11, 30):
            told.append((number, env.mark()))
    env.send(taken[0])
    env.close()
    for number, mark in told:
        for i, history in enumerate(mark()):
            np.testing.assert_array_equal(history.actions, taken[:number, i])
            assert history.seed == 3 + i


class Walk(gymnasium.Env):
    """Never ends; a step earns 1."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._at = self.np_random.normal(size=2)
        return self._at, {}

    def step(self, action):
        self._at = self._at + action + self.np_random.normal(size=2)
        return self._at, 1.0, False, False, {}
