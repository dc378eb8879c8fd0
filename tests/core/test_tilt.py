"""Weighted likelihood: duals by root finding, weights by hand, and what a step towards them is."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize, special

from support.problems import KEY, make_batch, make_policy, vector
from surefoot.core.geometry import Optax
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Score
from surefoot.core.step_size import Fixed
from surefoot.core.updates import Epochs, Exponential, Positive, RelativeEntropy, Step, Tilt

ROWS = 60


@eqx.filter_jit
def weights(rule, advantage, weight):
    return rule(advantage, weight)


def rows(seed, scale=1.0):
    """(advantages, how much rows count)."""
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=ROWS), (rng.random(ROWS) < 0.7).astype(float)


def divergence(w):
    """KL of weights of any sum from equal ones, over those given."""
    p = w / w.sum()
    return np.sum(special.rel_entr(p, 1 / len(p)))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("max_kl", [1e-6, 0.01, 0.5, 2.0])
def test_the_weights_have_the_relative_entropy_that_is_asked_for(max_kl, scale, x64):
    advantage, weight = rows(1, scale)
    w, temperature = weights(RelativeEntropy(max_kl), advantage, weight)
    counts = weight > 0
    np.testing.assert_allclose(divergence(np.asarray(w)[counts]), max_kl, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(w)[~counts], 0.0)
    np.testing.assert_allclose(np.mean(np.asarray(w)[counts]), 1.0, rtol=1e-12)

    def dual(log_eta):
        eta, x = np.exp(log_eta), advantage[counts]
        return eta * max_kl + eta * (special.logsumexp(x / eta) - np.log(len(x)))

    u = np.log(float(temperature))
    assert dual(u) <= min(dual(u - 1e-3), dual(u + 1e-3))
    found = optimize.minimize_scalar(dual, bracket=(u - 1, u + 1), tol=1e-12)
    np.testing.assert_allclose(temperature, np.exp(found.x), rtol=1e-4)


def test_more_than_the_best_rows_have_is_given_to_them_alone(x64):
    advantage = np.array([0.0, 3.0, -1.0, 3.0, 2.0])
    w, _ = weights(RelativeEntropy(np.log(5 / 2) + 1e-9), advantage, np.ones(5))
    np.testing.assert_allclose(w, [0, 2.5, 0, 2.5, 0], atol=1e-12)
    w, _ = weights(RelativeEntropy(0.3), np.full(5, 7.0), np.ones(5))
    np.testing.assert_array_equal(w, 1.0)


def test_weights_know_neither_the_zero_nor_the_unit_of_advantages(x64):
    advantage, weight = rows(2)
    for rule in (RelativeEntropy(0.2), RelativeEntropy(0.2, top=0.5), Positive()):
        w, temperature = weights(rule, advantage, weight)
        moved, same = weights(rule, advantage + 5, weight)
        np.testing.assert_allclose(moved, w, rtol=1e-9)
        np.testing.assert_allclose(same, temperature, rtol=1e-9)
        scaled, hotter = weights(rule, 1e3 * advantage, weight)
        np.testing.assert_allclose(scaled, w, rtol=1e-9)
        np.testing.assert_allclose(hotter, 1e3 * temperature, rtol=1e-9)


@pytest.mark.parametrize("top", [0.25, 0.5])
def test_of_the_rows_that_count_the_best_have_weight_and_the_kl_is_among_them(top, x64):
    advantage, weight = rows(3)
    w, _ = weights(RelativeEntropy(0.1, top=top), advantage, weight)
    chosen = np.asarray(w) > 0
    there = np.flatnonzero(weight)
    ranked = there[np.argsort(-advantage[there])]
    assert {*np.flatnonzero(chosen)} == {*ranked[: int(top * len(there))]}
    np.testing.assert_allclose(divergence(np.asarray(w)[chosen]), 0.1, rtol=1e-6)


def test_exponential_weights_are_cut_and_positive_ones_begin_at_the_worst(x64):
    advantage, weight = rows(4)
    counts = weight > 0
    expected = np.minimum(np.exp(advantage / 0.5), 3.0)
    w, temperature = weights(Exponential(0.5, most=3.0), advantage, weight)
    assert (expected[counts] == 3).any()
    np.testing.assert_allclose(w[counts], (expected / expected[counts].mean())[counts], rtol=1e-12)
    assert float(temperature) == 0.5
    risen = advantage - advantage[counts].min()
    w, temperature = weights(Positive(), advantage, weight)
    np.testing.assert_allclose(w[counts], (risen / risen[counts].mean())[counts], rtol=1e-12)
    assert float(temperature) == 0


def test_where_nothing_counts_nothing_has_weight(x64):
    advantage, _ = rows(5)
    for rule in (RelativeEntropy(0.2, top=0.5), Exponential(), Positive()):
        w, _ = weights(rule, advantage, np.zeros(ROWS))
        np.testing.assert_array_equal(w, 0.0)


def test_all_minibatches_share_the_weights_of_the_whole_batch(x64):
    """A step of rate zero in every minibatch measures what each was given."""
    policy = make_policy("categorical")
    batch = make_batch(policy)
    still = Epochs(Step(Score(), Optax(optax.sgd(1.0)), Fixed(0.0)), epochs=1, minibatch_size=4)
    rule = RelativeEntropy(0.3)
    tilt = Tilt(still, rule)
    _, _, info = eqx.filter_jit(tilt)(KEY, policy, tilt.init(policy), batch)
    w, temperature = weights(rule, batch.advantage, batch.weight)
    likely = np.asarray(policy(batch.obs).log_prob(batch.action))
    by_hand = np.average(likely * np.asarray(w), weights=np.asarray(batch.weight))
    np.testing.assert_allclose(info.objective_before, by_hand, rtol=1e-12)
    np.testing.assert_allclose(info.diagnostics["temperature"], temperature, rtol=1e-12)
    np.testing.assert_allclose(info.diagnostics["tilt_kl"], 0.3, rtol=1e-6)


def test_a_hot_tilt_is_a_policy_gradient_over_the_temperature(x64):
    """At θ_old ∇ Σ w log π → (1/η) × the gradient with centered advantages, to O(1/η²)."""
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    share = np.asarray(batch.weight)
    centered = np.asarray(batch.advantage) - np.average(batch.advantage, weights=share)

    def gradient(advantage):
        given = batch._replace(advantage=jnp.asarray(advantage))
        return vector(eqx.filter_jit(lambda p, b: LocalModel(Score(), p, b).grad)(policy, given))

    expected, even = gradient(centered), gradient(np.ones(len(share)))
    errors = []
    for temperature in (1e3, 1e4):
        w, _ = weights(Exponential(temperature, most=np.inf), batch.advantage, batch.weight)
        errors.append(np.linalg.norm(temperature * (gradient(w) - even) - expected))
    assert errors[0] < 1e-2 * np.linalg.norm(expected)
    np.testing.assert_allclose(errors[1] / errors[0], 0.1, rtol=0.1)


def test_fitted_to_every_action_of_a_table_it_is_the_tilted_policy(x64):
    """With all (s, a) as rows, weighted by d(s) π(a|s), the optimum of Σ w log π′ has in each state
    π′ ∝ π exp(A/η): tilts of one multiplier for all states."""
    rng = np.random.default_rng(6)
    d, policy = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3), size=4)
    advantage = rng.normal(size=(4, 3))
    advantage -= (policy * advantage).sum(axis=1, keepdims=True)
    weight = d[:, None] * policy
    w, temperature = weights(RelativeEntropy(0.2), advantage.reshape(-1), weight.reshape(-1))
    best = (weight * np.asarray(w).reshape(4, 3)) / (weight * np.asarray(w).reshape(4, 3)).sum(
        axis=1, keepdims=True
    )
    tilted = policy * np.exp(advantage / float(temperature))
    np.testing.assert_allclose(best, tilted / tilted.sum(axis=1, keepdims=True), rtol=1e-9)


def test_single_precision_meets_the_bound():
    for seed in range(20):
        advantage, weight = (x.astype(np.float32) for x in rows(seed))
        for max_kl in (1e-3, 0.1, 1.0):
            w, _ = weights(RelativeEntropy(max_kl), advantage, weight)
            kl = divergence(np.asarray(w, float)[weight > 0])
            np.testing.assert_allclose(kl, max_kl, rtol=2e-3, atol=1e-6)
