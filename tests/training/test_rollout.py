"""Collecting a trajectory: what is stored is what the policy saw and did."""

import functools

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import surefoot as sf
from surefoot.core.data.normalization import initial_moments, merge, observation_normalizer
from surefoot.envs.device.classic import Pendulum
from surefoot.envs.make import make_host
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.actions import action_map
from surefoot.envs.spaces.encoding import Encoding
from surefoot.training.rollout import (
    DeviceStanding,
    Episodes,
    HostRollout,
    device_rollout,
    with_old,
)
from surefoot.training.rollout.group_state import fresh_episodes
from surefoot.training.rollout.transitions import running_totals

SEED, HORIZON = 11, 23


class Recorder(gymnasium.Env):
    """Episodes of random length with random rewards; keeps every action it receives."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Box(0.0, 10.0, (1,))

    def __init__(self):
        self.received = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(3.0, 2.0, 2).astype(np.float32), {}

    def step(self, action):
        self.received.append(np.array(action))
        assert self.action_space.contains(action)
        obs = self.np_random.normal(3.0, 2.0, 2).astype(np.float32)
        ends, cut = self.np_random.random(2) < 0.1
        return obs, self.np_random.normal(), bool(ends), bool(cut), {}


def make_policy(env, *, spread=100.0):
    """A policy whose distribution depends on the observation."""
    head = action_head(env.action_space)
    policy = initial_policy(jax.random.key(1), Encoding(env.observation_space).size, head)
    return eqx.tree_at(lambda p: p.network.weights[-1], policy, replace_fn=lambda w: spread * w)


def make_normalizer(env):
    """A normalizer that has seen a few observations, none of them standard."""
    size = Encoding(env.observation_space).size
    seen = np.random.default_rng(2).normal(2.0, 3.0, (50, size)).astype(np.float32)
    moments = merged(initial_moments((size,)), seen, np.ones(50, bool))
    return eqx.tree_at(lambda n: n.moments, observation_normalizer(size), moments)


initial_policy = eqx.filter_jit(sf.mlp_policy)
merged = jax.jit(merge)
old_added = eqx.filter_jit(with_old)


@eqx.filter_jit
def of_policy(policy, normalizer, obs, action):
    dist = policy(normalizer(obs))
    return dist, dist.log_prob(action)


log_prob = eqx.filter_jit(lambda dist, action: dist.log_prob(action))


def group(source, size, autoreset):
    """Copies by that convention: ours for SAME_STEP, Gymnasium's for NEXT_STEP."""
    if autoreset == AutoresetMode.SAME_STEP:
        return make_host(source, size)
    maker = functools.partial(gymnasium.make, source) if isinstance(source, str) else source
    return make_host(SyncVectorEnv([maker] * size, autoreset_mode=autoreset), size)


class Collector:
    """A rollout of groups of environments, of these sizes, with everything that it needs."""

    def __init__(self, source, *sizes, autoreset=AutoresetMode.SAME_STEP, horizon=HORIZON):
        groups = [group(source, size, autoreset) for size in sizes or (2,)]
        self.env = groups[0]
        self.to_env = action_map(self.env.action_space)
        self.rollout = HostRollout(groups, horizon, self.to_env)
        self.policy, self.normalizer = make_policy(self.env), make_normalizer(self.env)
        state = self.rollout.init(SEED)
        self.rollout.compile(state, self.policy, self.normalizer, jax.random.key(0))

    def collect(self, count=1, *, key=0):
        """`count` trajectories in a row, from the start, in NumPy's arrays."""
        state = self.rollout.init(SEED)
        trajectories = []
        for i in range(count):
            step_key = jax.random.fold_in(jax.random.key(key), i)
            state, rows, _ = self.rollout(state, self.policy, self.normalizer, step_key)
            trajectories.append(old_added(rows, self.policy, self.normalizer))
        return jax.tree.map(np.asarray, trajectories)


@pytest.fixture(scope="module")
def recorded():
    """Of two groups."""
    return Collector(Recorder, 2, 2)


