"""CartPole and Pendulum in JAX against Gymnasium's, and what `DeviceEnv` adds to any function."""

import dataclasses

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.experimental.functional import FuncEnv

import surefoot as sf
from surefoot.envs.device.classic import DEVICE_ENVS, CartPole, Pendulum

TRANSITIONS = 10_000
KEY = jax.random.key(0)


def cartpole_draws(rng):
    """States on both sides of the limits, so that terminations are drawn too."""
    high = np.array([2.6, 3.0, 0.25, 3.0])
    return rng.uniform(-high, high, (TRANSITIONS, 4)), rng.integers(2, size=TRANSITIONS)


def pendulum_draws(rng):
    """Speeds up to the limit; torques beyond it, which are to be clipped."""
    high = np.array([np.pi, 8.0])
    return rng.uniform(-high, high, (TRANSITIONS, 2)), rng.uniform(-3, 3, (TRANSITIONS, 1))


CASES = {
    "CartPole-v1": (CartPole(), cartpole_draws),
    "Pendulum-v1": (Pendulum(), pendulum_draws),
}


def host_transitions(env_id, states, actions):
    """What Gymnasium's own environment makes of each (state, action), in float64."""
    env = gymnasium.make(env_id).unwrapped
    env.reset(seed=0)
    rows = []
    for state, action in zip(states, actions, strict=True):
        env.state = np.array(state, np.float64)
        # CartPole counts steps after an end, and pays no reward for them.
        env.steps_beyond_terminated = None
        obs, reward, terminated, truncated, _ = env.step(action)
        assert not truncated
        rows.append((env.state, obs, reward, terminated))
    return [np.array(column, np.float64) for column in zip(*rows, strict=True)]


def device_transitions(env, states, actions):
    def one(state, action):
        after = env.transition(state, action, KEY)
        return (
            after,
            env.observation(after, KEY),
            env.reward(state, action, after, KEY),
            env.terminal(after, KEY),
        )

    return [np.asarray(x, np.float64) for x in jax.jit(jax.vmap(one))(states, actions)]


@pytest.mark.parametrize("env_id", CASES)
def test_transitions_equal_gymnasiums_in_float64(env_id, x64):
    env, draw = CASES[env_id]
    states, actions = draw(np.random.default_rng(1))
    ours = device_transitions(env, jnp.asarray(states), jnp.asarray(actions))
    theirs = host_transitions(env_id, states, actions)
    for got, want in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("env_id", CASES)
def test_transitions_equal_gymnasiums_in_float32(env_id):
    env, draw = CASES[env_id]
    states, actions = draw(np.random.default_rng(2))
    states = states.astype(np.float32)
    if actions.dtype == np.float64:
        actions = actions.astype(np.float32)
    ours = device_transitions(env, jnp.asarray(states), jnp.asarray(actions))
    theirs = host_transitions(env_id, states, actions)
    for got, want in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_the_draws_hold_both_ends_and_both_clips(x64):
    states, actions = cartpole_draws(np.random.default_rng(1))
    terminated = host_transitions("CartPole-v1", states, actions)[3]
    assert 0.1 < terminated.mean() < 0.9
    states, actions = pendulum_draws(np.random.default_rng(1))
    after = host_transitions("Pendulum-v1", states, actions)[0]
    assert (np.abs(after[:, 1]) == 8.0).any()
    assert (np.abs(actions) > 2).any()


@pytest.mark.parametrize("env_id", DEVICE_ENVS)
def test_spaces_and_time_limits_are_gymnasiums(env_id):
    device = DEVICE_ENVS[env_id]
    host = gymnasium.make(env_id)
    assert device.observation_space == host.observation_space
    assert device.action_space == host.action_space
    assert device.time_limit == gymnasium.spec(env_id).max_episode_steps
    assert device.name == env_id


