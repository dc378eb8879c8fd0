"""Estimates from samples, against exact values of a small problem with a time limit."""

import dataclasses
import subprocess
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.core.data.normalization import NoNormalizer, observation_normalizer
from surefoot.core.networks import Memoryless
from surefoot.core.networks.architecture import Architecture
from surefoot.theory.sampled import estimate
from surefoot.theory.sampled.play import acting

GAMMA, LIMIT, EPISODES = 0.9, 8, 40_000
#: From states 0 and 1; state 2 is terminal. P[s, a, s′], R[s, a], μ[s].
P = np.array([[[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], [[0.5, 0.45, 0.05], [0.2, 0.6, 0.2]]])
R = np.array([[1.0, -0.5], [0.3, 2.0]])
MU = np.array([0.8, 0.2])
OLD = np.array([[0.3, -0.3], [0.0, 0.8]])
NEW = np.array([[-0.5, 0.4], [0.7, 0.2]])


class Chain:
    """The same problem as a functional environment."""

    observation_space = spaces.Box(0.0, 1.0, (3,))
    action_space = spaces.Discrete(2)

    def initial(self, rng):
        return (jax.random.uniform(rng) >= MU[0]).astype(jnp.int32)

    def transition(self, state, action, rng):
        return jax.random.choice(rng, 3, p=jnp.asarray(P)[jnp.minimum(state, 1), action])

    def observation(self, state, rng):
        return jax.nn.one_hot(state, 3)

    def reward(self, state, action, next_state, rng):
        return jnp.asarray(R)[jnp.minimum(state, 1), action]

    def terminal(self, state, rng):
        return state == 2


class HostChain(gymnasium.Env):
    observation_space = Chain.observation_space
    action_space = Chain.action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age, self._state = 0, self.np_random.choice(2, p=MU)
        return np.eye(3, dtype=np.float32)[self._state], {}

    def step(self, action):
        reward, before = R[self._state, action], self._state
        self._age, self._state = self._age + 1, self.np_random.choice(3, p=P[before, action])
        obs = np.eye(3, dtype=np.float32)[self._state]
        return obs, reward, bool(self._state == 2), self._age == LIMIT, {}


class Bandit(Chain):
    """A state that never ends."""

    def transition(self, state, action, rng):
        return state


class Table(Memoryless):
    logits: jax.Array

    def __call__(self, obs):
        return sf.Categorical(obs[..., :2] @ self.logits)


def agent(logits, environment=None):
    shape = PolicySpec(
        Chain.observation_space,
        Chain.action_space,
        Architecture(hidden=()),
        0.0,
        False,
        "affine",
        False,
    )
    policy = Table(jnp.asarray(logits, jnp.float32))
    return sf.Agent(policy, NoNormalizer(), shape, environment=environment)


CHAIN = sf.DeviceEnv(Chain(), time_limit=LIMIT)


def probabilities(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


class Exact:
    """Everything about π = OLD and π′ = NEW by recursion over the steps left, in float64."""

    def __init__(self, discount=GAMMA, old=OLD, new=NEW, limit=LIMIT):
        self.discount, self.limit = discount, limit
        self.old, self.new = probabilities(old), probabilities(new)

    def values(self, policy):
        """Q_t(s, a), [T, S, A], and V_t(s)."""
        v, q = np.zeros((self.limit + 1, 2)), np.zeros((self.limit, 2, 2))
        for t in reversed(range(self.limit)):
            for s in range(2):
                for a in range(2):
                    q[t, s, a] = R[s, a] + self.discount * P[s, a, :2] @ v[t + 1]
                v[t, s] = policy[s] @ q[t, s]
        return q, v

    def occupancy(self, policy):
        """P(s_t = s), [T, S]; what is missing to 1 has terminated."""
        d = [MU]
        for _ in range(self.limit):
            d.append(np.einsum("s,sa,sap->p", d[-1], policy, P[:, :, :2]))
        return np.array(d)

    def performance(self, policy):
        return MU @ self.values(policy)[1][0]

    def weights(self, discount=None):
        discount = self.discount if discount is None else discount
        return discount ** np.arange(self.limit)[:, None] * self.occupancy(self.old)[: self.limit]

    def surrogate(self):
        q, v = self.values(self.old)
        advantage = q - v[: self.limit, :, None]
        return np.einsum("ts,sa,tsa->", self.weights(), self.new, advantage)

    def kl(self, p, q):
        return (p * np.log(p / q)).sum(axis=1)

    def epsilon(self):
        q, v = self.values(self.old)
        return np.abs(np.einsum("sa,tsa->ts", self.new, q) - v[: self.limit]).max()


@pytest.fixture(scope="module")
def before():
    return estimate.play(agent(OLD, CHAIN), episodes=EPISODES, seed=3)


@pytest.fixture(scope="module")
def after():
    return estimate.play(agent(NEW, CHAIN), episodes=EPISODES, seed=4)


def close(found, exact, *, worth=0.05):
    """Within four standard errors, which say something."""
    value, error = found[:2]
    assert abs(value - exact) <= 4 * error
    assert 0 < error < worth * abs(exact)


def test_episodes_are_whole_and_end_where_they_end(before):
    valid, done = np.asarray(before.valid), np.asarray(before.terminated | before.truncated)
    assert valid.shape == (LIMIT, EPISODES)
    assert valid[0].all()
    assert ((done & valid).sum(axis=0) == 1).all()
    assert (done[valid.sum(axis=0) - 1, np.arange(EPISODES)]).all()
    assert (np.asarray(before.episode_length)[0] == 1).all()
    cut = np.asarray(before.truncated & ~before.terminated & before.valid).any(axis=0)
    exact = Exact().occupancy(Exact().old)[LIMIT].sum()
    assert abs(cut.mean() - exact) <= 4 * np.sqrt(exact * (1 - exact) / EPISODES)


def test_performance_is_the_exact_one(before, after):
    exact = Exact()
    found = estimate.performance(before, discount=GAMMA)
    close(found, exact.performance(exact.old))
    close(estimate.performance(after, discount=GAMMA), exact.performance(exact.new))
    alive = exact.occupancy(exact.old)[LIMIT].sum()
    assert found.omitted == pytest.approx(GAMMA**LIMIT * alive, rel=0.1)
    undiscounted = Exact(discount=1.0)
    close(estimate.performance(before, discount=1.0), undiscounted.performance(exact.old))


def test_what_a_horizon_cuts_is_told_as_omitted():
    endless = sf.DeviceEnv(Chain())
    played = estimate.play(agent(OLD), endless, episodes=2000, seed=5, horizon=3)
    assert played.reward.shape == (3, 2000)
    found, exact = estimate.performance(played, discount=GAMMA), Exact(limit=3)
    close(found, exact.performance(exact.old), worth=0.1)
    alive = exact.occupancy(exact.old)[3].sum()
    assert found.omitted == pytest.approx(GAMMA**3 * alive, rel=0.1)


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_mean_kl_is_the_exact_one_in_its_direction(before, discount):
    exact = Exact()
    weights = exact.weights(discount).sum(axis=0)
    forward, backward = exact.kl(exact.old, exact.new), exact.kl(exact.new, exact.old)
    found = estimate.mean_kl(before, agent(NEW), discount=discount)
    close(found, weights @ forward / weights.sum())
    assert abs(found.value - weights @ backward / weights.sum()) > 4 * found.standard_error
    assert estimate.mean_kl(before, agent(OLD)).value == pytest.approx(0.0, abs=1e-7)


def test_effective_sample_size_is_the_exact_one(before):
    exact = Exact()
    share = exact.weights(1.0).sum(axis=0)
    square = (exact.new**2 / exact.old).sum(axis=1)
    close(estimate.effective_sample_size(before, agent(NEW)), share.sum() / (share @ square))
    same = estimate.effective_sample_size(before, agent(OLD))
    assert same == (1.0, 0.0)


def test_the_variance_of_trajectory_weights_explodes_and_that_of_one_step_does_not():
    old, new = OLD, OLD + np.array([[0.2, -0.2], [0.0, 0.0]])
    endless = sf.DeviceEnv(Bandit())
    played = estimate.play(agent(old), endless, episodes=EPISODES, seed=6, horizon=20)
    keep = np.asarray(played.obs)[0, :, 0] == 1.0
    played = jax.tree.map(lambda x: x[:, keep], played)
    found = estimate.weight_variance(played, agent(new))
    p, q = probabilities(old)[0], probabilities(new)[0]
    chi = (q**2 / p).sum() - 1.0
    exact = (1.0 + chi) ** np.arange(1, 21) - 1.0
    assert (np.abs(found.one_step - chi) <= 4 * found.one_step_error).all()
    assert (np.abs(found.trajectory - exact) <= 4 * found.trajectory_error).all()
    assert (found.trajectory_error < 0.2 * exact).all()
    assert found.trajectory[-1] > 15 * found.one_step[-1]


def test_an_episode_that_has_ended_keeps_its_weight(before):
    w = Exact().new / Exact().old
    states = np.argmax(np.asarray(before.obs), axis=-1)
    actions, valid = np.asarray(before.action), np.asarray(before.valid)
    one, product = np.zeros(LIMIT), np.zeros(LIMIT)
    for i in range(300):
        weight = 1.0
        for t in range(LIMIT):
            r = w[states[t, i], actions[t, i]] if valid[t, i] else 1.0
            weight *= r
            one[t] += (r - 1) ** 2 / 300
            product[t] += (weight - 1) ** 2 / 300
    few = estimate.weight_variance(jax.tree.map(lambda x: x[:, :300], before), agent(NEW))
    np.testing.assert_allclose(few.one_step, one, rtol=1e-5)
    np.testing.assert_allclose(few.trajectory, product, rtol=1e-5)


def test_the_gap_is_the_exact_one_and_within_its_bound(before, after):
    exact = Exact()
    gain = exact.performance(exact.new) - exact.performance(exact.old)
    predicted = exact.surrogate()
    found = estimate.gap(before, after, agent(NEW), discount=GAMMA, epsilon=exact.epsilon())
    close(found.gain, gain, worth=0.2)
    close(found.surrogate, predicted, worth=0.2)
    assert abs(found.gap.value - (gain - predicted)) <= 4 * found.gap.standard_error
    assert found.gap.standard_error < 0.3 * abs(gain - predicted)
    kl = (1 - GAMMA) * exact.weights().sum(axis=0) @ exact.kl(exact.new, exact.old)
    constant = np.sqrt(2) * GAMMA * exact.epsilon() / (1 - GAMMA) ** 2
    close(found.bound, constant * np.sqrt(kl))
    assert abs(found.gap.value) < found.bound.value
    estimated = estimate.gap(before, after, agent(NEW), discount=GAMMA)
    assert estimated.epsilon > exact.epsilon()
    assert estimated.bound.value / found.bound.value == pytest.approx(
        estimated.epsilon / exact.epsilon()
    )


def test_standard_errors_are_the_spread_of_repetitions(before, after):
    groups = np.arange(EPISODES).reshape(100, -1)
    other = agent(NEW)
    columns = {name: [] for name in ("performance", "kl", "size", "surrogate", "gap", "bound")}
    arrays = [jax.tree.map(np.asarray, one) for one in (before, after)]
    for group in groups:
        one, two = (jax.tree.map(lambda x, g=group: x[:, g], x) for x in arrays)
        distance = estimate.gap(one, two, other, discount=GAMMA, epsilon=1.0)
        columns["performance"].append(estimate.performance(one, discount=GAMMA)[:2])
        columns["kl"].append(estimate.mean_kl(one, other, discount=GAMMA))
        columns["size"].append(estimate.effective_sample_size(one, other))
        columns["surrogate"].append(distance.surrogate)
        columns["gap"].append(distance.gap)
        columns["bound"].append(distance.bound)
    for name, pairs in columns.items():
        values, errors = np.array(pairs).T
        # The relative error of a standard deviation of 100 numbers is 0.07.
        assert np.std(values, ddof=1) == pytest.approx(np.mean(errors), rel=0.25), name


def test_the_surrogate_of_few_episodes_is_not_smaller(before, after):
    arrays = [jax.tree.map(lambda x: np.asarray(x[:, :400]), one) for one in (before, after)]
    values = []
    for group in np.arange(400).reshape(200, 2):
        few = (jax.tree.map(lambda x, g=group: x[:, g], one) for one in arrays)
        values.append(estimate.gap(*few, agent(NEW), discount=GAMMA).surrogate.value)
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(200)
    exact = Exact().surrogate()
    # Were an episode's own return in its baseline, half would be missing.
    assert abs(mean - exact) <= 4 * error < abs(exact) / 2


def test_episodes_on_the_host_are_of_the_same_problem():
    played = estimate.play(agent(OLD), HostChain, episodes=500, seed=2, horizon=LIMIT)
    assert played.reward.shape[1] == 500
    exact = Exact()
    close(estimate.performance(played, discount=GAMMA), exact.performance(exact.old), worth=0.1)
    again = estimate.play(agent(OLD), HostChain, episodes=500, seed=2, horizon=LIMIT)
    np.testing.assert_array_equal(played.reward, again.reward)
    starts = np.asarray(played.obs)[0, :, 1]
    assert abs(starts.mean() - MU[1]) <= 4 * np.sqrt(MU[0] * MU[1] / 500)


def test_each_agents_own_normalizer_is_used(before):
    seen = observation_normalizer(3).update(before.obs, before.valid)
    plain = agent(OLD)
    other = sf.Agent(plain.policy, seen, plain.spec)
    played = estimate.play(other, CHAIN, episodes=50, seed=1)
    valid, obs = np.asarray(played.valid), np.asarray(played.obs)
    z = (obs - seen.moments.mean) / np.sqrt(np.asarray(seen.moments.var))
    p, q = (probabilities(x[valid][:, :2] @ OLD) for x in (z, obs))
    found = estimate.mean_kl(played, plain)
    assert found.value == pytest.approx((p * np.log(p / q)).sum(axis=1).mean(), rel=1e-4)
    assert estimate.mean_kl(played, other).value == pytest.approx(0.0, abs=1e-7)


def test_policies_far_apart_are_no_certainty(before):
    """Weights that a float does not hold, or that are all nearly 0 in this sample."""
    same = estimate.weight_variance(before, agent(OLD))
    assert np.isfinite(same.trajectory_error).all()
    for logits in (1e3 * NEW, OLD + np.array([[0.0, 1e4], [0.0, 1e4]]), -3e3 * OLD):
        with np.errstate(all="raise", under="ignore", over="ignore"):
            size = estimate.effective_sample_size(before, agent(logits))
            found = estimate.weight_variance(before, agent(logits))
        assert 0 < size.value <= 1
        assert not any(np.isnan(x).any() for x in found)
    # Weights 2000 e-folds down in all of 50 columns that never took the one action.
    never = (np.asarray(before.action) == 0) | ~np.asarray(before.valid)
    few = jax.tree.map(lambda x: x[:, never.all(axis=0)][:, :50], before)
    other = agent(OLD + np.array([[0.0, 2e3], [0.0, 2e3]]))
    missed = estimate.weight_variance(few, other)
    assert (missed.one_step[0], missed.one_step_error[0]) == (1.0, np.inf)
    assert (missed.trajectory_error == np.inf).all()
    assert estimate.effective_sample_size(few, other).standard_error == np.inf


def test_a_common_factor_of_the_weights_leaves_the_effective_size(before):
    w = estimate.compared(before, agent(NEW)).log_ratio
    exact = np.exp(w)[np.asarray(before.valid)]
    found = estimate.effective_sample_size(before, agent(NEW))
    assert found.value == pytest.approx(exact.sum() ** 2 / (exact.size * (exact**2).sum()))


def test_actions_that_mean_something_else_are_refused(before):
    other = agent(NEW)
    shifted = dataclasses.replace(other.spec, action_space=spaces.Discrete(2, start=1))
    stranger = sf.Agent(other.policy, NoNormalizer(), shifted)
    for function in (estimate.effective_sample_size, estimate.weight_variance, estimate.mean_kl):
        with pytest.raises(sf.UsageError, match="the same number is another action; accepted is"):
            function(before, stranger)
    box = dataclasses.replace(other.spec, action_space=spaces.Box(-1.0, 1.0, (2,)))
    wider = dataclasses.replace(other.spec, action_space=spaces.Box(-1.0, 2.0, (2,)))
    meanings = {
        acting(sf.Agent(other.policy, NoNormalizer(), shape))
        for shape in (box, wider, dataclasses.replace(box, action_map="clip"))
    }
    assert len(meanings) == 3
    # A discrete action goes through no map.
    clipped = dataclasses.replace(other.spec, action_map="clip")
    assert acting(sf.Agent(other.policy, NoNormalizer(), clipped)) == acting(other)


def test_estimate_and_interpolation_are_attributes_of_the_package():
    code = """
import sys, surefoot as sf
assert "jax" not in sys.modules
sf.theory.garnet(0, states=2, actions=2, branching=1, discount=0.9)
assert "jax" not in sys.modules
print(sf.theory.estimate.play.__name__, sf.theory.interpolation.interpolate.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "play interpolate\n"
    assert {"estimate", "interpolation"} < set(dir(sf.theory))
    with pytest.raises(AttributeError, match="no attribute 'estimates'"):
        _ = sf.theory.estimates


def test_mistakes_are_one_line(before, after):
    other = agent(NEW)
    wide = dataclasses.replace(other.spec, observation_space=spaces.Box(0.0, 1.0, (5,)))
    stranger = sf.Agent(other.policy, NoNormalizer(), wide)
    torn = jax.tree.map(lambda x: x[1:], before)
    alone = jax.tree.map(lambda x: x[:, :1], before)
    mistakes = [
        (lambda: estimate.performance(before, discount=1.5), "discount is 1.5; accepted is a fin"),
        (lambda: estimate.performance(torn, discount=0.9), "columns are no whole episodes"),
        (lambda: estimate.performance(alone, discount=0.9), "one episode has no standard error"),
        (
            lambda: estimate.mean_kl(before, stranger),
            "accepted is one with the spaces of the agent",
        ),
        (lambda: estimate.gap(before, after, other, discount=1.0), "discount is 1; accepted for a"),
        (
            lambda: estimate.gap(before, after, other, discount=0.9, epsilon=-1.0),
            "epsilon is -1.0; accepted is a finite number >= 0",
        ),
        (lambda: estimate.play(other, CHAIN, horizon=0), "horizon is 0; accepted is an integer"),
        (lambda: estimate.play(other, CHAIN, episodes=0), "episodes is 0; accepted is an integer"),
        (
            lambda: estimate.play(other),
            "this agent knows no environment: pass --env ID or MODULE:NAME, or env=",
        ),
    ]
    for attempt, message in mistakes:
        with pytest.raises(sf.UsageError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)
