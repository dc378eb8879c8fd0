"""The distributions against scipy, enumeration and quadrature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from support.oracles import (
    entropy_by_hand,
    flat,
    kl_by_hand,
    log_prob_by_hand,
    metric_by_hand,
    support,
)
from support.problems import KINDS, drawn, make_distribution, sample
from surefoot.core.distributions import (
    Bernoulli,
    Categorical,
    Deterministic,
    DiagGaussian,
    MultiCategorical,
)

KEY = jax.random.key(0)


@jax.jit
def closed_forms(p, q):
    """(p's entropy and mode, KL(p‖q), KL(q‖p), KL(p‖p))."""
    return p.entropy(), p.mode(), p.kl(q), q.kl(p), p.kl(p)


@functools.partial(jax.jit, static_argnames="draws")
def sample_many(dist, draws):
    """[draws, …]: independent samples of the same distributions."""
    repeated = jax.tree.map(lambda x: jnp.broadcast_to(x, (draws, *x.shape)), dist)
    return repeated.sample(KEY)


def by_point(f, actions, mass):
    """[S, B]: what f gives for each of the points' actions."""
    return np.stack([f(jax.tree.map(lambda x, s=s: x[s], actions)) for s in range(len(mass))])


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_agrees_with_scipy_for_every_action(kind, x64):
    dist = make_distribution(kind, 0)
    actions, mass = support(dist)
    log_prob = jax.jit(jax.vmap(dist.log_prob))(actions)
    expected = by_point(lambda action: log_prob_by_hand(dist, action), actions, mass)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_entropy_agrees_with_scipy(kind, x64):
    dist = make_distribution(kind, 1)
    # By a quadrature of its own for a squashed Gaussian.
    tolerance = 3e-7 if kind == "tanh_gaussian" else 1e-12
    expected = entropy_by_hand(dist)
    np.testing.assert_allclose(closed_forms(dist, dist)[0], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_kl_is_the_expectation_under_self_of_the_log_ratio(kind, x64):
    p, q = make_distribution(kind, 2), make_distribution(kind, 3)
    # The Gaussian's log-ratio is quadratic, so that the quadrature is exact for it too.
    actions, mass = support(p)
    ratios = by_point(lambda a: log_prob_by_hand(p, a) - log_prob_by_hand(q, a), actions, mass)
    expected = np.sum(mass * ratios, axis=0)
    kl, reverse = map(np.asarray, closed_forms(p, q)[2:4])
    np.testing.assert_allclose(kl, expected, rtol=1e-10)
    assert np.all(np.abs(kl / reverse - 1) > 1e-3), "the two directions must differ here"


@pytest.mark.parametrize("kind", KINDS)
def test_kl_agrees_with_the_oracle_that_other_tests_use(kind, x64):
    p, q = make_distribution(kind, 4), make_distribution(kind, 5)
    _, _, kl, _, zero = closed_forms(p, q)
    np.testing.assert_allclose(kl, kl_by_hand(p, q), rtol=1e-10)
    np.testing.assert_allclose(zero, 0.0, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_metric_is_the_expected_outer_product_of_the_score(kind, x64):
    dist = make_distribution(kind, 6)
    actions, mass = support(dist)
    size = sum(leaf.shape[-1] for leaf in jax.tree.leaves(dist))

    @jax.jit
    def scores_and_columns(actions):
        def score(action):
            return flat(jax.grad(lambda d: d.log_prob(action).sum())(dist))

        def column(one_hot):
            ends = np.cumsum([leaf.shape[-1] for leaf in jax.tree.leaves(dist)])[:-1]
            rows = jnp.broadcast_to(one_hot, (len(mass[0]), size))
            tangent = jax.tree.unflatten(jax.tree.structure(dist), jnp.split(rows, ends, axis=-1))
            return flat(dist.metric(tangent))

        return jax.vmap(score)(actions), jax.vmap(column, out_axes=-1)(jnp.eye(size))

    scores, columns = scores_and_columns(actions)
    expected = np.einsum("sb,sbi,sbj->bij", mass, scores, scores)
    np.testing.assert_allclose(columns, expected, atol=1e-12)
    np.testing.assert_allclose(metric_by_hand(dist), expected, atol=1e-12)


def assert_same_numbers(a, b, rtol):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_metric_inverse_is_the_pseudo_inverse_of_the_metric(kind, x64):
    dist, tangent = make_distribution(kind, 20), make_distribution(kind, 21)
    inverses = np.linalg.pinv(metric_by_hand(dist), rcond=1e-10, hermitian=True)

    @jax.jit
    def products(dist, tangent):
        cotangent = dist.metric(tangent)
        back = dist.metric_inverse(cotangent)
        return cotangent, back, dist.metric(back), dist.metric_inverse(dist.metric(back))

    cotangent, back, again, twice = products(dist, tangent)
    assert_same_numbers(again, cotangent, 1e-10)
    assert_same_numbers(twice, back, 1e-10)
    expected = np.einsum("bij,bj->bi", inverses, np.asarray(flat(cotangent)))
    np.testing.assert_allclose(flat(back), expected, rtol=1e-10, atol=1e-12)
    wrapped = jax.jit(lambda d, v: d.metric_inverse(v))(
        Deterministic(dist), Deterministic(cotangent)
    )
    assert_same_numbers(wrapped.of, back, 1e-12)


@pytest.mark.parametrize("kind", ["categorical", "multicategorical", "bernoulli", "masked"])
def test_sampled_frequencies_are_the_probabilities(kind):
    rows, draws = 3, 40_000
    dist = make_distribution(kind, 7, (rows,))
    sampled = np.asarray(sample_many(dist, draws))
    actions, mass = support(dist)
    for action, p in zip(actions, mass, strict=True):
        hit = sampled == action
        hit = hit if hit.ndim == 2 else hit.all(-1)
        standard_error = np.sqrt(p * (1 - p) / draws)
        assert np.all(np.abs(hit.mean(0) - p) <= 4 * standard_error)


def test_equal_parts_of_a_multicategorical_are_sampled_independently():
    draws = 10_000
    equal = Categorical(jnp.asarray(np.zeros((draws, 2), np.float32)))
    sampled = np.asarray(sample(MultiCategorical((equal, equal)), KEY))
    same = np.mean(sampled[:, 0] == sampled[:, 1])
    assert abs(same - 0.5) <= 4 * np.sqrt(0.25 / draws)


def test_gaussian_samples_have_the_moments_and_quantiles_of_independent_gaussians():
    rows, draws = 3, 40_000
    dist = make_distribution("gaussian", 8, (rows,))
    sampled = np.asarray(sample_many(dist, draws), np.float64)
    z = (sampled - np.asarray(dist.mean)) / np.exp(np.asarray(dist.log_std))
    error = 1 / np.sqrt(draws)
    assert np.all(np.abs(z.mean(0)) <= 4 * error)
    assert np.all(np.abs(z.std(0) - 1) <= 4 * error / np.sqrt(2))
    assert np.all(np.abs((z[:, :, 0] * z[:, :, 1]).mean(0)) <= 4 * error)
    assert np.all(np.abs((z[:, :-1] * z[:, 1:]).mean(0)) <= 4 * error), "rows are independent"
    for quantile in (0.05, 0.3, 0.7, 0.95):
        below = (z < stats.norm.ppf(quantile)).mean(0)
        assert np.all(np.abs(below - quantile) <= 4 * error * np.sqrt(quantile * (1 - quantile)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "beta"])
def test_mode_is_the_most_probable_action(kind, x64):
    dist = make_distribution(kind, 9)
    actions, mass = support(dist)
    mode = closed_forms(dist, dist)[1]
    if kind == "gaussian":
        # The middle quadrature point carries the most mass and is the mean.
        np.testing.assert_array_equal(mode, dist.mean)
    best = np.argmax(mass, axis=0)
    expected = jax.tree.map(lambda x: x[best, np.arange(len(best))], actions)
    assert_same_numbers(mode, expected, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_leading_dimensions_are_kept(kind):
    deep, other = make_distribution(kind, 10, (2, 3)), make_distribution(kind, 11, (2, 3))
    action = drawn(deep, np.random.default_rng(12))
    sampled, mode = jax.eval_shape(deep.sample, KEY), jax.eval_shape(deep.mode)
    for a, b, c in zip(*map(jax.tree.leaves, (action, sampled, mode)), strict=True):
        assert a.shape == b.shape == c.shape
        assert a.shape[:2] == (2, 3)
        assert (b.dtype, b.dtype) == (a.dtype, c.dtype)

    @jax.jit
    def numbers(dist, other, action):
        values = dist.log_prob(action), dist.entropy(), dist.kl(other)
        return *values, *jax.tree.leaves(dist.metric(other))

    def rows(tree):
        return jax.tree.map(lambda x: np.asarray(x).reshape(6, *x.shape[2:]), tree)

    kept, flattened = numbers(deep, other, action), numbers(*rows((deep, other, action)))
    for x, y in zip(kept, flattened, strict=True):
        assert x.shape[:2] == (2, 3)
        np.testing.assert_allclose(rows(x), y, rtol=1e-5)


@pytest.mark.parametrize(
    "sure",
    [
        Categorical(jnp.asarray([[1e3, 0.0, -1e3]])),
        MultiCategorical((Categorical(jnp.asarray([[1e3, -1e3]])),) * 2),
        Bernoulli(jnp.asarray([[1e3, -1e3]])),
    ],
    ids=["categorical", "multicategorical", "bernoulli"],
)
def test_a_nearly_deterministic_policy_has_finite_numbers_and_gradients(sure):
    def numbers(dist):
        return dist.entropy() + dist.kl(sure) + dist.log_prob(sure.mode())

    @jax.jit
    def value_gradient_and_natural_gradient(dist):
        value, grad = jax.value_and_grad(lambda d: numbers(d).sum())(dist)
        return value, grad, dist.metric_inverse(dist)

    value, *gradients = value_gradient_and_natural_gradient(sure)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_gaussian_kl_of_a_small_step_keeps_its_digits_in_single_precision():
    mean, step = np.float32(0.3), np.float32(1e-3)
    here, no, wider = (jnp.asarray(np.full((1, 1), x)) for x in (mean, np.float32(0.0), step))
    kl = closed_forms(DiagGaussian(here, no), DiagGaussian(here, wider))[2]
    exact = 0.5 * np.expm1(-2 * np.float64(step)) + np.float64(step)
    np.testing.assert_allclose(kl, exact, rtol=1e-3)


def test_sb3_contribs_kl_is_ours_over_the_dimensions_of_the_action(x64):
    """As docs/coming-from.md says: it averages over them, and its damping with it."""
    rng, dimensions = np.random.default_rng(0), 6
    (m, s), (n, t) = ((rng.normal(size=(5, dimensions)), rng.normal(size=dimensions)) for _ in "12")
    p, q = (
        DiagGaussian(jnp.asarray(mean), jnp.asarray(np.tile(log_std, (5, 1))))
        for mean, log_std in ((m, s), (n, t))
    )
    each = t - s + (np.exp(2 * s) + (m - n) ** 2) / (2 * np.exp(2 * t)) - 0.5
    np.testing.assert_allclose(closed_forms(p, q)[2].mean(), dimensions * each.mean(), rtol=1e-12)
    # (F/D + λ) d = g is (F + Dλ) d/D = g.
    root = rng.normal(size=(4, 4))
    fisher, gradient = root @ root.T, rng.normal(size=4)
    theirs = np.linalg.solve(fisher / dimensions + 0.1 * np.eye(4), gradient)
    ours = np.linalg.solve(fisher + 0.1 * dimensions * np.eye(4), gradient)
    np.testing.assert_allclose(theirs, dimensions * ours)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_drawn_ahead_for_many_steps_makes_the_samples_of_their_keys(kind):
    dist, steps = make_distribution(kind, 13), 3
    keys = jax.random.split(KEY, steps)
    template = jax.eval_shape(lambda: dist)

    @jax.jit
    def both(dist):
        noise = jax.vmap(template.noise)(keys)

        def step(number, _):
            now = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, number, 0, False), noise)
            return number + 1, (dist.draw(now), dist.sample(keys[number]))

        return jax.lax.scan(step, 0, length=steps)[1]

    ahead, sampled = both(dist)
    for x, y in zip(jax.tree.leaves(ahead), jax.tree.leaves(sampled), strict=True):
        np.testing.assert_array_equal(x, y)
        assert (np.asarray(x)[1:] != np.asarray(x)[:-1]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_zeros_are_finite_with_their_gradients(kind):
    """What a batch holds in rows that it does not count: there 0·NaN would be a NaN."""
    dist = make_distribution(kind, 14)
    zero, action = jax.tree.map(jnp.zeros_like, (dist, drawn(dist, np.random.default_rng(15))))

    @jax.jit
    def numbers(zero, dist):
        def total(zero, dist):
            log_prob = zero.log_prob(action) + dist.log_prob(action)
            return jnp.sum(log_prob + zero.entropy() + zero.kl(dist) + dist.kl(zero))

        return jax.value_and_grad(total, (0, 1))(zero, dist)

    for leaf in jax.tree.leaves(numbers(zero, dist)):
        assert np.isfinite(leaf).all()