@pytest.mark.parametrize("env_id", CASES)
def test_start_states_lie_where_gymnasiums_do(env_id):
    env = CASES[env_id][0]
    starts = np.asarray(jax.vmap(env.initial)(jax.random.split(KEY, 4000)))
    high = {"CartPole-v1": np.full(4, 0.05), "Pendulum-v1": np.array([np.pi, 1.0])}[env_id]
    assert (np.abs(starts) <= high).all()
    # Uniform: both tails are reached, and the spread is that of the whole interval.
    np.testing.assert_allclose(starts.min(0), -high, rtol=0.02)
    np.testing.assert_allclose(starts.max(0), high, rtol=0.02)
    np.testing.assert_allclose(starts.std(0), high / 3**0.5, rtol=0.05)


def run(env, steps, *, num_envs=3, action=None, key=KEY):
    """`steps` steps with one action everywhere: the states before and after, and the rows."""
    state = env.init(key, num_envs)
    actions = jnp.full(num_envs, 1) if action is None else action
    step = jax.jit(env.step)
    trace = []
    for k in jax.random.split(jax.random.fold_in(key, 1), steps):
        after, row = step(state, actions, k)
        trace.append((state, row, after))
        state = after
    return trace


def test_a_time_limit_truncates_and_does_not_terminate():
    trace = run(sf.DeviceEnv(CartPole(), time_limit=3), 7)
    truncated = np.array([row.truncated for _, row, _ in trace])
    expected = np.array([False, False, True, False, False, True, False])
    np.testing.assert_array_equal(truncated, expected[:, None].repeat(3, axis=1))
    assert not any(row.terminated.any() for _, row, _ in trace)


def test_without_a_time_limit_nothing_is_truncated():
    trace = run(sf.DeviceEnv(CartPole()), 40)
    assert not any(row.truncated.any() for _, row, _ in trace)
    assert any(row.terminated.all() for _, row, _ in trace)


def test_an_end_returns_the_true_next_observation_and_a_fresh_state():
    env = sf.DeviceEnv(CartPole(), time_limit=5)
    before, row, after = run(env, 5)[-1]
    keys = jax.random.split(KEY, 3)
    true_next = jax.vmap(env.env.transition)(before.inner, jnp.ones(3, int), keys)
    np.testing.assert_allclose(row.next_obs, true_next, atol=1e-6)
    assert (np.abs(row.next_obs).max(axis=1) > 0.05).all()

    assert (np.abs(after.inner) <= 0.05).all()
    np.testing.assert_array_equal(after.obs, after.inner)
    np.testing.assert_array_equal(after.age, 0)
    np.testing.assert_array_equal(after.episode_return, 0.0)


def test_only_the_copies_that_ended_are_reset():
    env = sf.DeviceEnv(CartPole(), time_limit=100)
    state = env.init(KEY, 3)
    state = state._replace(inner=state.inner.at[1, 0].set(3.0), age=jnp.array([7, 8, 9]))
    after, row = env.step(state, jnp.ones(3, int), KEY)
    np.testing.assert_array_equal(row.terminated, [False, True, False])
    np.testing.assert_array_equal(row.truncated, False)
    np.testing.assert_array_equal(after.age, [8, 0, 10])
    np.testing.assert_array_equal(row.episode_length, [8, 9, 10])
    np.testing.assert_array_equal(after.obs[::2], row.next_obs[::2])
    assert row.next_obs[1, 0] > 2.9
    assert abs(after.obs[1, 0]) <= 0.05


def test_returns_and_lengths_count_from_the_episodes_start():
    for t, (_, row, after) in enumerate(run(sf.DeviceEnv(CartPole(), time_limit=4), 9)):
        expected = t % 4 + 1
        np.testing.assert_array_equal(row.episode_length, expected)
        np.testing.assert_array_equal(row.episode_return, expected)
        np.testing.assert_array_equal(after.episode_return, expected % 4)


def test_copies_are_independent_at_the_start_and_after_every_reset():
    trace = run(sf.DeviceEnv(CartPole(), time_limit=2), 4, num_envs=5)
    fresh = np.concatenate([trace[0][0].obs, trace[1][2].obs, trace[3][2].obs])
    assert len(np.unique(fresh, axis=0)) == 15


