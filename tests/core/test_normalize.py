"""Running statistics against NumPy over everything seen so far."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.data.count import Count
from surefoot.core.data.normalization import (
    Moments,
    NoNormalizer,
    ObservationNormalizer,
    merge,
    observation_normalizer,
)
from surefoot.core.data.reward_scaling import NoScaler, reward_scaler, scaler_of

OBS, T, N = 3, 7, 4
observe = eqx.filter_jit(lambda normalizer, obs, valid: normalizer.update(obs, valid))
earn = eqx.filter_jit(lambda scaler, reward, done, valid: scaler.update(reward, done, valid, 0.9))
use = eqx.filter_jit(lambda normalizer_or_scaler, x: normalizer_or_scaler(x))


def leaves(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def test_merged_moments_are_those_of_all_valid_rows_so_far(x64):
    rng = np.random.default_rng(0)
    normalizer, seen = observation_normalizer(OBS), []
    for update in range(5):
        # Each batch from elsewhere, so that the means between batches matter.
        obs = 10 * rng.normal(size=OBS) + (1 + update) * rng.normal(size=(T, N, OBS))
        valid = rng.random((T, N)) < 0.7
        obs[~valid] = np.nan
        normalizer = observe(normalizer, obs, valid)
        seen.append(obs[valid])
        rows = np.concatenate(seen)
        assert int(normalizer.moments.seen) == len(rows)
        np.testing.assert_allclose(normalizer.moments.mean, rows.mean(0), rtol=1e-10)
        np.testing.assert_allclose(normalizer.moments.var, rows.var(0), rtol=1e-10)

    obs = rng.normal(size=(2, OBS))
    expected = (obs - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(use(normalizer, obs), expected, rtol=1e-10)


def test_merged_moments_survive_a_large_mean_in_single_precision():
    rng = np.random.default_rng(1)
    normalizer, seen = observation_normalizer(1), []
    for _ in range(5):
        obs = (1000 + rng.normal(size=(T, N, 1))).astype(np.float32)
        seen.append(obs)
        normalizer = observe(normalizer, obs, np.ones((T, N), bool))
    rows = np.stack(seen).astype(np.float64)
    np.testing.assert_allclose(normalizer.moments.var, [rows.var()], rtol=1e-3)


def test_an_update_without_a_valid_row_changes_nothing():
    rng = np.random.default_rng(2)
    obs = rng.normal(size=(T, N, OBS))
    nothing, everything = np.zeros((T, N), bool), np.ones((T, N), bool)
    fresh = observation_normalizer(OBS)
    for normalizer in (fresh, observe(fresh, obs, everything)):
        assert leaves(observe(normalizer, obs * np.nan, nothing)) == leaves(normalizer)
    fresh = reward_scaler(N)
    reward = obs[..., 0]
    for scaler in (fresh, earn(fresh, reward, nothing, everything)):
        after = earn(scaler, reward * np.nan, everything, nothing)
        assert leaves(after.moments) == leaves(scaler.moments)
        # What was earned before belongs to an episode that ended or was lost.
        np.testing.assert_array_equal(after.running_return, 0.0)


def test_normalized_observations_are_clipped():
    rows = np.asarray([[-1.0], [1.0]], np.float32)[:, None]
    seen = observe(observation_normalizer(1), rows, np.ones((2, 1), bool))
    far = np.asarray([[-1e6], [1e6], [0.5]], np.float32)
    np.testing.assert_array_equal(use(seen, far), [[-10.0], [10.0], [0.5]])
    narrow = ObservationNormalizer(seen.moments, clip=3.0)
    np.testing.assert_array_equal(use(narrow, far), [[-3.0], [3.0], [0.5]])


def test_observations_that_have_not_varied_are_zero():
    """Before anything was seen, and entries that are constant, but for rounding."""
    obs = np.random.default_rng(4).normal(size=(T, N, OBS)).astype(np.float32)
    fresh = observation_normalizer(OBS)
    np.testing.assert_array_equal(use(fresh, obs), 0.0)
    obs[..., 1], obs[..., 2] = 0.1, 1e4
    for _ in range(3):
        fresh = observe(fresh, obs, np.ones((T, N), bool))
    z = np.asarray(use(fresh, obs + np.float32(0.5)))
    np.testing.assert_array_equal(z[..., 1:], 0.0)
    assert z[..., 0].all()


def test_the_first_batch_is_seen_through_its_own_statistics():
    obs, valid = np.random.default_rng(5).normal(3.0, 2.0, (T, N, OBS)), np.ones((T, N), bool)
    fresh, no = observation_normalizer(OBS), NoNormalizer()
    first = observe(fresh, obs.astype(np.float32), valid)
    second = observe(first, obs.astype(np.float32) + 1, valid)
    choose = eqx.filter_jit(lambda normalizer, updated: normalizer.readied(updated))
    assert leaves(choose(fresh, first)) == leaves(first)
    assert leaves(choose(first, second)) == leaves(first)
    assert isinstance(choose(no, no), NoNormalizer)


UNITS = st.floats(-12, 12).map(lambda x: np.float32(10.0**x))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(UNITS, st.floats(-100, 100), st.sampled_from([-1, 1]))
def test_normalized_observations_have_neither_unit_nor_origin(unit, offset, sign):
    """`offset` in standard deviations: of what lies further from 0, float32 keeps fewer digits."""
    rng = np.random.default_rng(6)
    batches = [rng.normal(size=(T, N, OBS)).astype(np.float32) for _ in range(3)]
    valid = np.ones((T, N), bool)

    def seen_by_the_networks(factor, shift):
        normalizer = observation_normalizer(OBS)
        for obs in batches:
            normalizer = observe(normalizer, factor * (obs + np.float32(shift)), valid)
        return use(normalizer, factor * (batches[0] + np.float32(shift)))

    expected = seen_by_the_networks(np.float32(1), 0.0)
    found = seen_by_the_networks(sign * unit, offset)
    np.testing.assert_allclose(found, sign * np.asarray(expected), atol=2e-4)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(UNITS)
def test_scaled_rewards_have_no_unit(unit):
    rng = np.random.default_rng(7)
    rewards = [rng.normal(1.0, 0.5, (T, N)).astype(np.float32) for _ in range(3)]
    done, valid = rng.random((T, N)) < 0.2, np.ones((T, N), bool)

    def learned(unit):
        scaler = reward_scaler(N)
        for reward in rewards:
            scaler = earn(scaler, unit * reward, done, valid)
        return use(scaler, unit * rewards[-1])

    np.testing.assert_allclose(learned(unit), learned(np.float32(1)), rtol=1e-5)


@pytest.mark.parametrize("seen", [2**24, 2**31 - 5, 2**31, 2**53])
def test_statistics_go_on_after_any_number_of_rows(seen):
    """Rows are counted one by one, and the mean follows what comes, by less a batch than float32
    resolves."""
    start = Moments(Count.of(seen), *(np.asarray([x], np.float32) for x in (1.0, 1.0, 0.0, 0.0)))
    rows, batches = np.full((64, 1), 2.0, np.float32), 1000

    @jax.jit
    def after(moments, rows):
        def batch(moments, _):
            return merge(moments, rows, jnp.ones(64, bool)), None

        return jax.lax.scan(batch, moments, length=batches)[0]

    moments = after(start, rows)
    total = 64 * batches
    assert int(moments.seen) == seen + total
    moved = np.float64(moments.mean[0]) - 1 + np.float64(moments.mean_rest[0])
    np.testing.assert_allclose(moved, total / (seen + total), rtol=1e-3)


def test_reward_scaler_follows_a_loop_with_resets_invalid_rows_and_a_carried_return(x64):
    rng = np.random.default_rng(3)
    scaler, running, seen = reward_scaler(N), np.zeros(N), []
    for _ in range(4):
        reward = rng.normal(size=(T, N)) + 0.5
        done, valid = rng.random((T, N)) < 0.2, rng.random((T, N)) < 0.8
        reward[~valid] = np.nan
        for t in range(T):
            for n in range(N):
                if not valid[t, n]:
                    running[n] = 0.0
                    continue
                running[n] = 0.9 * running[n] + reward[t, n]
                seen.append(running[n])
                if done[t, n]:
                    running[n] = 0.0
        scaler = earn(scaler, reward, done, valid)
        np.testing.assert_allclose(scaler.running_return, running, rtol=1e-10, atol=1e-12)
        assert int(scaler.moments.seen) == len(seen)
        np.testing.assert_allclose(scaler.moments.var, np.var(seen), rtol=1e-10)
    rewards = np.asarray([1.0, -2.0])
    np.testing.assert_allclose(use(scaler, rewards), rewards / np.std(seen), rtol=1e-10)


@pytest.mark.parametrize("reward", [0.0, 1.0, -100.0, 1e-9])
def test_returns_that_never_vary_are_divided_by_their_size(reward):
    # An episode a row: the discounted return is the same constant in every one.
    scaler, every, rewards = reward_scaler(N), np.ones((T, N), bool), np.asarray([2.0, -3.0])
    np.testing.assert_array_equal(use(scaler, rewards), rewards)
    for _ in range(3):
        scaler = earn(scaler, np.full((T, N), reward), every, every)
    np.testing.assert_allclose(use(scaler, rewards), rewards / (abs(reward) or 1.0), rtol=1e-6)


def test_no_normalizer_and_no_scaler_do_nothing():
    obs, valid = np.full((T, N, OBS), 1e3), np.ones((T, N), bool)
    normalizer = observe(NoNormalizer(), obs, valid)
    np.testing.assert_array_equal(use(normalizer, obs), obs)
    reward = obs[..., 0]
    scaler = earn(NoScaler(), reward, valid, valid)
    np.testing.assert_array_equal(use(scaler, reward), reward)


@pytest.mark.parametrize("scale", [False, True])
def test_clipped_rewards_are_their_signs_scaled_or_not(scale):
    rng = np.random.default_rng(5)
    reward = rng.choice([-50.0, -0.1, 0.0, 3.0, 700.0], (T, N)).astype(np.float32)
    done, valid = rng.random((T, N)) < 0.2, rng.random((T, N)) < 0.8
    sign = np.where(reward > 0, 1.0, np.where(reward < 0, -1.0, 0.0)).astype(np.float32)
    clipper = earn(scaler_of(N, scale=scale, clip=True), reward, done, valid)
    plain = earn(scaler_of(N, scale=scale, clip=False), sign, done, valid)
    assert leaves(clipper) == leaves(plain)
    np.testing.assert_array_equal(use(clipper, reward), use(plain, sign))
    assert np.isnan(use(clipper, np.float32(np.nan)))