def assert_consistent(trajectory, policy, normalizer):
    seen, log_probs = of_policy(policy, normalizer, trajectory.obs, trajectory.action)
    for now, then in zip(jax.tree.leaves(seen), jax.tree.leaves(trajectory.old), strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        log_probs,
        log_prob(trajectory.old, trajectory.action),
        rtol=1e-5,
        atol=1e-5,
    )
    # Were observations or actions of no consequence, the comparison would prove nothing.
    first = jax.tree.leaves(seen)[0]
    assert np.asarray(first).reshape(-1, first.shape[-1]).std(axis=0).min() > 1e-3


@pytest.mark.parametrize("autoreset", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_stored_distribution_is_the_policys_at_the_stored_observation(autoreset):
    collector = Collector("CartPole-v1", autoreset=autoreset)
    for trajectory in collector.collect(2):
        assert_consistent(trajectory, collector.policy, collector.normalizer)


def test_the_stored_continuous_action_is_the_raw_sample(recorded):
    (trajectory,) = recorded.collect()
    assert_consistent(trajectory, recorded.policy, recorded.normalizer)
    z = (trajectory.action - trajectory.old.mean) / np.exp(trajectory.old.log_std)
    assert 0.6 < np.std(z) < 1.4
    assert trajectory.action.min() < -1


def test_the_device_rollout_stores_the_same():
    env = sf.DeviceEnv(Pendulum(), time_limit=10)
    policy, normalizer = make_policy(env), make_normalizer(env)

    @jax.jit
    def collect(state, key):
        to_env = action_map(env.action_space)
        return device_rollout(env, HORIZON, to_env, state, policy, normalizer, key)[:2]

    start = DeviceStanding(jax.jit(env.init, static_argnums=1)(jax.random.key(3), 2))
    state, first = collect(start, jax.random.key(4))
    _, second = collect(state, jax.random.key(5))
    for trajectory in (first, second):
        assert_consistent(trajectory, policy, normalizer)
    first, second = jax.tree.map(np.asarray, (first, second))
    both = jax.tree.map(lambda a, b: np.concatenate([a, b]), first, second)
    np.testing.assert_array_equal(both.episode_length[:, 0], np.arange(2 * HORIZON) % 10 + 1)
    ended = both.truncated
    np.testing.assert_array_equal(both.obs[1:][~ended[:-1]], both.next_obs[:-1][~ended[:-1]])
    # The torque that the reward charges for is the mapped one, 2·raw within ±2.
    angle = np.arctan2(both.obs[..., 1], both.obs[..., 0])
    torque = np.clip(2 * both.action[..., 0], -2, 2)
    cost = angle**2 + 0.1 * both.obs[..., 2] ** 2 + 0.001 * torque**2
    np.testing.assert_allclose(both.reward, -cost, rtol=1e-5, atol=1e-5)

    again = collect(start, jax.random.key(4))[1]
    np.testing.assert_array_equal(again.action, first.action)
    assert (collect(start, jax.random.key(6))[1].action != first.action).all()


def test_the_environment_receives_the_mapped_action(recorded):
    copies = [env.unwrapped for part in recorded.rollout.groups for env in part.stepper.envs]
    for env in copies:
        env.received.clear()
    (trajectory,) = recorded.collect()
    raw = np.asarray(trajectory.action)
    expected = np.clip(5 * raw + 5, 0, 10)
    for i, env in enumerate(copies):
        np.testing.assert_allclose(env.received, expected[:, i], rtol=1e-6, atol=1e-5)
    assert 0.0 in expected
    assert 10.0 in expected


def plain_loop(source, seed, actions):
    """(return, length) so far of every transition, as a plain Gymnasium loop counts them."""
    env = gymnasium.make(source) if isinstance(source, str) else source()
    env.reset(seed=seed)
    total, length, rows = 0.0, 0, []
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        total, length = total + float(reward), length + 1
        rows.append((total, length))
        if terminated or truncated:
            env.reset()
            total, length = 0.0, 0
    return np.array(rows)


@pytest.mark.parametrize("autoreset", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize(
    ("source", "sizes"), [("CartPole-v1", (3,)), (Recorder, (3,)), (Recorder, (2, 1))]
)
def test_episodes_are_counted_across_the_borders_of_trajectories(source, sizes, autoreset):
    collector = Collector(source, *sizes, autoreset=autoreset)
    trajectories = collector.collect(4)
    both = jax.tree.map(lambda *xs: np.concatenate(xs), *trajectories)
    actions = np.asarray(collector.to_env(jnp.asarray(both.action)))
    crossed = ended = 0
    for i in range(3):
        valid = both.valid[:, i]
        expected = plain_loop(source, SEED + i, actions[:, i][valid])
        np.testing.assert_allclose(
            both.episode_return[:, i][valid], expected[:, 0], rtol=1e-5, atol=1e-5
        )
        np.testing.assert_array_equal(both.episode_length[:, i][valid], expected[:, 1])
        crossed += sum(t.episode_length[0, i] > 1 for t in trajectories[1:])
        ended += Episodes.of(both).done[:, i].sum()
    assert crossed
    assert ended > 5
    assert both.valid.all() == (autoreset == AutoresetMode.SAME_STEP)


def test_a_reward_that_is_no_number_spoils_its_own_episode_only():
    x = np.array([[1.0, np.nan], [2.0, 1.0], [4.0, np.inf], [8.0, 16.0]])
    done = np.array([[False, True], [True, False], [False, True], [False, False]])
    totals, after = running_totals(x, done, np.array([0.5, 1.0]))
    np.testing.assert_array_equal(totals[:, 0], [1.5, 3.5, 4.0, 12.0])
    np.testing.assert_array_equal(totals[:, 1], [np.nan, 1.0, np.inf, 16.0])
    np.testing.assert_array_equal(after, [12.0, 16.0])
    np.testing.assert_array_equal(running_totals(x[:2], done[:2], np.zeros(2))[1], [0.0, 1.0])


def test_the_normalizer_is_frozen_while_a_trajectory_is_collected(recorded):
    before = [np.array(leaf) for leaf in jax.tree.leaves(recorded.normalizer)]
    first, second = recorded.collect(2)
    for was, leaf in zip(before, jax.tree.leaves(recorded.normalizer), strict=True):
        np.testing.assert_array_equal(was, leaf)
    assert_consistent(first, recorded.policy, recorded.normalizer)
    assert_consistent(second, recorded.policy, recorded.normalizer)


def test_a_trajectory_uses_the_policy_and_the_normalizer_that_it_is_given(recorded):
    (before,) = recorded.collect()
    policy = make_policy(recorded.env, spread=50.0)
    normalizer = jax.jit(lambda n, *seen: n.update(*seen))(
        recorded.normalizer, before.obs, before.valid
    )
    state = recorded.rollout.init(SEED)
    _, rows, _ = recorded.rollout(state, policy, normalizer, jax.random.key(0))
    assert_consistent(old_added(rows, policy, normalizer), policy, normalizer)


def test_the_key_and_the_seed_decide_everything(recorded):
    (first,), (again,), (other,) = (recorded.collect(key=key) for key in (1, 1, 2))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.action != other.action).all()
    # Each step of each environment draws its own sample.
    mean, log_std = map(np.asarray, (first.old.mean, first.old.log_std))
    noise = ((np.asarray(first.action) - mean) / np.exp(log_std))[..., 0]
    assert len(np.unique(noise)) == noise.size
    shared = np.corrcoef(noise, rowvar=False) - np.eye(4)
    assert np.abs(shared).max() < 0.8


def test_environments_are_seeded_one_after_another_through_all_groups():
    groups = [make_host(Recorder, size) for size in (2, 1)]
    seen = np.concatenate([state.obs for state in fresh_episodes(groups, SEED)])
    alone = [Recorder().reset(seed=SEED + i)[0] for i in range(3)]
    np.testing.assert_array_equal(seen, alone)


def test_two_groups_draw_samples_of_their_own():
    (trajectory,) = Collector(Recorder, 2, 2).collect()
    ours, others = np.split(trajectory.action - trajectory.old.mean, 2, axis=1)
    assert np.abs(ours - others).max(axis=0).min() > 0.1


def test_trajectories_share_no_memory(recorded):
    first, second = recorded.collect(2)
    kept = np.array(first.obs), np.array(first.action)
    recorded.collect(2, key=5)
    np.testing.assert_array_equal(first.obs, kept[0])
    np.testing.assert_array_equal(first.action, kept[1])
    assert not np.array_equal(first.obs, second.obs)