class Noise(FuncEnv):
    """A walk of random steps, one part of the observation and the reward random as well."""

    observation_space = spaces.Dict(
        {"where": spaces.Box(-np.inf, np.inf, (1,)), "which": spaces.Discrete(2, start=1)}
    )
    action_space = spaces.Discrete(3)

    def initial(self, rng, params=None):
        return {"x": jnp.zeros(1), "odd": jnp.zeros((), jnp.int32)}

    def transition(self, state, action, rng, params=None):
        moved = state["x"] + (action - 1) + 0.1 * jax.random.normal(rng, (1,))
        return {"x": moved, "odd": 1 - state["odd"]}

    def observation(self, state, rng, params=None):
        return {"where": state["x"] + jax.random.normal(rng, (1,)), "which": state["odd"] + 1}

    def reward(self, state, action, next_state, rng, params=None):
        return jax.random.normal(rng)

    def terminal(self, state, rng, params=None):
        return jnp.abs(state["x"][0]) > 2.5


def test_a_gymnasium_func_env_fits():
    env = sf.DeviceEnv(Noise(), time_limit=50)
    assert env.name == "Noise"
    trace = run(env, 3, num_envs=4, action=jnp.full(4, 2))
    last = trace[-1][1]
    np.testing.assert_array_equal(last.terminated, True)
    assert last.next_obs.shape == (4, 3)
    np.testing.assert_array_equal(last.next_obs[:, 1:], [[0.0, 1.0]] * 4)
    earned = sum(row.reward for _, row, _ in trace)
    np.testing.assert_allclose(last.episode_return, earned, rtol=1e-5, atol=1e-6)


def test_every_call_gets_its_own_randomness():
    trace = run(sf.DeviceEnv(Noise()), 3, num_envs=4, action=jnp.full(4, 1))
    earned = np.concatenate([row.reward for _, row, _ in trace])
    seen = np.concatenate([row.next_obs[:, 0] - after.inner["x"][:, 0] for _, row, after in trace])
    where = np.array([after.inner["x"][:, 0] for _, _, after in trace])
    moved = np.diff(where, axis=0, prepend=0).reshape(-1) / 0.1
    drawn = np.concatenate([earned, seen, moved])
    assert len(np.unique(drawn.round(3))) == 36


def test_an_object_that_is_no_environment_is_named_with_what_it_lacks():
    class Half:
        observation_space = spaces.Discrete(2)
        action_space = spaces.Discrete(2)

        def initial(self, rng):
            return 0

        def reward(self, state, action, next_state, rng):
            return 0.0

    with pytest.raises(sf.UsageError, match=r"Half .* lacks transition, observation, terminal;"):
        sf.DeviceEnv(Half())


def test_an_observation_space_without_an_encoding_is_refused():
    class Words(Noise):
        observation_space = spaces.Text(4)

    with pytest.raises(sf.UsageError, match="Text"):
        sf.DeviceEnv(Words())


def test_a_long_episode_loses_no_reward():
    """CartPole earns 1 a step, of which a return of 2²⁴ in float32 sees every second one."""
    env = dataclasses.replace(DEVICE_ENVS["CartPole-v1"], time_limit=None)
    start = env.init(jax.random.key(0), 2)
    state = start._replace(episode_return=jnp.full(2, 2.0**24))

    @jax.jit
    def earned(state, key):
        after, row = env.step(state, jnp.zeros(2, jnp.int32), key)
        # Back to the start, so that no episode ends.
        return after._replace(inner=start.inner, obs=start.obs), row.episode_return

    for step in range(1, 8):
        state, total = earned(state, jax.random.key(step))
        assert (np.abs(np.asarray(total, float) - 2.0**24 - step) <= 1).all()
    together = np.float64(state.episode_return) + np.float64(state.return_rest)
    np.testing.assert_array_equal(together, 2.0**24 + 7)
