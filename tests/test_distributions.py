"""The distributions against scipy, enumeration and quadrature.

`support`, `kl_by_hand` and `metric_by_hand` are the oracles of the other numeric tests too.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from surefoot.core.distributions import Bernoulli, Categorical, DiagGaussian, MultiCategorical

KINDS = ["categorical", "multicategorical", "bernoulli", "gaussian"]


def make(kind, seed, batch=(5,)):
    """A batch of distributions with parameters of order one."""
    rng = np.random.default_rng(seed)

    def normal(size):
        return jnp.asarray(rng.normal(size=(*batch, size)))

    if kind == "categorical":
        return Categorical(normal(4))
    if kind == "multicategorical":
        return MultiCategorical((Categorical(normal(3)), Categorical(normal(2))))
    if kind == "bernoulli":
        return Bernoulli(normal(3))
    return DiagGaussian(normal(2), 0.5 * normal(2))


def support(dist):
    """(actions [S, B, …], probabilities [S, B]) with which every expectation of the score's outer
    product is exact: all actions of a discrete distribution, and three Gauss–Hermite points a
    dimension of a Gaussian, whose squared scores have degree four."""
    if isinstance(dist, DiagGaussian):
        mean, std = np.asarray(dist.mean), np.exp(np.asarray(dist.log_std))
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        grid = list(itertools.product(range(3), repeat=mean.shape[-1]))
        actions = np.stack([mean + std * nodes[list(point)] for point in grid])
        mass = [np.prod(weights[list(point)] / np.sqrt(2 * np.pi)) for point in grid]
        return actions, np.broadcast_to(np.asarray(mass)[:, None], actions.shape[:2])
    if isinstance(dist, Categorical):
        p = special.softmax(np.asarray(dist.logits), axis=-1)
        actions = np.broadcast_to(np.arange(p.shape[-1])[:, None], p.T.shape)
        return actions, p.T
    if isinstance(dist, MultiCategorical):
        ps = [special.softmax(np.asarray(part.logits), axis=-1) for part in dist.parts]
    else:
        heads = special.expit(np.asarray(dist.logits))
        ps = [np.stack([1 - heads[:, i], heads[:, i]], axis=-1) for i in range(heads.shape[1])]
    points = list(itertools.product(*(range(p.shape[-1]) for p in ps)))
    mass = np.stack(
        [np.prod([p[:, i] for p, i in zip(ps, point, strict=True)], axis=0) for point in points]
    )
    actions = np.broadcast_to(np.asarray(points)[:, None], (*mass.shape, len(ps)))
    return actions, mass


def log_prob_by_hand(dist, action):
    """[B] log-probabilities from scipy, row by row."""
    action, dist = np.asarray(action), jax.tree.map(np.asarray, dist)
    rows = []
    for i in range(len(action)):
        if isinstance(dist, DiagGaussian):
            normal = stats.norm(dist.mean[i], np.exp(dist.log_std[i]))
            rows.append(normal.logpdf(action[i]).sum())
        elif isinstance(dist, Bernoulli):
            p = special.expit(dist.logits[i])
            rows.append(sum(np.log(p[j] if a else 1 - p[j]) for j, a in enumerate(action[i])))
        else:
            parts = dist.parts if isinstance(dist, MultiCategorical) else (dist,)
            chosen = action[i] if isinstance(dist, MultiCategorical) else [action[i]]
            log_ps = [special.log_softmax(part.logits[i]) for part in parts]
            rows.append(sum(log_p[a] for log_p, a in zip(log_ps, chosen, strict=True)))
    return np.asarray(rows)


def kl_by_hand(p, q):
    """[B] values of KL(p‖q): sums over all actions, or the textbook form for a Gaussian."""
    if isinstance(p, DiagGaussian):
        m1, s1 = np.asarray(p.mean), np.exp(np.asarray(p.log_std))
        m2, s2 = np.asarray(q.mean), np.exp(np.asarray(q.log_std))
        return (np.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5).sum(-1)
    return stats.entropy(support(p)[1], support(q)[1], axis=0)


def metric_by_hand(dist):
    """[B, φ, φ]: the textbook Fisher matrices of the distribution's own parameters."""

    def one(p):
        return np.diag(p) - np.outer(p, p)

    if isinstance(dist, DiagGaussian):
        precision = np.exp(-2 * np.asarray(dist.log_std))
        return np.stack([np.diag([*row, *(2 * np.ones_like(row))]) for row in precision])
    if isinstance(dist, Bernoulli):
        p = special.expit(np.asarray(dist.logits))
        return np.stack([np.diag(row * (1 - row)) for row in p])
    parts = dist.parts if isinstance(dist, MultiCategorical) else (dist,)
    ps = [special.softmax(np.asarray(part.logits), axis=-1) for part in parts]
    size, rows = sum(p.shape[-1] for p in ps), len(ps[0])
    metric, at = np.zeros((rows, size, size)), 0
    for p in ps:
        k = p.shape[-1]
        metric[:, at : at + k, at : at + k] = [one(row) for row in p]
        at += k
    return metric


