"""The product of distributions, part by part."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from support.problems import drawn
from surefoot.core.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    DiagGaussian,
    Product,
    TanhGaussian,
)
from surefoot.core.networks import BetaHead, CategoricalHead, GaussianHead, ProductHead

KEY = jax.random.key(0)


def parts(seed, rows=4):
    rng = np.random.default_rng(seed)

    def normal(size):
        return jnp.asarray(rng.normal(size=(rows, size)), jnp.float32)

    return (
        Categorical(normal(3)),
        DiagGaussian(normal(2), normal(2)),
        Product((Bernoulli(normal(2)), TanhGaussian(DiagGaussian(normal(1), normal(1))))),
        Beta(1 + jnp.exp(normal(1)), 1 + jnp.exp(normal(1))),
    )


@jax.jit
def numbers(dist, other, action):
    named = dist.entropy(), dist.kl(other), dist.log_prob(action)
    return named, (dist.metric(other), dist.metric_inverse(other)), dist.mode(), dist.diagnostics()


def test_numbers_are_sums_and_metrics_and_actions_are_the_parts():
    one, two = parts(0), parts(1)
    action = drawn(Product(two), np.random.default_rng(2))
    shapes = jax.eval_shape(Product(two).sample, KEY)
    assert jax.tree.structure(shapes) == jax.tree.structure(action)
    assert [x.shape for x in jax.tree.leaves(shapes)] == [x.shape for x in jax.tree.leaves(action)]
    scalars, metrics, mode, told = numbers(Product(one), Product(two), action)
    each = [numbers(p, q, a) for p, q, a in zip(one, two, action, strict=True)]
    for i, scalar in enumerate(scalars):
        np.testing.assert_allclose(scalar, sum(x[0][i] for x in each), rtol=1e-5, atol=1e-6)
    for i, metric in enumerate(metrics):
        for found, alone in zip(metric.parts, each, strict=True):
            for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(alone[1][i]), strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-5)
    for found, alone in zip(mode, each, strict=True):
        for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(alone[2]), strict=True):
            np.testing.assert_array_equal(x, y)
    # One number an action dimension, in the order of the parts, under one name.
    assert set(told) == {"std"}
    expected = [alone[3]["std"] for alone in each if alone[3]]
    np.testing.assert_allclose(told["std"], np.concatenate(expected, axis=-1), rtol=1e-6)
    assert told["std"].shape == (4, 2 + 1 + 1)


def test_the_inner_product_is_the_sum_of_the_parts():
    one, two = parts(0), parts(1)
    expected = sum(np.asarray(p.inner(q)) for p, q in zip(one, two, strict=True))
    np.testing.assert_allclose(Product(one).inner(Product(two)), expected, rtol=1e-5)


def test_equal_parts_are_sampled_independently():
    draws = 10_000
    zero = jnp.zeros((draws, 1))
    equal = DiagGaussian(zero, zero)
    first, second = jax.jit(Product.sample)(Product((equal, equal)), KEY)
    correlation = np.corrcoef(first[:, 0], second[:, 0])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(draws)
    assert stats.kstest(np.asarray(second)[:, 0], "norm").statistic < 1.95 / np.sqrt(draws)


def test_a_head_gives_each_part_its_own_outputs():
    head = ProductHead((CategoricalHead(3), BetaHead(1), ProductHead((GaussianHead(2),))))
    assert head.size == 3 + 2 + 2
    output = jnp.arange(14.0).reshape(2, 7)
    dist = head(output)
    np.testing.assert_array_equal(dist.parts[0].logits, output[:, :3])
    np.testing.assert_allclose(dist.parts[1].alpha[:, 0], 1 + np.logaddexp(0, output[:, 3]))
    np.testing.assert_array_equal(dist.parts[2].parts[0].mean, output[:, 5:])
