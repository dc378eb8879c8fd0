"""The beta distribution against quadrature, scipy, and itself in double precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from surefoot.core.distributions import Beta
from surefoot.core.distributions.log_gamma import log_gamma_divergence, trigamma_excess
from surefoot.core.networks import BetaHead

KEY = jax.random.key(0)
#: (α, β) of all sizes, level and lopsided.
SHAPES = np.asarray(
    [(1, 1), (1, 4), (1.3, 1.1), (2, 5), (30, 7), (300, 300), (1e3, 1), (1e4, 3), (1e4, 9e3)]
)


def beta(alpha, other, dtype=float):
    """One row a pair, of one dimension."""
    columns = (np.asarray(x, dtype).reshape(-1, 1) for x in (alpha, other))
    return Beta(*map(jnp.asarray, columns))


@jax.jit
def closed_forms(dist, other, action):
    return dist.log_prob(action), dist.entropy(), dist.kl(other), other.kl(dist), dist.mode()


def test_the_density_is_of_the_raw_action_and_entropy_and_kl_are_its_integrals(x64):
    dist = beta([1.3, 2.0, 5.5], [1.1, 4.0, 2.5])
    other = beta([1.0, 3.0, 4.0], [2.2, 3.0, 6.0])

    @jax.jit
    def densities(action):
        columns = jnp.broadcast_to(action, (3, 1))
        return dist.log_prob(columns), other.log_prob(columns)

    def integral(f, row):
        def integrand(u):
            p, q = (float(x[row]) for x in densities(u))
            return f(p, q) * np.exp(p)

        return integrate.quad(integrand, -1, 1, epsabs=1e-11, limit=200)[0]

    _, entropy, kl, reverse, _ = closed_forms(dist, other, jnp.zeros((3, 1)))
    for row in range(3):
        np.testing.assert_allclose(integral(lambda p, q: 1.0, row), 1.0, rtol=1e-9)
        np.testing.assert_allclose(integral(lambda p, q: -p, row), entropy[row], atol=1e-8)
        np.testing.assert_allclose(integral(lambda p, q: p - q, row), kl[row], rtol=1e-7)
    assert np.abs(np.asarray(kl) - reverse).min() > 0.01


@functools.partial(jax.jit, static_argnums=0)
def metric_columns(inverse, dist):
    """[B, 2, 2]."""
    found = []
    for unit in ((1.0, 0.0), (0.0, 1.0)):
        tangent = Beta(*(jnp.full_like(dist.alpha, x) for x in unit))
        product = (dist.metric_inverse if inverse else dist.metric)(tangent)
        found.append(jnp.concatenate([product.alpha, product.beta], axis=-1))
    return jnp.stack(found, axis=-1)


@jax.jit
def hessian(dist):
    """[B, 2, 2]: of KL(here‖there) with respect to there, at equality."""

    def one(alpha, beta):
        here = Beta(alpha, beta)
        return jax.hessian(lambda x: here.kl(Beta(x[:1], x[1:])))(jnp.concatenate([alpha, beta]))

    return jax.vmap(one)(dist.alpha, dist.beta)


def test_the_metric_is_made_of_trigammas_and_is_the_hessian_of_the_kl(x64):
    alpha, other = SHAPES.T
    dist = beta(alpha, other)
    a, b, both = (special.polygamma(1, x) for x in (alpha, other, alpha + other))
    expected = np.stack([np.stack([a - both, -both], -1), np.stack([-both, b - both], -1)], -1)
    columns = np.asarray(metric_columns(False, dist))
    scale = np.abs(expected).max((1, 2), keepdims=True)
    np.testing.assert_allclose(columns / scale, expected / scale, atol=1e-13)
    np.testing.assert_allclose(np.asarray(hessian(dist)) / scale, expected / scale, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_metric_and_inverse_keep_their_digits_however_narrow_the_density(dtype, x64):
    """By naive differences of trigammas, single precision has none left of the determinant."""
    shapes = np.asarray(SHAPES, dtype)
    dist, exact = beta(*shapes.T, dtype), beta(*shapes.T)
    tolerance = 3e-6 if dtype == np.float32 else 1e-12
    for inverse in (False, True):
        found = np.asarray(metric_columns(inverse, dist), float)
        expected = np.asarray(metric_columns(inverse, exact))
        scale = np.abs(expected).max((1, 2), keepdims=True)
        np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)
    product = np.asarray(metric_columns(False, exact)) @ np.asarray(metric_columns(True, exact))
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(2), product.shape), atol=1e-9)


def test_the_kl_of_a_small_step_keeps_its_digits_in_single_precision():
    """½ δᵀMδ, where values of ln Γ of hundreds cancel."""
    shapes = np.asarray(SHAPES[2:6], np.float32)
    dist = beta(*shapes.T, np.float32)
    for ends in (shapes * np.float32([1.02, 1]), shapes * np.float32([0.99, 1.02])):
        other = beta(*ends.T, np.float32)
        kl = closed_forms(dist, other, jnp.zeros((4, 1)))[2]
        (a, b), (c, d) = np.float64(shapes).T, np.float64(ends).T
        exact = special.betaln(c, d) - special.betaln(a, b) + (a - c) * special.psi(a)
        exact += (b - d) * special.psi(b) + (c + d - a - b) * special.psi(a + b)
        assert (exact < 0.2).all()
        np.testing.assert_allclose(kl, exact, rtol=2e-3, atol=1e-8)


@jax.jit
def numbers_and_gradients(dist, other, action):
    def numbers(dist):
        found = dist.log_prob(action), dist.entropy(), dist.kl(other), other.kl(dist)
        return sum(map(jnp.sum, found)), found

    gradient, found = jax.grad(numbers, has_aux=True)(dist)
    rest = dist.metric(other), dist.metric_inverse(other), dist.mode(), dist.diagnostics()
    return gradient, found, rest


def test_extreme_parameters_are_finite_in_single_precision_with_their_gradients():
    grid = np.asarray([0.0, 1.0, 1.5, 60.0, 1e4, 1e8])
    alpha, other = (x.ravel() for x in np.meshgrid(grid, grid))
    dist = beta(alpha, other, np.float32)
    for shift in range(len(alpha)):
        there = beta(np.roll(alpha, shift), np.roll(other, shift), np.float32)
        action = np.full((len(alpha), 1), shift % 3 - 1, np.float32)
        for leaf in jax.tree.leaves(numbers_and_gradients(dist, there, action)):
            assert np.isfinite(leaf).all()


def test_a_head_reaches_any_output_without_an_infinite_number():
    @jax.jit
    def gradient(output, action):
        def total(output):
            dist = BetaHead(1)(output)
            return jnp.sum(dist.log_prob(action) + dist.entropy())

        return jax.value_and_grad(total)(output)

    rows = np.asarray([(x, y) for x in (-60, 0, 60, 1e4) for y in (-60, 0, 60)], np.float32)
    for leaf in gradient(rows, np.full((12, 1), 0.9, np.float32)):
        assert np.isfinite(leaf).all()


def test_a_fresh_head_is_a_wide_hump_in_the_middle():
    dist = BetaHead(3)(jnp.zeros((1, 6)))
    assert BetaHead(3).size == 6
    np.testing.assert_allclose(dist.alpha, np.full((1, 3), 1 + np.log(2)), rtol=1e-6)
    np.testing.assert_array_equal(dist.alpha, dist.beta)
    np.testing.assert_array_equal(dist.mode(), 0.0)
    np.testing.assert_allclose(dist.diagnostics()["std"], 0.4775, atol=5e-5)
    first, second = np.arange(1.0, 4.0), np.arange(4.0, 7.0)
    apart = BetaHead(3)(jnp.asarray([[*first, *second]]))
    np.testing.assert_allclose(apart.alpha[0], 1 + np.log1p(np.exp(first)), rtol=1e-6)
    np.testing.assert_allclose(apart.beta[0], 1 + np.log1p(np.exp(second)), rtol=1e-6)


def test_the_mode_is_where_the_density_is_highest_and_the_middle_of_a_uniform(x64):
    dist = beta([1.3, 4.0, 9.0, 1.0], [1.1, 1.5, 9.0, 1.0])
    mode = np.asarray(closed_forms(dist, dist, jnp.zeros((4, 1)))[4])
    x = (mode[:, 0] + 1) / 2
    expected = np.asarray([0.3 / 0.4, 3 / 3.5, 0.5, 0.5])
    np.testing.assert_allclose(x, expected, rtol=1e-12)
    here = closed_forms(dist, dist, mode)[0]
    for step in (-1e-3, 1e-3):
        assert (np.asarray(closed_forms(dist, dist, mode + step)[0] - here)[:3] < 0).all()


#: Two ordinary dimensions; and three whose samples lie near an end, with one at all orders.
SAMPLED = np.asarray([[1.0, 40.0, 1e4, 1.0, 0.01], [1.4, 2.0, 1e6, 1.0, 0.01]])
OTHERS = np.asarray([[1.0, 9.0, 1.0, 1e4, 0.01], [3.0, 5.0, 1.0, 1e6, 0.01]])
DRAWS = 10_000


@pytest.fixture(scope="module")
def samples():
    dist = Beta(*(jnp.asarray(x, jnp.float32) for x in (SAMPLED, OTHERS)))
    repeated = jax.tree.map(lambda x: jnp.broadcast_to(x, (DRAWS, *x.shape)), dist)
    noise = repeated.noise(KEY)
    return dist, np.asarray(noise), np.asarray(jax.jit(Beta.draw)(repeated, noise))


def test_samples_are_beta_distributed_and_independent(samples):
    dist, _, found = samples
    found = found[..., :2].astype(float)
    cdf = stats.beta.cdf((found + 1) / 2, SAMPLED[:, :2], OTHERS[:, :2]).reshape(DRAWS, 4)
    for column in cdf.T:
        # Kolmogorov's bound, at one in a thousand.
        assert stats.kstest(column, "uniform").statistic < 1.95 / np.sqrt(DRAWS)
    assert np.abs(np.corrcoef(cdf.T) - np.eye(4)).max() < 4 / np.sqrt(DRAWS)
    assert np.abs(np.corrcoef(cdf[:-1].T, cdf[1:].T)[:4, 4:]).max() < 4 / np.sqrt(DRAWS)
    std = np.asarray(dist.diagnostics()["std"])[:, :2]
    np.testing.assert_allclose(found.std(0), std, rtol=0.03)


def test_no_sample_lies_at_an_end_of_the_range(samples):
    dist, _, found = samples
    assert np.abs(found).max() < 1.0
    assert (np.abs(found[..., 2:]) > 0.999999).any((0, 1)).all()
    ends = np.asarray([[found[..., i].min(), found[..., i].max()] for i in range(5)]).T
    for end in np.float32(ends):
        rows = jnp.broadcast_to(end, (2, 5))
        assert np.isfinite(closed_forms(dist, dist, rows)[0]).all()


def test_noise_is_a_key_for_each_row_and_the_same_row_draws_the_same_elsewhere(samples):
    dist, noise, found = samples
    assert (noise.shape, noise.dtype) == ((DRAWS, 2, 2), np.uint32)
    assert len(np.unique(noise.reshape(-1, 2), axis=0)) == 2 * DRAWS
    alone = jax.jit(jax.vmap(Beta.draw))(dist, noise[7])
    np.testing.assert_array_equal(alone, found[7])


def test_the_divergence_and_the_curvature_of_ln_gamma_agree_with_scipy(x64):
    x = np.asarray([1e-3, 0.1, 0.7, 1.0, 2.5, 8.0, 40.0, 1e3])
    np.testing.assert_allclose(
        jax.jit(trigamma_excess)(x), special.polygamma(1, x) - 1 / x, rtol=1e-9
    )
    for factor in (0.01, 0.5, 0.9, 1.0, 1.1, 2.0, 30.0):
        y = x * factor
        expected = special.gammaln(y) - special.gammaln(x) - (y - x) * special.psi(x)
        found = jax.jit(log_gamma_divergence)(y, x)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
        assert (np.asarray(found) >= 0).all()
