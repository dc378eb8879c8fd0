"""Advantages against sums written episode by episode."""

import jax
import numpy as np
import pytest

from support.oracles import episodes, finished_by_hand, gae_by_hand
from support.problems import stream
from surefoot.core.data.advantages import gae, standardize
from surefoot.core.data.segments import finished
from surefoot.methods.learners.diagnostics import explained_variance

compiled_gae = jax.jit(gae)
compiled_standardize = jax.jit(standardize)
compiled_explained_variance = jax.jit(explained_variance)


@pytest.mark.parametrize("seed", range(5))
def test_gae_is_the_discounted_sum_of_residuals_of_each_episode(seed, x64):
    rows = stream(seed)
    terminated, truncated, valid = rows[3:]
    assert (terminated & truncated & valid).any()
    assert (truncated & ~terminated & valid).any()
    assert not valid.all()
    for gae_lambda in (0.0, 0.7, 1.0):
        # Floating arrays of one type, so that all calls share a compilation.
        result = compiled_gae(*rows, discount=np.float64(0.9), gae_lambda=np.float64(gae_lambda))
        np.testing.assert_allclose(result, gae_by_hand(*rows, 0.9, gae_lambda), rtol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_what_an_earlier_policy_did_next_counts_as_far_as_it_is_likely_now(seed, x64):
    rows, trace = stream(seed), np.random.default_rng(seed).uniform(size=stream(seed)[0].shape)
    for gae_lambda in (0.0, 0.7, 1.0):
        factors = {"discount": np.float64(0.9), "gae_lambda": np.float64(gae_lambda)}
        result = compiled_gae(*rows, **factors, trace=trace)
        by_hand = gae_by_hand(*rows, 0.9, gae_lambda, trace)
        np.testing.assert_allclose(result, by_hand, rtol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_traces_of_one_change_no_bit(seed):
    rows = [x.astype(np.float32) if x.dtype == float else x for x in stream(seed)]
    factors = {"discount": np.float32(0.9), "gae_lambda": np.float32(0.7)}
    plain = compiled_gae(*rows, **factors)
    np.testing.assert_array_equal(
        compiled_gae(*rows, **factors, trace=np.ones_like(rows[0])), plain
    )


def sequences(length=3):
    """Every sequence of two actions, one a column [T, 2^T], as bits."""
    numbers = np.arange(2**length)
    return np.stack([numbers >> t & 1 for t in range(length)])


def test_unclipped_traces_make_the_mean_under_the_acting_policy_that_of_the_present_one(x64):
    """By enumeration, for either first action; clipped ones have another mean, of less variance."""
    rng = np.random.default_rng(0)
    actions = sequences()
    steps, columns = actions.shape
    # Deterministic transitions: the state is what was done so far.
    states = [actions[:t].T @ (1 << np.arange(t)) for t in range(steps)]
    acted, now = rng.uniform(0.1, 0.9, (2, steps, 4))
    value, reward = rng.normal(size=(2, steps + 1, 4)), rng.normal(size=(steps, 4, 2))

    def probability(policy, t):
        first = policy[t, states[t] % 4]
        return np.where(actions[t] == 0, first, 1 - first)

    ratio = np.stack([probability(now, t) / probability(acted, t) for t in range(steps)])
    earned = np.stack([reward[t, states[t] % 4, actions[t]] for t in range(steps)])
    values = np.stack([value[0, t, states[t] % 4] for t in range(steps)])
    after = np.concatenate([values[1:], np.zeros((1, columns))])
    no, yes = np.zeros((steps, columns), bool), np.ones((steps, columns), bool)
    ends = no.copy()
    ends[-1] = True

    def estimate(trace):
        factors = {"discount": np.float64(0.9), "gae_lambda": np.float64(1.0)}
        rows = earned, values, after, ends, no, yes
        return np.asarray(compiled_gae(*rows, **factors, trace=trace))[0]

    def mean(x, policy, first):
        weight = np.prod([probability(policy, t) for t in range(1, steps)], axis=0)
        return np.sum((weight * x)[actions[0] == first])

    for first in (0, 1):
        on_policy = mean(estimate(np.ones_like(ratio)), now, first)
        np.testing.assert_allclose(mean(estimate(ratio), acted, first), on_policy, rtol=1e-12)
        clipped = mean(estimate(np.minimum(ratio, 1)), acted, first)
        assert abs(clipped - on_policy) > 1e-3


def test_termination_wins_over_truncation(x64):
    one, yes, no = np.ones((1, 1)), np.ones((1, 1), bool), np.zeros((1, 1), bool)

    def advantage(terminated, truncated):
        flags = (terminated, truncated, yes)
        return compiled_gae(one, 3 * one, 7 * one, *flags, discount=0.5, gae_lambda=0.9).item()

    assert advantage(yes, yes) == advantage(yes, no) == 1 - 3
    assert advantage(no, yes) == advantage(no, no) == 1 + 0.5 * 7 - 3


def test_without_a_critic_lambda_one_gives_the_discounted_return_to_go(x64):
    reward, value, _, terminated, truncated, valid = stream(6)
    zero = np.zeros_like(value)
    result = compiled_gae(
        reward, zero, zero, terminated, truncated, valid, discount=0.9, gae_lambda=1.0
    )
    for episode in episodes(terminated, truncated, valid):
        earned = [reward[row] for row in episode]
        for start, row in enumerate(episode):
            expected = sum(0.9**k * r for k, r in enumerate(earned[start:]))
            np.testing.assert_allclose(result[row], expected, rtol=1e-10)


def test_with_a_perfect_critic_the_advantages_vanish(x64):
    # One reward a step for ever: V = 1/(1 − γ), also where the time limit cuts.
    one, no = np.ones((24, 5)), np.zeros((24, 5), bool)
    cut = no.copy()
    cut[5], cut[11, 2] = True, True
    result = compiled_gae(one, 10 * one, 10 * one, no, cut, ~no, discount=0.9, gae_lambda=0.95)
    np.testing.assert_allclose(result, 0.0, atol=1e-12)


def test_finished_marks_the_rows_whose_episode_ends_in_the_batch():
    terminated, truncated, valid = stream(7)[3:]
    done = (terminated | truncated) & valid
    result = np.asarray(jax.jit(finished)(done, valid))
    expected = finished_by_hand(terminated, truncated, valid)
    np.testing.assert_array_equal(result[valid], expected[valid])
    assert 0 < expected.sum() < valid.sum()


def test_standardize_uses_the_mean_and_deviation_of_the_weighted_rows_only(x64):
    rng = np.random.default_rng(0)
    x, weight = 5 + 3 * rng.normal(size=40), (rng.random(40) < 0.6).astype(float)
    x[weight == 0] = 1e5
    result = compiled_standardize(x, weight)
    kept = x[weight > 0]
    expected = np.where(weight > 0, (x - kept.mean()) / kept.std(), 0.0)
    np.testing.assert_allclose(result, expected, rtol=1e-10)


@pytest.mark.parametrize("constant", [0.0, 0.1, -12.3, 1e4])
def test_standardize_maps_constant_advantages_to_zero_and_not_to_amplified_rounding(constant):
    weight = np.asarray(np.arange(2048) % 3 != 0, np.float32)
    x = np.full(2048, constant, np.float32)
    np.testing.assert_array_equal(compiled_standardize(x, weight), 0.0)


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e6, 1e12])
def test_standardized_advantages_have_no_unit(unit):
    x = np.random.default_rng(0).normal(2.0, 1.0, size=50).astype(np.float32)
    result = np.asarray(compiled_standardize(np.float32(unit) * x, np.ones(50, np.float32)))
    np.testing.assert_allclose(result.std(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(result, compiled_standardize(x, np.ones(50, np.float32)), atol=1e-5)


def test_standardize_without_weights_is_zero():
    result = compiled_standardize(np.asarray([1.0, 2.0, 3.0]), np.zeros(3))
    np.testing.assert_array_equal(result, 0.0)


def test_explained_variance_is_one_minus_the_share_of_variance_left(x64):
    rng = np.random.default_rng(0)
    target, weight = rng.normal(size=30), (np.arange(30) % 3 > 0).astype(float)
    value = target + 0.5 * rng.normal(size=30) + 2.0
    value[weight == 0] = 1e5

    def explained(value):
        return compiled_explained_variance(target, value, weight)

    kept = weight > 0
    expected = 1 - np.var((target - value)[kept]) / np.var(target[kept])
    np.testing.assert_allclose(explained(value), expected, rtol=1e-10)
    np.testing.assert_allclose(explained(target), 1.0)
    np.testing.assert_allclose(explained(np.full(30, 4.0)), 0.0, atol=1e-12)
    assert float(compiled_explained_variance(np.ones(30), value, weight)) == 0.0


@pytest.mark.parametrize("value", [0.1, -12.3])
def test_constant_advantages_of_a_million_rows_standardize_to_zero(value):
    x = np.full(1_000_000, value, np.float32)
    assert not np.asarray(compiled_standardize(x, np.ones_like(x))).any()


def test_a_value_that_is_nan_after_a_termination_reaches_no_advantage():
    row, end = np.ones((1, 1)), np.ones((1, 1), bool)
    advantage = compiled_gae(row, row, row * np.nan, end, ~end, end, discount=0.9, gae_lambda=0.95)
    assert float(advantage[0, 0]) == 0
