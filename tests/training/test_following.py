"""Next observations of images, which are kept only where no row has them."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from support.problems import KEY
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.core.data.following import Following, cut_off, cut_rows, next_rows
from surefoot.core.data.normalization import NoNormalizer
from surefoot.core.data.types import Trajectory
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.make import make_host
from surefoot.methods.learners.finite_guard import find_nonfinite
from surefoot.methods.learners.judged import judge
from surefoot.training.rollout import HostRollout
from surefoot.training.rollout.device_rollout import DeviceStanding, device_rollout

T, N, SLOTS = 12, 3, 8


def made(rng):
    """A trajectory of vectors whose next observations are kept row by row, and the same with those
    alone that no row has."""
    terminated, truncated = rng.random((2, T, N)) < 0.2
    ended = terminated | truncated
    obs, other = rng.normal(size=(2, T + 1, N, 2)).astype(np.float32)
    next_obs = np.where(ended[..., None], other[:T], obs[1:])
    # Rows in which an environment was lost: what they show followed the row before.
    valid = np.ones((T, N), bool)
    for i in range(N):
        valid[1 + np.flatnonzero(~ended[:-1, i] & ~ended[1:, i])[:1], i] = False
    cut = cut_off(terminated, truncated, valid)
    final = np.zeros((SLOTS, N, 2), np.float32)
    for i in range(N):
        at = np.flatnonzero(cut[:, i])
        assert len(at) <= SLOTS
        final[: len(at), i] = next_obs[at, i]
    length, age = np.zeros((T, N), int), np.zeros(N, int)
    for t in range(T):
        age += 1
        length[t] = age
        age[ended[t] | ~valid[t]] = 0
    plain = Trajectory(
        obs=obs[:T],
        action=np.zeros((T, N), int),
        old=sf.Categorical(jnp.zeros((T, N, 2))),
        reward=np.zeros((T, N), np.float32),
        next_obs=next_obs,
        terminated=terminated,
        truncated=truncated,
        valid=valid,
        episode_return=np.zeros((T, N), np.float32),
        episode_length=length,
    )
    sparse = plain._replace(next_obs=Following(obs[T:], final))
    return jax.tree.map(jnp.asarray, (plain, sparse))


def test_the_next_rows_are_the_true_ones_wherever_they_are_asked_for():
    for seed in range(20):
        plain, sparse = made(np.random.default_rng(seed))
        cut = cut_off(plain.terminated, plain.truncated, plain.valid)
        found = next_rows(sparse.obs, *sparse.next_obs, cut)
        asked = plain.valid & ~plain.terminated
        np.testing.assert_array_equal(found[asked], plain.next_obs[asked])
        rows = np.asarray(cut_rows(cut, SLOTS))
        for i in range(N):
            at = np.flatnonzero(cut[:, i])
            np.testing.assert_array_equal(rows[: len(at), i], at)


@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_a_critic_says_the_same_of_them(network):
    box = spaces.Box(-np.inf, np.inf, (2,))
    architecture = Architecture(network, (5,))
    spec = PolicySpec(
        box, spaces.Discrete(2), architecture, -0.5, False, "affine", normalize_observations=False
    )
    critic = jax.tree.map(lambda x: 3.0 * x, spec.critic(KEY, architecture, ()))
    memory = jax.tree.map(lambda m: m + 0.3, critic.initial(N))
    say = jax.jit(lambda data: judge(critic, memory, data.obs, NoNormalizer(), data))
    for seed in range(5):
        plain, sparse = made(np.random.default_rng(seed))
        one, other = say(plain), say(sparse)
        asked = plain.valid & ~plain.terminated
        assert not plain.valid.all()
        np.testing.assert_allclose(other.value, one.value, atol=1e-6)
        np.testing.assert_allclose(other.next_value[asked], one.next_value[asked], atol=1e-6)
        assert np.abs(np.diff(one.next_value, axis=0)).max() > 0.1


def test_what_is_not_finite_is_found_in_them():
    plain, sparse = made(np.random.default_rng(0))
    assert not bool(find_nonfinite(sparse).refused)
    cut = np.asarray(cut_off(plain.terminated, plain.truncated, plain.valid))
    i = int(np.argmax(cut.any(axis=0)))
    spoiled = sparse.next_obs._replace(final=sparse.next_obs.final.at[0, i, 1].set(np.nan))
    found = find_nonfinite(sparse._replace(next_obs=spoiled))
    assert (int(found.refused_environment), int(found.refused_component)) == (i, 1)
    # A slot that no row has is looked at by nobody.
    spoiled = sparse.next_obs._replace(final=sparse.next_obs.final.at[-1].set(np.nan))
    assert not bool(find_nonfinite(sparse._replace(next_obs=spoiled)).refused)


class Counter(gymnasium.Env):
    """A picture of how many steps were taken in all; episodes end, or are cut off, at random."""

    observation_space = spaces.Box(0, 255, (8, 8), np.uint8)
    action_space = spaces.Discrete(2)
    number = 0

    def _seen(self):
        self.number += 1
        return np.full((8, 8), self.number, np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        ends = self.np_random.random(2) < 0.2
        return self._seen(), 0.0, bool(ends[0]), bool(ends[1]), {}


def picture_policy(space):
    spec = PolicySpec(
        space,
        spaces.Discrete(2),
        Architecture("cnn", (4,)),
        -0.5,
        False,
        "affine",
        normalize_observations=False,
    )
    return spec.policy(KEY), spec.normalizer(), spec.to_environment()


def test_on_the_host_they_are_those_of_the_steps():
    policy, normalizer, to_env = picture_policy(Counter.observation_space)
    groups = [make_host(Counter, 2), make_host(Counter, 1)]
    received = [[], []]
    for group, steps in zip(groups, received, strict=True):
        recv = group.recv

        def keeping(recv=recv, steps=steps):
            steps.append(recv())
            return steps[-1]

        group.recv = keeping
    rollout = HostRollout(groups, T, to_env)
    states = rollout.init(0)
    rollout.compile(states, policy, normalizer, KEY)
    _, rows, _ = rollout(states, policy, normalizer, KEY)
    true = np.concatenate(
        [np.stack([step.next_obs for step in steps]) for steps in received], axis=1
    )
    cut = cut_off(rows.terminated, rows.truncated, rows.valid)
    assert rows.next_obs.slots == 1 << int(np.ceil(np.log2(cut.sum(axis=0).max())))
    found = np.asarray(next_rows(*map(jnp.asarray, (rows.obs, *rows.next_obs, cut))))
    asked = rows.valid & ~rows.terminated
    assert cut.any()
    assert rows.terminated.any()
    np.testing.assert_array_equal(found[asked], true[asked])
    for group in groups:
        group.close()


class Pictures:
    """A picture of the time since the episode began, which ends at random."""

    observation_space = spaces.Box(0, 255, (8, 8), np.uint8)
    action_space = spaces.Discrete(2)

    def initial(self, rng):
        return jnp.stack([jax.random.randint(rng, (), 0, 200), 0])

    def transition(self, state, action, rng):
        return state.at[0].add(1)

    def observation(self, state, rng):
        return jnp.full((8, 8), state[0], jnp.uint8)

    def reward(self, state, action, next_state, rng):
        return jnp.float32(0)

    def terminal(self, state, rng):
        return jax.random.uniform(rng) < 0.1


def test_on_the_device_they_are_those_of_the_steps():
    policy, normalizer, to_env = picture_policy(Pictures.observation_space)
    env = DeviceEnv(Pictures(), time_limit=4)

    @jax.jit
    def both(key):
        state = env.init(key, N, stagger=True)
        standing, rows, _ = device_rollout(
            env, T, to_env, DeviceStanding(state), policy, normalizer, key
        )
        # The same keys again, step by step.
        act_keys, env_keys = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key, T))

        def step(state, keys):
            act, move = keys
            dist = policy(normalizer(state.obs))
            state, transition = env.step(state, to_env(dist.draw(dist.noise(act))), move)
            return state, transition.next_obs

        _, true = jax.lax.scan(step, state, (act_keys, env_keys))
        return standing, rows, true

    standing, rows, true = both(jax.random.key(3))
    cut = cut_off(rows.terminated, rows.truncated, rows.valid)
    assert rows.next_obs.slots == 3
    np.testing.assert_array_equal(rows.next_obs.last[0], standing.env.obs)
    found = next_rows(rows.obs, *rows.next_obs, cut)
    asked = np.asarray(~rows.terminated)
    assert np.asarray(cut).sum() > 2
    np.testing.assert_array_equal(np.asarray(found)[asked], np.asarray(true)[asked])
