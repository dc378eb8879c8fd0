"""Running statistics against NumPy over everything seen so far."""

import equinox as eqx
import jax
import numpy as np
import pytest

from surefoot.core.data.normalization import (
    NoNormalizer,
    NoScaler,
    ObservationNormalizer,
    initial_moments,
    observation_normalizer,
    reward_scaler,
)

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
        assert float(normalizer.moments.seen) == len(rows)
        np.testing.assert_allclose(normalizer.moments.mean, rows.mean(0), rtol=1e-10)
        np.testing.assert_allclose(normalizer.moments.var, rows.var(0), rtol=1e-10)

    obs = rng.normal(size=(2, OBS))
    expected = (obs - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-8)
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


def test_normalized_observations_are_clipped_and_those_of_a_fresh_normalizer_unchanged():
    fresh = observation_normalizer(1)
    obs = np.asarray([[-3.0], [0.5], [9.9]])
    np.testing.assert_allclose(use(fresh, obs), obs, rtol=1e-6)
    far = np.asarray([[-1e6], [1e6], [0.0]])
    np.testing.assert_array_equal(use(fresh, far), [[-10.0], [10.0], [0.0]])
    narrow = ObservationNormalizer(initial_moments((1,)), clip=3.0)
    np.testing.assert_array_equal(use(narrow, far), [[-3.0], [3.0], [0.0]])


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
        assert float(scaler.moments.seen) == len(seen)
        np.testing.assert_allclose(scaler.moments.var, np.var(seen), rtol=1e-10)
    rewards = np.asarray([1.0, -2.0])
    np.testing.assert_allclose(use(scaler, rewards), rewards / np.std(seen), rtol=1e-10)


@pytest.mark.parametrize("reward", [0.0, 1.0, -100.0])
def test_returns_that_never_vary_leave_rewards_alone(reward):
    # An episode a row: the discounted return is the same constant in every one.
    scaler, every, rewards = reward_scaler(N), np.ones((T, N), bool), np.asarray([2.0, -3.0])
    np.testing.assert_array_equal(use(scaler, rewards), rewards)
    for _ in range(3):
        scaler = earn(scaler, np.full((T, N), reward), every, every)
    np.testing.assert_array_equal(use(scaler, rewards), rewards)


def test_no_normalizer_and_no_scaler_do_nothing():
    obs, valid = np.full((T, N, OBS), 1e3), np.ones((T, N), bool)
    normalizer = observe(NoNormalizer(), obs, valid)
    np.testing.assert_array_equal(use(normalizer, obs), obs)
    reward = obs[..., 0]
    scaler = earn(NoScaler(), reward, valid, valid)
    np.testing.assert_array_equal(use(scaler, reward), reward)