def flat(dist):
    """[B, φ]: all parameters of each row."""
    return jnp.concatenate(jax.tree.leaves(dist), axis=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_agrees_with_scipy_for_every_action(kind, x64):
    dist = make(kind, 0)
    actions, _ = support(dist)
    log_prob = jax.jit(jax.vmap(dist.log_prob))(actions)
    expected = [log_prob_by_hand(dist, action) for action in actions]
    np.testing.assert_allclose(log_prob, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_entropy_agrees_with_scipy(kind, x64):
    dist = make(kind, 1)
    if kind == "gaussian":
        expected = stats.norm.entropy(scale=np.exp(np.asarray(dist.log_std))).sum(-1)
    else:
        expected = stats.entropy(support(dist)[1], axis=0)
    np.testing.assert_allclose(dist.entropy(), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_kl_is_the_expectation_under_self_of_the_log_ratio(kind, x64):
    p, q = make(kind, 2), make(kind, 3)
    # The Gaussian's log-ratio is quadratic, so that the quadrature is exact for it too.
    actions, mass = support(p)
    log_ratio = [log_prob_by_hand(p, a) - log_prob_by_hand(q, a) for a in actions]
    expected = np.sum(mass * np.stack(log_ratio), axis=0)
    kl, reverse = jax.jit(lambda p, q: (p.kl(q), q.kl(p)))(p, q)
    np.testing.assert_allclose(kl, expected, rtol=1e-10)
    assert np.all(np.abs(kl / reverse - 1) > 1e-3), "the two directions must differ here"


@pytest.mark.parametrize("kind", KINDS)
def test_kl_agrees_with_the_oracle_that_other_tests_use(kind, x64):
    p, q = make(kind, 4), make(kind, 5)
    np.testing.assert_allclose(p.kl(q), kl_by_hand(p, q), rtol=1e-10)
    np.testing.assert_allclose(p.kl(p), 0.0, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_metric_is_the_expected_outer_product_of_the_score(kind, x64):
    dist = make(kind, 6)
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


@pytest.mark.parametrize("kind", ["categorical", "multicategorical", "bernoulli"])
def test_sampled_frequencies_are_the_probabilities(kind):
    rows, draws = 3, 40_000
    dist = make(kind, 7, (rows,))
    repeated = jax.tree.map(lambda x: jnp.broadcast_to(x, (draws, *x.shape)), dist)
    sampled = np.asarray(repeated.sample(jax.random.key(0)))
    actions, mass = support(dist)
    for action, p in zip(actions, mass, strict=True):
        hit = sampled == action
        hit = hit if kind == "categorical" else hit.all(-1)
        standard_error = np.sqrt(p * (1 - p) / draws)
        assert np.all(np.abs(hit.mean(0) - p) <= 4 * standard_error)


def test_equal_parts_of_a_multicategorical_are_sampled_independently():
    draws = 10_000
    sampled = MultiCategorical((Categorical(jnp.zeros((draws, 2))),) * 2).sample(jax.random.key(0))
    same = np.mean(np.asarray(sampled[:, 0] == sampled[:, 1]))
    assert abs(same - 0.5) <= 4 * np.sqrt(0.25 / draws)


def test_gaussian_samples_have_the_moments_and_quantiles_of_independent_gaussians():
    rows, draws = 3, 40_000
    dist = make("gaussian", 8, (rows,))
    repeated = jax.tree.map(lambda x: jnp.broadcast_to(x, (draws, *x.shape)), dist)
    sampled = np.asarray(repeated.sample(jax.random.key(0)), np.float64)
    z = (sampled - np.asarray(dist.mean)) / np.exp(np.asarray(dist.log_std))
    error = 1 / np.sqrt(draws)
    assert np.all(np.abs(z.mean(0)) <= 4 * error)
    assert np.all(np.abs(z.std(0) - 1) <= 4 * error / np.sqrt(2))
    assert np.all(np.abs((z[:, :, 0] * z[:, :, 1]).mean(0)) <= 4 * error)
    assert np.all(np.abs((z[:, :-1] * z[:, 1:]).mean(0)) <= 4 * error), "rows are independent"
    for quantile in (0.05, 0.3, 0.7, 0.95):
        below = (z < stats.norm.ppf(quantile)).mean(0)
        assert np.all(np.abs(below - quantile) <= 4 * error * np.sqrt(quantile * (1 - quantile)))


@pytest.mark.parametrize("kind", KINDS)
def test_mode_is_the_most_probable_action(kind):
    dist = make(kind, 9)
    actions, mass = support(dist)
    if kind == "gaussian":
        # The middle quadrature point carries the most mass and is the mean.
        np.testing.assert_array_equal(dist.mode(), dist.mean)
    best = np.argmax(mass, axis=0)
    expected = np.stack([actions[s, i] for i, s in enumerate(best)])
    np.testing.assert_allclose(dist.mode(), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_leading_dimensions_are_kept(kind):
    deep, other = make(kind, 10, (2, 3)), make(kind, 11, (2, 3))
    action = deep.sample(jax.random.key(0))
    assert action.shape == deep.mode().shape
    assert action.shape[:2] == (2, 3)

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

    value, grad = jax.jit(jax.value_and_grad(lambda d: numbers(d).sum()))(sure)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad))


def test_gaussian_kl_of_a_small_step_keeps_its_digits_in_single_precision():
    mean, step = np.float32(0.3), np.float32(1e-3)
    p = DiagGaussian(jnp.full((1, 1), mean), jnp.zeros((1, 1)))
    q = DiagGaussian(jnp.full((1, 1), mean), jnp.full((1, 1), step))
    exact = 0.5 * np.expm1(-2 * np.float64(step)) + np.float64(step)
    np.testing.assert_allclose(p.kl(q), exact, rtol=1e-3)
