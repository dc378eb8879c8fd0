"""Objectives: their gradients at and away from θ_old, and their values by NumPy loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_distributions import KINDS, log_prob_by_hand, make
from test_fisher import KEY, make_batch, make_policy, sample, unraveled, vector

from surefoot.distributions import Categorical, DiagGaussian
from surefoot.geometry import Euclidean
from surefoot.local import Local
from surefoot.objectives import Clipped, EntropyBonus, Likelihood, Score, Surrogate
from surefoot.step_size import Fixed
from surefoot.types import Batch
from surefoot.update import Step

OBJECTIVES = {
    "score": Score,
    "surrogate": Surrogate,
    "clipped": Clipped,
    "likelihood": Likelihood,
    "entropy bonus": lambda: EntropyBonus(Surrogate(), 0.3),
}


def rows(old, action, advantage):
    """A batch of distributions' worth, for objectives alone."""
    n = len(advantage)
    return Batch(
        obs=jnp.zeros((n, 1)),
        action=jnp.asarray(action),
        old=old,
        advantage=jnp.asarray(advantage),
        weight=jnp.ones(n),
        progress=jnp.zeros(()),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_score_surrogate_and_clipped_have_the_same_gradient_at_the_old_policy(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)

    @jax.jit
    def gradients(theta):
        at = unraveled(policy, theta)
        return [Local(o, at, batch).grad for o in (Score(), Surrogate(), Clipped())]

    score, surrogate, clipped = map(vector, gradients(vector(policy)))
    assert np.linalg.norm(score) > 0.01
    np.testing.assert_allclose(surrogate, score, rtol=0, atol=1e-10)
    np.testing.assert_allclose(clipped, score, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_away_from_the_old_policy_are_those_of_finite_differences(kind, x64):
    batch = make_batch(make_policy(kind))
    policy = make_policy(kind, 1, near=make_policy(kind))
    theta = vector(policy)
    epsilon, directions = 1e-5, np.random.default_rng(0).normal(size=(6, theta.size))
    ends = np.stack([theta + s * epsilon * directions for s in (1, -1)]).reshape(-1, theta.size)
    objectives = [make_objective() for make_objective in OBJECTIVES.values()]

    @jax.jit
    def values_and_gradients(theta, ends):
        def values(t):
            dist = unraveled(policy, t)(batch.obs)
            # The batch mean by itself, not the one under test.
            return jnp.stack([o(dist, batch) @ batch.weight for o in objectives])

        gradients = [Local(o, unraveled(policy, theta), batch).grad for o in objectives]
        return jax.vmap(values)(ends) / jnp.sum(batch.weight), gradients

    values, gradients = values_and_gradients(theta, ends)
    plus, minus = np.split(np.asarray(values), 2)
    differences = (plus - minus) / (2 * epsilon)
    for name, gradient, difference in zip(OBJECTIVES, gradients, differences.T, strict=True):
        along = directions @ vector(gradient)
        np.testing.assert_allclose(along, difference, rtol=1e-6, atol=1e-8, err_msg=name)
        assert np.max(np.abs(along)) > 0.01, name


def clipped_case(ratios, advantages):
    """Two actions, the first one taken: probability 0.4 before and 0.4·ratio now."""
    old = np.full(len(ratios), 0.4)
    new = old * ratios

    def dist(p):
        return Categorical(jnp.asarray(np.log(np.stack([p, 1 - p], axis=-1))))

    return dist(new), rows(dist(old), np.zeros(len(ratios), int), advantages)


def test_clipped_takes_the_lower_of_the_two_on_every_side_and_for_every_sign(x64):
    clip, ratios, advantages = 0.2, [], []
    for r in (0.3, 0.79, 0.81, 1.0, 1.19, 1.21, 2.0):
        for a in (-2.0, 0.0, 1.5):
            ratios.append(r)
            advantages.append(a)
    dist, batch = clipped_case(np.asarray(ratios), np.asarray(advantages))
    expected, outside = [], []
    for r, a in zip(ratios, advantages, strict=True):
        bounded = r
        if r > 1 + clip:
            bounded = 1 + clip
        if r < 1 - clip:
            bounded = 1 - clip
        expected.append(r * a if r * a < bounded * a else bounded * a)
        outside.append(float(r < 1 - clip or r > 1 + clip))

    objective = Clipped(clip)
    np.testing.assert_allclose(objective(dist, batch), expected, rtol=1e-12)
    np.testing.assert_array_equal(objective.diagnostics(dist, batch)["clip_fraction"], outside)
    assert 0 < np.mean(outside) < 1


def test_clipped_has_no_gradient_exactly_where_leaving_the_interval_would_gain(x64):
    ratios = np.asarray([0.5, 0.5, 1.5, 1.5, 1.1, 0.9])
    advantages = np.asarray([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    dist, batch = clipped_case(ratios, advantages)
    gradient = jax.grad(lambda d: Clipped(0.2)(d, batch).sum())(dist).logits
    stopped = np.asarray([False, True, True, False, False, False])
    np.testing.assert_array_equal(np.all(gradient == 0, axis=-1), stopped)


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_ratio_and_log_probability_times_advantage_by_scipy(kind, x64):
    old, new = make(kind, 0), make(kind, 1)
    action = sample(old, KEY)
    advantage = np.random.default_rng(2).normal(size=5)
    batch = rows(old, action, advantage)
    log_new, log_old = log_prob_by_hand(new, action), log_prob_by_hand(old, action)
    score, surrogate, likelihood = jax.jit(
        lambda new: [o(new, batch) for o in (Score(), Surrogate(), Likelihood())]
    )(new)
    np.testing.assert_allclose(score, log_new * advantage, rtol=1e-10)
    np.testing.assert_allclose(surrogate, np.exp(log_new - log_old) * advantage, rtol=1e-10)
    np.testing.assert_allclose(likelihood, log_new, rtol=1e-10)


def test_entropy_bonus_adds_its_share_and_keeps_the_inner_diagnostics(x64):
    dist, batch = clipped_case(np.asarray([0.5, 1.1, 2.0]), np.asarray([1.0, -1.0, 2.0]))
    p = np.exp(np.asarray(dist.logits))
    entropy = -np.sum(p * np.log(p), axis=-1)
    bonus = EntropyBonus(Clipped(0.2), 0.7)
    inner = Clipped(0.2)
    np.testing.assert_allclose(bonus(dist, batch), inner(dist, batch) + 0.7 * entropy, rtol=1e-12)
    np.testing.assert_array_equal(
        bonus.diagnostics(dist, batch)["clip_fraction"],
        inner.diagnostics(dist, batch)["clip_fraction"],
    )


def test_likelihood_of_a_unit_gaussian_is_least_squares(x64):
    value, target = np.asarray([[0.5], [-1.0]]), np.asarray([[2.0], [-1.5]])
    old = DiagGaussian(jnp.asarray(value), jnp.zeros((2, 1)))
    batch = rows(old, target, np.zeros(2))
    gradient = jax.grad(lambda m: Likelihood()(DiagGaussian(m, old.log_std), batch).sum())
    np.testing.assert_allclose(gradient(old.mean), target - value, rtol=1e-12)


def test_a_plain_function_is_an_objective(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)

    def score(dist, batch):
        return dist.log_prob(batch.action) * batch.advantage

    for plain, named in (
        (Step(score, Euclidean(), Fixed(0.1)), Step(Score(), Euclidean(), Fixed(0.1))),
        (
            Step(EntropyBonus(score, 0.1), Euclidean(), Fixed(0.1)),
            Step(EntropyBonus(Score(), 0.1), Euclidean(), Fixed(0.1)),
        ),
    ):
        ours, theirs = (step(KEY, policy, None, batch)[0] for step in (plain, named))
        np.testing.assert_array_equal(vector(ours), vector(theirs))
