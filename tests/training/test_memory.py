"""Policies and critics with a memory: what is learned from is what was acted by."""

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
from surefoot.core.data.normalization import NoNormalizer
from surefoot.core.data.reward_scaling import NoScaler
from surefoot.core.data.segments import distribution
from surefoot.core.networks.architecture import Architecture
from surefoot.core.updates import KeepLastBatch, blank_batch
from surefoot.envs.device.classic import Pendulum
from surefoot.envs.make import make_host
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.actions import action_map
from surefoot.methods.learners.judged import judge
from surefoot.training.rollout import DeviceStanding, HostRollout, device_rollout, with_old

SIZES, HORIZON, SEGMENT = (2, 1), 24, 8


class Noise(gymnasium.Env):
    """Observations without a pattern, in episodes of random length."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(0.0, 1.0, 2).astype(np.float32), {}

    def step(self, action):
        obs = self.np_random.normal(0.0, 1.0, 2).astype(np.float32)
        ends, cut = self.np_random.random(2) < 0.1
        return obs, self.np_random.normal(), bool(ends), bool(cut), {}


def network(name, outputs, key=0, obs=2):
    spec = jax.ShapeDtypeStruct((obs,), np.float32)
    return Architecture(name, (3, 4)).build(jax.random.key(key), spec, outputs, gain=2.0)


def policy_of(name, obs=2):
    head = action_head(Noise.action_space)
    return sf.Policy(network(name, head.size, obs=obs), head)


@functools.cache
def collected(name, autoreset):
    """(policy, two trajectories in a row, the noise of their actions)."""
    groups = []
    for size in SIZES:
        if autoreset == AutoresetMode.SAME_STEP:
            groups.append(make_host(Noise, size))
        else:
            vector = SyncVectorEnv([Noise] * size, autoreset_mode=autoreset)
            groups.append(make_host(vector, size))
    policy = eqx.filter_jit(policy_of)(name)
    rollout = HostRollout(groups, HORIZON, action_map(Noise.action_space), segment_length=SEGMENT)
    states = rollout.init(5, policy.initial)
    parts = policy, NoNormalizer()
    rollout.compile(states, *parts, jax.random.key(0))
    trajectories, noise = [], []
    for number in range(2):
        key = jax.random.key(number)
        noise.append(np.concatenate(rollout._draw(key), axis=1))
        states, rows, _ = rollout(states, *parts, key)
        trajectories.append(eqx.filter_jit(with_old)(rows, *parts))
    return policy, jax.tree.map(np.asarray, trajectories), noise


@functools.cache
def on_device(name):
    env = sf.DeviceEnv(Pendulum(), time_limit=10)
    policy = eqx.filter_jit(policy_of)(name, 3)

    @jax.jit
    def collect(standing, key):
        to_env = action_map(env.action_space)
        return device_rollout(
            env, HORIZON, to_env, standing, policy, NoNormalizer(), key, segment_length=SEGMENT
        )[:2]

    standing = DeviceStanding(env.init(jax.random.key(3), 3, stagger=True), policy.initial(3))
    standing, first = collect(standing, jax.random.key(4))
    return policy, jax.tree.map(np.asarray, [first, collect(standing, jax.random.key(5))[1]])


stepped = eqx.filter_jit(lambda network, *args: network.step(*args))


def replayed(policy, trajectories, *, next_step):
    """A row after the other and an environment after the other: (distributions, memory before each
    row), leaves [T, N, …] of all trajectories in a row."""
    obs, ends, valid = (
        np.concatenate([getattr(t, name) for t in trajectories])
        for name in ("obs", "done", "valid")
    )
    columns = []
    for i in range(obs.shape[1]):
        memory, starts, rows = policy.initial(1), True, []
        for t in range(len(obs)):
            before = policy.initial(1) if starts else memory
            no_start = np.zeros(1, bool)
            dist, memory = stepped(policy, obs[t, i][None], no_start, before)
            rows.append((dist, before))
            # With NEXT_STEP the row after an end is no transition, and the next one a start.
            starts = not valid[t, i] if next_step else ends[t, i]
        columns.append(jax.tree.map(lambda *x: np.concatenate(x), *rows))
    return jax.tree.map(lambda *x: np.stack(x, axis=1), *columns)


def with_done(trajectory):
    class Rows:
        obs, valid = trajectory.obs, trajectory.valid
        done = trajectory.terminated | trajectory.truncated

    return Rows


MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, "device"]


def case(name, mode):
    if mode == "device":
        return (*on_device(name), None)
    return collected(name, mode)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_what_is_recomputed_is_what_was_acted_by(name, mode):
    policy, trajectories, noise = case(name, mode)
    told = [with_done(t) for t in trajectories]
    assert all(t.done[:-1].any(axis=0).all() for t in told), "no episode ends inside of a segment"
    dists, memories = replayed(policy, told, next_step=mode == AutoresetMode.NEXT_STEP)
    valid = np.concatenate([t.valid for t in trajectories])
    old = jax.tree.map(lambda *x: np.concatenate(x), *[t.old for t in trajectories])
    np.testing.assert_allclose(old.mean[valid], dists.mean[valid], atol=1e-5)
    if noise is not None:
        action = np.concatenate([t.action for t in trajectories])
        acted_by = action - np.exp(old.log_std) * np.concatenate(noise)
        np.testing.assert_allclose(old.mean[valid], acted_by[valid], atol=1e-5)
    begun = jax.tree.map(lambda *x: np.concatenate(x), *[t.memory for t in trajectories])
    first = np.concatenate([t.episode_length == 1 for t in trajectories])
    for ours, theirs in zip(jax.tree.leaves(begun), jax.tree.leaves(memories), strict=True):
        # A memory is not looked at where an episode starts.
        looked_at = (valid & ~first)[::SEGMENT]
        assert looked_at.any()
        np.testing.assert_allclose(ours[looked_at], theirs[::SEGMENT][looked_at], atol=1e-5)
    # It would prove nothing of a policy that forgets.
    obs = trajectories[0].obs[5]
    forgetful, _ = stepped(policy, obs, np.ones(3, bool), policy.initial(3))
    assert np.abs(forgetful.mean - trajectories[0].old.mean[5]).max() > 0.01


def state_of(policy, critic, learner, envs):
    return learner.init(
        jax.random.key(0),
        policy,
        critic,
        normalizer=NoNormalizer(),
        scaler=NoScaler(),
        total_steps=1000,
        num_envs=envs,
    )


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(m, marks=() if m == AutoresetMode.NEXT_STEP else pytest.mark.slow)
        for m in MODES
    ],
    ids=str,
)
def test_segments_hold_what_was_acted_by(mode):
    policy, trajectories, _ = case("gru", mode)
    envs = trajectories[0].reward.shape[1]
    obs = trajectories[0].obs.shape[-1]
    blank = blank_batch(policy, jnp.zeros((HORIZON // SEGMENT * envs, SEGMENT, obs)))
    step = sf.Step(sf.Surrogate(), sf.Euclidean(), sf.Fixed(0.1))
    learner = sf.Algorithm(KeepLastBatch(step, blank), step)
    critic = sf.Critic(network("lstm", 1, key=9, obs=obs))
    state = state_of(policy, critic, learner, envs)
    improve = eqx.filter_jit(learner.improve)
    values = []
    for trajectory in trajectories:
        before = state._replace(policy=policy)
        state, critic_batch, metrics = improve(before, trajectory)
        batch = state.policy_state.batch
        assert batch.weight.shape == (HORIZON // SEGMENT * envs, SEGMENT)
        learned = batch.weight > 0
        assert int(learned.sum()) == int(trajectory.valid.sum())
        now = eqx.filter_jit(distribution)(policy, batch)
        np.testing.assert_allclose(now.mean[learned], batch.old.mean[learned], atol=1e-5)
        ratio = np.exp(now.log_prob(batch.action) - batch.old.log_prob(batch.action))
        np.testing.assert_allclose(ratio[learned], 1.0, atol=1e-4)
        value = eqx.filter_jit(distribution)(critic, critic_batch).mean
        np.testing.assert_allclose(value[learned], critic_batch.old.mean[learned], atol=1e-5)
        assert metrics.policy.kl_mean > 0
        memory, no = before.critic_memory, NoNormalizer()
        judged = eqx.filter_jit(judge)(critic, memory, trajectory.obs, no, trajectory)
        values.append(jax.tree.map(np.asarray, judged))
    told = [with_done(t) for t in trajectories]
    dists, memories = replayed(critic, told, next_step=mode == AutoresetMode.NEXT_STEP)
    valid = np.concatenate([t.valid for t in trajectories])
    value = np.concatenate([v.value for v in values])
    np.testing.assert_allclose(value[valid], dists.mean[..., 0][valid], atol=1e-5)
    # The next value: one more step, of the true next observation.
    next_obs = np.concatenate([t.next_obs for t in trajectories])
    now = np.concatenate([t.obs for t in trajectories])
    no_start = np.zeros(envs, bool)
    for t in range(0, len(now), 5):
        before = jax.tree.map(lambda m, t=t: m[t], memories)
        _, after = stepped(critic, now[t], no_start, before)
        then, _ = stepped(critic, next_obs[t], no_start, after)
        told_then = np.concatenate([v.next_value for v in values])[t]
        np.testing.assert_allclose(told_then[valid[t]], then.mean[valid[t], 0], atol=1e-5)


class Broken(Noise):
    """One observation of the whole run is no number; no episode ends."""

    count = 0

    def step(self, action):
        obs, reward, *_, info = super().step(action)
        self.count += 1
        if self.count == 20:
            obs[0] = np.nan
        return obs, reward, False, False, info


@pytest.mark.filterwarnings("ignore:the update of iteration 1 was refused:RuntimeWarning")
@pytest.mark.parametrize("name", ["gru", pytest.param("lstm", marks=pytest.mark.slow)])
def test_what_is_not_finite_is_not_remembered(name):
    rows = []
    sf.train(
        "a2c",
        Broken,
        network=name,
        hidden=(4,),
        num_envs=1,
        horizon=16,
        steps=64,
        seed=0,
        progress=False,
        on_iteration=lambda row, agent: rows.append(row["refused"]),
    )
    assert rows == [False, True, False, False]


@pytest.mark.parametrize("method", ["a2c", pytest.param("kfac_trpo", marks=pytest.mark.slow)])
def test_a_critic_alone_may_have_a_memory(method, tmp_path):
    options = {"critic_network": "gru", "hidden": (4,), "num_envs": 2, "horizon": 16, "steps": 64}
    out = tmp_path / "run"
    sf.train(method, "CartPole-v1", seed=0, progress=False, out=out, **options)
    update = sf.inspect(out).update
    assert update.batch.weight.shape == (32,)
    assert update.exact
