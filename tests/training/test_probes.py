"""Probe environments, each of which isolates one property of learning.

They run on the device, with rewards and observations as they are, so that the critic's values can
be told exactly. (The idea is that of rejax's tests/environments.py.) Each is a program of its own,
which takes ten seconds to compile; the first test has four of them in one.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.runs.options import prepare


class Probe:
    """`length` steps of `reward` at the end only; the observation is the step's number.

    Subclasses say otherwise. The state is (step, a random sign).
    """

    length = 1
    observation_space: spaces.Space = spaces.Box(-1.0, 9.0, (1,))
    action_space: spaces.Space = spaces.Discrete(2)

    def initial(self, rng):
        sign = 2.0 * jax.random.bernoulli(rng).astype(jnp.float32) - 1.0
        return jnp.zeros((), jnp.int32), sign

    def transition(self, state, action, rng):
        return state[0] + 1, state[1]

    def observation(self, state, rng):
        return state[0][None].astype(jnp.float32)

    def reward(self, state, action, next_state, rng):
        return (next_state[0] == self.length).astype(jnp.float32)

    def terminal(self, state, rng):
        return state[0] >= self.length


class Longer(Probe):
    def __init__(self, length):
        self.length = length


class Choice(Probe):
    """Action 1 is right."""

    def reward(self, state, action, next_state, rng):
        return 2.0 * action - 1.0


class Matching(Probe):
    """The sign is seen, and the action is to match it."""

    def observation(self, state, rng):
        return state[1][None]

    def reward(self, state, action, next_state, rng):
        return (2.0 * action - 1.0) * state[1]


class Reach(Matching):
    """The same with a continuous action: the nearer to half the sign the better."""

    action_space = spaces.Box(-1.0, 1.0, (1,))

    def reward(self, state, action, next_state, rng):
        return -jnp.abs(action[0] - 0.5 * state[1])


class Endless(Probe):
    """Reward 1 for ever; the observation does not tell the time."""

    def __init__(self, length=10**6):
        self.length = length

    def observation(self, state, rng):
        return jnp.ones(1)

    def reward(self, state, action, next_state, rng):
        return jnp.ones(())


def train(algorithm, env, *, iterations, time_limit=None, **options):
    """The final state after `iterations` batches of 8 × 32 rows."""
    defaults = {
        "num_envs": 8,
        "horizon": 32,
        "hidden": (16,),
        "scale_rewards": False,
        "normalize_observations": False,
        "critic_learning_rate": 3e-3,
        "critic_minibatch_size": 64,
    }
    options = {**defaults, **options, "steps": iterations * 256}
    run = prepare(algorithm, sf.DeviceEnv(env, time_limit=time_limit), options)
    assert sum(1 for _ in run.iterations()) == iterations
    return run.state


def values(state, *observations):
    return np.asarray(state.critic.value(jnp.array(observations, jnp.float32)[:, None]))


def probabilities(state, *observations):
    dist = state.policy(jnp.array(observations, jnp.float32)[:, None])
    return np.asarray(jax.nn.softmax(dist.logits))


class Four:
    """Each episode is that of one of four probes, drawn at its start.

    The observation is one-hot, so that the values and probabilities of one probe are learned beside
    those of the others. States, by the place of the 1:

    0, 1: two steps, the second of which earns 1;
    2: earns 1 for ever, until the time limit cuts it off;
    3: the same, but terminates after `LENGTH` steps;
    4, 5: one step, in which action 0, or action 1, earns 1, and the other one -1.
    """

    LENGTH = 4
    observation_space = spaces.Box(0.0, 1.0, (6,))
    action_space = spaces.Discrete(2)

    def initial(self, rng):
        return jax.random.choice(rng, jnp.array([0, 2, 3, 4, 5])), jnp.zeros((), jnp.int32)

    def transition(self, state, action, rng):
        place, age = state
        return jnp.where(place == 0, 1, place), age + 1

    def observation(self, state, rng):
        return jax.nn.one_hot(state[0], 6)

    def reward(self, state, action, next_state, rng):
        place, matches = state[0], 2.0 * (action == state[0] - 4) - 1.0
        return jnp.array([0.0, 1.0, 1.0, 1.0, matches, matches])[place]

    def terminal(self, state, rng):
        place, age = state
        return jnp.array([False, age == 2, False, age == self.LENGTH, age == 1, age == 1])[place]


@jax.jit
def of_states(state, states):
    return state.critic.value(states), jax.nn.softmax(state.policy(states).logits)


def test_four_probes_at_once():
    # λ = 0: the target is r + γ·V of the next state, where there is one, and nothing else.
    discount = 0.6
    options = {"discount": discount, "gae_lambda": 0.0}
    state = train("trpo", Four(), iterations=64, time_limit=Four.LENGTH, **options)
    values, policy = map(np.asarray, of_states(state, np.eye(6, dtype=np.float32)))

    # The critic bootstraps from the next value.
    np.testing.assert_allclose(values[:2], [discount, 1.0], atol=0.05)
    # A truncation bootstraps; a termination does not, in one of `LENGTH` steps.
    np.testing.assert_allclose(values[2], 1 / (1 - discount), atol=0.1)
    bootstrapped = 1 - 1 / Four.LENGTH
    np.testing.assert_allclose(values[3], 1 / (1 - discount * bootstrapped), atol=0.1)
    # The action depends on the observation.
    assert policy[4, 0] > 0.9
    assert policy[5, 1] > 0.9


@pytest.mark.slow
def test_the_critic_learns_a_value():
    state = train("trpo", Probe(), iterations=32)
    np.testing.assert_allclose(values(state, 0), 1.0, atol=0.02)


@pytest.mark.slow
def test_the_critic_bootstraps_from_the_next_value():
    # λ = 0: the first state's target is γ·V of the second and nothing else.
    state = train("trpo", Longer(2), iterations=64, discount=0.5, gae_lambda=0.0)
    np.testing.assert_allclose(values(state, 0, 1), [0.5, 1.0], atol=0.03)


@pytest.mark.slow
def test_rewards_are_discounted_by_their_distance():
    # The time limit falls on the step that terminates: the termination wins.
    state = train("trpo", Longer(4), iterations=64, time_limit=4, discount=0.6)
    np.testing.assert_allclose(values(state, 0, 1, 2, 3), 0.6 ** np.arange(3, -1, -1), atol=0.05)


@pytest.mark.slow
def test_the_policy_prefers_the_action_that_earns():
    state = train("ppo_clip", Choice(), iterations=32, learning_rate=3e-3, epochs=4)
    assert probabilities(state, 0)[0, 1] > 0.9


@pytest.mark.slow
def test_the_policy_makes_its_action_depend_on_the_observation():
    state = train("trpo", Matching(), iterations=32)
    minus, plus = probabilities(state, -1, 1)
    assert minus[0] > 0.9
    assert plus[1] > 0.9


@pytest.mark.slow
def test_a_continuous_action_depends_on_the_observation():
    state = train("ppo_clip", Reach(), iterations=64, learning_rate=3e-3, epochs=4)
    mean = np.asarray(state.policy(jnp.array([[-1.0], [1.0]])).mean)[:, 0]
    np.testing.assert_allclose(mean, [-0.5, 0.5], atol=0.2)


DISCOUNT = 0.8


@pytest.mark.slow
def test_a_truncation_bootstraps():
    state = train("trpo", Endless(), iterations=64, time_limit=5, discount=DISCOUNT)
    np.testing.assert_allclose(values(state, 1), 1 / (1 - DISCOUNT), atol=0.25)


@pytest.mark.slow
def test_a_termination_does_not_bootstrap():
    state = train("trpo", Endless(5), iterations=64, discount=DISCOUNT)
    remaining = np.arange(1, 6)
    expected = np.mean((1 - DISCOUNT**remaining) / (1 - DISCOUNT))
    np.testing.assert_allclose(values(state, 1), expected, atol=0.25)
    assert expected < 0.6 / (1 - DISCOUNT)
