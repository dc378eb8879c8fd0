"""CMA-ES against pycma on the same samples, on functions with known optima, and under neutral
selection."""

import warnings

import cma
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from support.problems import KEY
from surefoot.common.errors import UsageError
from surefoot.methods.learners.covariance_adaptation import (
    Constants,
    CovarianceAdaptation,
    Search,
    flat,
)

N, POPULATION = 6, 12


@eqx.filter_jit
def adapted(learner, mean, search, returns):
    return learner.adapted(mean, search, returns)


def fresh(n, population, sigma, covariance="full"):
    """(learner, mean, search) that has drawn nobody yet."""
    learner = CovarianceAdaptation(population, initial_std=sigma, covariance=covariance)
    eye = jnp.eye(n) if covariance == "full" else jnp.ones(n)
    zeros, nobody = jnp.zeros(n), jnp.zeros((population, n))
    search = Search(
        jnp.asarray(sigma, float), eye, zeros, zeros, jnp.asarray(0, jnp.int32), nobody, nobody
    )
    return learner, zeros, search


def ellipsoid(x, condition=1e6):
    n = x.shape[-1]
    return np.sum(condition ** (np.arange(n) / (n - 1)) * x**2, axis=-1)


def test_a_generation_is_that_of_pycma_on_the_same_samples(x64):
    options = {"popsize": POPULATION, "CMA_active": False, "verbose": -9, "seed": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = cma.CMAEvolutionStrategy(np.full(N, 0.5), 0.3, options)
    learner, _, search = fresh(N, POPULATION, 0.3)
    mean = jnp.full(N, 0.5)
    # Its first covariance is not exactly I.
    search = search._replace(covariance=jnp.asarray(peer.sm.C))
    for _ in range(40):
        samples = np.asarray(peer.ask())
        steps = (samples - np.asarray(mean)) / float(search.sigma)
        values, vectors = np.linalg.eigh(np.asarray(search.covariance))
        noise = steps @ vectors / np.sqrt(values) @ vectors.T
        search = search._replace(noise=jnp.asarray(noise), steps=jnp.asarray(steps))
        cost = ellipsoid(samples, 100)
        peer.tell(list(samples), list(cost))
        mean, search = adapted(learner, mean, search, jnp.asarray(-cost))
        np.testing.assert_allclose(mean, peer.mean, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(search.sigma, peer.sigma, rtol=1e-7)
        np.testing.assert_allclose(search.covariance, peer.sm.C, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(search.path_c, peer.pc, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(search.path_sigma, peer.adapt_sigma.ps, rtol=1e-6, atol=1e-9)


def test_a_diagonal_generation_is_that_of_loops_over_parameters(x64):
    """Ros & Hansen 2008, a parameter and a member at a time."""
    rng = np.random.default_rng(0)
    learner, mean, search = fresh(N, POPULATION, 0.3, "diagonal")
    c = Constants.of(N, POPULATION, diagonal=True)
    m, sigma, variance = np.zeros(N), 0.3, np.ones(N)
    path_sigma, path_c = np.zeros(N), np.zeros(N)
    for g in range(1, 31):
        z = rng.normal(size=(POPULATION, N))
        y = np.sqrt(variance) * z
        search = search._replace(noise=jnp.asarray(z), steps=jnp.asarray(y))
        cost = ellipsoid(m + sigma * y - 1, 100)
        mean, search = adapted(learner, mean, search, jnp.asarray(-cost))

        best = sorted(range(POPULATION), key=lambda k: cost[k])[: POPULATION // 2]
        norm = 0.0
        for j in range(N):
            z_w = sum(w * z[k, j] for w, k in zip(c.weights, best, strict=True))
            gain = (c.c_sigma * (2 - c.c_sigma) * c.mu_eff) ** 0.5
            path_sigma[j] = (1 - c.c_sigma) * path_sigma[j] + gain * z_w
            norm += path_sigma[j] ** 2
        going = norm / (1 - (1 - c.c_sigma) ** (2 * g)) < N * (2 + 4 / (N + 1))
        for j in range(N):
            y_w = sum(w * y[k, j] for w, k in zip(c.weights, best, strict=True))
            gain = (c.c_c * (2 - c.c_c) * c.mu_eff) ** 0.5
            path_c[j] = (1 - c.c_c) * path_c[j] + going * gain * y_w
            ranks = sum(w * y[k, j] ** 2 for w, k in zip(c.weights, best, strict=True))
            lost = c.c_1 * (1 - going) * c.c_c * (2 - c.c_c)
            variance[j] *= 1 - c.c_1 - c.c_mu + lost
            variance[j] += c.c_1 * path_c[j] ** 2 + c.c_mu * ranks
            m[j] += sigma * y_w
        sigma *= np.exp(c.c_sigma / c.d_sigma * (norm**0.5 / c.chi - 1))
        np.testing.assert_allclose(mean, m, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(search.sigma, sigma, rtol=1e-9)
        np.testing.assert_allclose(search.covariance, variance, rtol=1e-9)


def minimized(function, n, evaluations, *, covariance="full", sigma=0.5, rotation=None, seed=0):
    """(best mean's value after so many evaluations, the last search)."""
    population = 4 + int(3 * np.log(n))
    learner, _, search = fresh(n, population, sigma, covariance)
    mean = jnp.full(n, 1.0) if rotation is None else jnp.asarray(rotation @ np.ones(n))

    @eqx.filter_jit
    def generation(mean, search, key):
        search = learner.sampled(key, search)
        return learner.adapted(mean, search, -function(mean[None] + search.sigma * search.steps))

    for i in range(evaluations // population):
        mean, search = generation(mean, search, jax.random.fold_in(jax.random.key(seed), i))
    return float(function(mean[None])[0]), search


def test_the_sphere_is_found(x64):
    value, _ = minimized(lambda x: jnp.sum(x**2, axis=-1), 10, 2000)
    assert value < 1e-10


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_an_ellipsoid_of_condition_a_million_is_found(covariance, x64):
    scales = 1e6 ** (jnp.arange(10) / 9)
    value, _ = minimized(
        lambda x: jnp.sum(scales[None] * x**2, axis=-1), 10, 6000, covariance=covariance
    )
    assert value < 1e-6


def test_on_a_slope_the_steps_grow(x64):
    _, search = minimized(lambda x: x[..., 0], 10, 1000, sigma=0.1)
    assert float(search.sigma) > 10


def test_a_rotation_of_the_coordinates_rotates_the_search(x64):
    """Of the full covariance: the same samples, rotated, have the same ranks."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(N, N)))[0]
    learner, mean, search = fresh(N, POPULATION, 0.3)
    other_mean, other = mean, search
    for _ in range(10):
        noise = rng.normal(size=(POPULATION, N))
        values, vectors = np.linalg.eigh(np.asarray(search.covariance))
        steps = noise @ vectors * np.sqrt(values) @ vectors.T
        cost = ellipsoid(np.asarray(mean) + float(search.sigma) * steps, 50)
        search = search._replace(noise=jnp.asarray(noise), steps=jnp.asarray(steps))
        other = other._replace(
            noise=jnp.asarray(noise @ rotation.T), steps=jnp.asarray(steps @ rotation.T)
        )
        mean, search = adapted(learner, mean, search, jnp.asarray(-cost))
        # A monotone transformation of the returns changes nothing either.
        other_mean, other = adapted(learner, other_mean, other, jnp.asarray(-np.log(cost)))
    np.testing.assert_allclose(other_mean, rotation @ mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.sigma, search.sigma, rtol=1e-9)
    turned = rotation @ search.covariance @ rotation.T
    np.testing.assert_allclose(other.covariance, turned, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_where_ranks_are_random_nothing_drifts(covariance, x64):
    """The sharpest test of the constants: E log σ stays, and C stays near I."""
    n, population, runs, generations = 10, 10, 3000, 10
    learner, mean, search = fresh(n, population, 1.0, covariance)

    @jax.jit
    @jax.vmap
    def run(key):
        def generation(carry, key):
            mean, search = carry
            sample, rank = jax.random.split(key)
            search = learner.sampled(sample, search)
            returns = jax.random.normal(rank, (population,))
            return learner.adapted(mean, search, returns), None

        # Paths that have only begun are too short: from where they stay as long as they are.
        paths = jax.random.normal(jax.random.fold_in(key, 1), (2, n))
        begun = search._replace(path_sigma=paths[0], path_c=paths[1], number=jnp.int32(1000))
        (_, last), _ = jax.lax.scan(generation, (mean, begun), jax.random.split(key, generations))
        return jnp.log(last.sigma), last.covariance

    log_sigma, c = run(jax.random.split(KEY, runs))
    assert abs(np.mean(log_sigma)) < 4 * np.std(log_sigma) / np.sqrt(runs)
    away = np.mean(c, axis=0) - (np.eye(n) if c.ndim == 3 else np.ones(n))
    assert (np.abs(away) < 4.5 * np.std(c, axis=0) / np.sqrt(runs)).all()


def test_a_return_that_is_none_ranks_last(x64):
    learner, mean, search = fresh(N, POPULATION, 0.3)
    noise = jax.random.normal(KEY, (POPULATION, N))
    search = search._replace(noise=noise, steps=noise)
    returns = np.arange(POPULATION, dtype=float)
    bad, worst = returns.copy(), returns.copy()
    bad[3], worst[3] = np.nan, -np.inf
    for a, b in zip(
        jax.tree.leaves(adapted(learner, mean, search, jnp.asarray(bad))),
        jax.tree.leaves(adapted(learner, mean, search, jnp.asarray(worst))),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_the_constants_of_the_diagonal_are_larger():
    for n in (10, 100, 5000):
        full, diagonal = (Constants.of(n, 20, diagonal=d) for d in (False, True))
        assert diagonal.c_1 + diagonal.c_mu > full.c_1 + full.c_mu
        assert full.weights.sum() == pytest.approx(1)
        assert (np.diff(full.weights) < 0).all()


def test_a_linear_policy_learns_to_balance():
    agent = sf.train(
        "cma_es",
        "CartPole-v1",
        backend="device",
        num_envs=16,
        horizon=500,
        hidden=(),
        steps=16 * 500 * 12,
        covariance="full",
        progress=False,
    )
    assert len(flat(agent.policy)[0]) == 4 * 2 + 2
    assert agent.evaluate(10).mean > 400


def test_a_population_of_three_is_one_line():
    with pytest.raises(UsageError, match="population is 3; accepted is an integer >= 4"):
        CovarianceAdaptation(3)
    with pytest.raises(UsageError, match="num_envs is 3; accepted is an integer >= 4"):
        sf.train("cma_es", "CartPole-v1", num_envs=3)
