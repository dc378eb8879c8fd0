"""The squashed Gaussian against integrals over the action itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from surefoot.core.distributions import DiagGaussian, TanhGaussian
from surefoot.core.distributions.tanh_gaussian import mean_log_cosh
from surefoot.core.networks import GaussianHead, StateGaussianHead, TanhGaussianHead

MEANS = np.asarray([0.0, 0.3, -1.0, 2.5, 6.0])


def squashed(mean, log_std, dtype=float):
    """One row a pair, of one dimension."""
    pairs = np.broadcast_arrays(np.asarray(mean, dtype), np.asarray(log_std, dtype))
    return TanhGaussian(DiagGaussian(*(jnp.asarray(x.reshape(-1, 1).copy()) for x in pairs)))


@jax.jit
def entropy_and_slope(dist):
    return jax.value_and_grad(lambda d: jnp.sum(d.entropy()))(dist)[1], dist.entropy()


def log_cosh(u):
    return np.logaddexp(u, -u) - np.log(2)


@pytest.mark.parametrize("std", [0.01, 0.2, 0.7, 0.999, 1.001, 1.5, 4.0, 30.0])
def test_the_mean_of_ln_cosh_is_its_integral_to_a_ten_millionth(std, x64):
    z = np.linspace(-12, 12, 200_001)
    values = stats.norm.pdf(z) * log_cosh(MEANS[:, None] + std * z)
    expected = integrate.simpson(values, x=z)
    found = jax.jit(mean_log_cosh)(jnp.asarray(MEANS[:, None]), jnp.full((5, 1), std))
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-7)


def test_the_entropy_is_that_of_the_action(x64):
    """−∫ p ln p over the action's own density, with the Jacobian of artanh."""
    dist = squashed([0.0, 0.4, -1.0], [-1.0, -0.3, 0.2])
    _, entropy = entropy_and_slope(dist)
    for mean, log_std, found in zip(
        dist.gaussian.mean[:, 0], dist.gaussian.log_std[:, 0], entropy, strict=True
    ):
        normal = stats.norm(float(mean), float(np.exp(log_std)))

        def integrand(a, normal=normal):
            p = normal.pdf(np.arctanh(a)) / (1 - a**2)
            return -p * np.log(p) if p > 0 else 0.0

        expected = integrate.quad(integrand, -1, 1, epsabs=1e-10, limit=500)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    gaussian = dist.gaussian.entropy()
    assert (np.asarray(entropy) < np.asarray(gaussian) - 0.1).all()


def test_the_entropys_gradient_is_that_of_finite_differences_on_both_sides_of_one(x64):
    log_stds = np.asarray([-2.0, -0.3, -1e-3, 1e-3, 0.5, 2.0])
    mean, log_std = (x.ravel() for x in np.meshgrid(MEANS, log_stds))
    slope, _ = entropy_and_slope(squashed(mean, log_std))
    step = 1e-5
    for found, d_mean, d_log_std in ((slope.gaussian.mean, 1, 0), (slope.gaussian.log_std, 0, 1)):
        ends = [
            np.asarray(entropy_and_slope(squashed(mean + s * d_mean, log_std + s * d_log_std))[1])
            for s in (step, -step)
        ]
        difference = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(found[:, 0], difference, rtol=0, atol=1e-6)


def test_extreme_parameters_are_finite_in_single_precision_with_their_gradients():
    mean, log_std = np.meshgrid([0.0, -60.0, 1e3, 1e6], [-10.0, -3.0, 0.0, 3.0, 10.0])
    slope, entropy = entropy_and_slope(squashed(mean.ravel(), log_std.ravel(), np.float32))
    for leaf in jax.tree.leaves((slope, entropy)):
        assert np.isfinite(leaf).all()


def test_ratio_and_kl_are_those_of_the_actions_and_samples_are_not_squashed(x64):
    p, q = squashed([0.2, -0.5], [-0.4, 0.1]), squashed([0.0, -0.1], [-0.2, -0.3])
    u = np.asarray([[0.7], [-1.2]])
    jacobian = 2 * log_cosh(u[:, 0])
    normal = [
        stats.norm(np.asarray(d.gaussian.mean)[:, 0], np.exp(np.asarray(d.gaussian.log_std))[:, 0])
        for d in (p, q)
    ]
    of_action = [n.logpdf(u[:, 0]) + jacobian for n in normal]
    ratio = np.asarray(p.log_prob(jnp.asarray(u)) - q.log_prob(jnp.asarray(u)))
    np.testing.assert_allclose(ratio, of_action[0] - of_action[1], rtol=1e-12)
    np.testing.assert_array_equal(p.kl(q), p.gaussian.kl(q.gaussian))
    np.testing.assert_array_equal(p.mode(), p.gaussian.mean)
    key = jax.random.key(3)
    np.testing.assert_array_equal(p.sample(key), p.gaussian.sample(key))


@pytest.mark.parametrize(
    "inner",
    [GaussianHead(2, log_std=-0.7), StateGaussianHead(2, log_std=-0.7)],
    ids=["own", "state"],
)
def test_the_head_squashes_what_a_gaussian_head_reads(inner):
    head = TanhGaussianHead(inner)
    assert head.size == inner.size
    output = jnp.asarray(np.linspace(-1, 1, 3 * head.size, dtype=np.float32).reshape(3, -1))
    dist, plain = head(output), inner(output)
    assert isinstance(dist, TanhGaussian)
    np.testing.assert_array_equal(dist.gaussian.mean, plain.mean)
    np.testing.assert_array_equal(dist.gaussian.log_std, plain.log_std)
    assert len(jax.tree.leaves(head)) == len(jax.tree.leaves(inner))
