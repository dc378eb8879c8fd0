"""Masked distributions against those over the valid actions alone, by enumeration."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from surefoot.core.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Deterministic,
    DiagGaussian,
    Masked,
    MultiCategorical,
    Product,
    TanhGaussian,
)
from surefoot.core.distributions.masked import INVALID

KEY = jax.random.key(0)
ROWS = 6
#: Alternatives of each choice.
CHOICES = {
    "categorical": (5,),
    "multicategorical": (3, 4),
    "bernoulli": (2, 2, 2),
    "product": (3, 2),
}


def made(kind, logits):
    """The distribution with these logits, a list of [B, K], coin after coin for coins."""
    parts = [Categorical(x) for x in logits]
    if kind == "categorical":
        return parts[0]
    if kind == "multicategorical":
        return MultiCategorical(tuple(parts))
    if kind == "bernoulli":
        return Bernoulli(jnp.concatenate(logits, axis=-1))
    zero = jnp.zeros_like(logits[0][:, :1])
    return Product((parts[0], DiagGaussian(zero, zero), Product((Bernoulli(logits[1]),))))


def example(kind, seed, scale=1.0):
    """(logits as `made` takes them, mask [B, M]): every mask of a row leaves each choice one
    alternative or more, and the first row's leaves exactly one."""
    rng = np.random.default_rng(seed)
    logits, masks = [], []
    for i, k in enumerate(CHOICES[kind]):
        coin = kind == "bernoulli" or (kind == "product" and i == 1)
        logits.append(scale * rng.normal(size=(ROWS, 1 if coin else k)))
        mask = rng.random((ROWS, k)) < 0.5
        mask[0] = False
        mask[np.arange(ROWS), rng.integers(k, size=ROWS)] = True
        masks.append(mask)
    masks[-1][-1] = True
    return logits, np.concatenate(masks, axis=-1)


def probabilities(kind, logits, mask):
    """[B, K] of each choice: softmax over what is valid, and 0 elsewhere."""
    found, at = [], 0
    for i, k in enumerate(CHOICES[kind]):
        coin = kind == "bernoulli" or (kind == "product" and i == 1)
        x = np.asarray(logits[i], float)
        x = np.concatenate([np.zeros_like(x), x], axis=-1) if coin else x
        valid = mask[:, at : at + k]
        rows = [special.softmax(row[ok]) for row, ok in zip(x, valid, strict=True)]
        p = np.zeros((ROWS, k))
        for row, q, ok in zip(p, rows, valid, strict=True):
            row[ok] = q
        found.append(p)
        at += k
    return found


def action(kind, chosen):
    """The raw action of these alternatives [B], one array a choice."""
    if kind == "categorical":
        return chosen[0]
    if kind == "product":
        return chosen[0], np.zeros((ROWS, 1), np.float32), (chosen[1][:, None],)
    return np.stack(chosen, axis=-1)


def choices(kind, raw):
    """The inverse of `action`, [..., choices]."""
    if kind == "categorical":
        return np.asarray(raw)[..., None]
    if kind == "product":
        return np.stack([np.asarray(raw[0]), np.asarray(raw[2][0])[..., 0]], axis=-1)
    return np.asarray(raw)


#: What the standard Gaussian in "product" adds to the density at 0, and to the entropy.
LOG_DENSITY, ENTROPY = -0.5 * np.log(2 * np.pi), 0.5 * np.log(2 * np.pi * np.e)


@functools.partial(jax.jit, static_argnums=0)
def numbers(kind, logits, others, mask, actions):
    p, q = made(kind, logits).masked(mask), made(kind, others).masked(mask)
    return jax.vmap(p.log_prob)(actions), p.entropy(), p.kl(q), q.kl(p), p.mode()


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_numbers_are_those_of_the_valid_actions_alone(kind, dtype, x64):
    (logits, mask), (others, _) = example(kind, 0), example(kind, 1)
    logits, others = ([x.astype(dtype) for x in xs] for xs in (logits, others))
    ps, qs = probabilities(kind, logits, mask), probabilities(kind, others, mask)
    grid = [np.asarray(g) for g in itertools.product(*map(range, CHOICES[kind]))]
    actions = [action(kind, [np.full(ROWS, j) for j in point]) for point in grid]
    stacked = jax.tree.map(lambda *xs: np.stack(xs).astype(np.asarray(xs[0]).dtype), *actions)
    if kind == "product":
        stacked = stacked[0], stacked[1].astype(dtype), stacked[2]
    log_prob, entropy, kl, reverse, mode = numbers(kind, logits, others, mask, stacked)
    tolerance = {"rtol": 0, "atol": 1e-5 if dtype == np.float32 else 1e-13}
    mixed = kind == "product"
    with np.errstate(divide="ignore"):
        expected = [sum(np.log(p[:, j]) for p, j in zip(ps, point, strict=True)) for point in grid]
    for found, log_p in zip(np.asarray(log_prob), expected, strict=True):
        valid = log_p > -np.inf
        np.testing.assert_allclose(found[valid], log_p[valid] + mixed * LOG_DENSITY, **tolerance)
        assert (found[~valid] <= 0.5 * INVALID).all()
        assert np.isfinite(found).all()
    exact = sum(special.entr(p).sum(-1) for p in ps) + mixed * ENTROPY
    np.testing.assert_allclose(entropy, exact, **tolerance)
    for found, a, b in ((kl, ps, qs), (reverse, qs, ps)):
        exact = sum(special.rel_entr(x, y).sum(-1) for x, y in zip(a, b, strict=True))
        np.testing.assert_allclose(found, exact, **tolerance)
    assert np.abs(np.asarray(kl) - reverse).max() > 0.01
    best = np.stack([p.argmax(-1) for p in ps], axis=-1)
    np.testing.assert_array_equal(choices(kind, mode), best)


def block(p):
    return np.diag(p) - np.outer(p, p)


@functools.partial(jax.jit, static_argnums=0)
def metric_and_back(kind, logits, mask, tangent):
    dist = made(kind, logits).masked(mask)
    tangent = jax.tree.unflatten(jax.tree.structure(dist), jax.tree.leaves(made(kind, tangent)))
    cotangent = dist.metric(tangent)
    back = dist.metric_inverse(cotangent)
    return [jax.tree.leaves(x) for x in (cotangent, back, dist.metric(back))]


@pytest.mark.parametrize("kind", ["categorical", "multicategorical"])
def test_metric_and_pseudo_inverse_are_those_over_the_valid_logits(kind, x64):
    (logits, mask), (tangent, _) = example(kind, 2), example(kind, 3)
    ends = np.cumsum(CHOICES[kind])[:-1]
    ps, masks = probabilities(kind, logits, mask), np.split(mask, ends, axis=-1)
    cotangent, back, again = metric_and_back(kind, logits, mask, tangent)
    for i, (p, ok, v) in enumerate(zip(ps, masks, tangent, strict=True)):
        matrices = np.stack([block(row) for row in p])
        np.testing.assert_allclose(cotangent[i], np.einsum("bij,bj->bi", matrices, v), atol=1e-14)
        np.testing.assert_array_equal(np.asarray(cotangent[i])[~ok], 0.0)
        # M⁺M takes the mean over the valid entries off, and the others away.
        mean = np.sum(np.where(ok, v, 0), axis=-1, keepdims=True) / ok.sum(-1, keepdims=True)
        np.testing.assert_allclose(back[i], np.where(ok, v - mean, 0.0), atol=1e-12)
        np.testing.assert_array_equal(np.asarray(back[i])[~ok], 0.0)
        np.testing.assert_allclose(again[i], cotangent[i], atol=1e-14)


def test_metric_of_a_forced_coin_is_exactly_zero_both_ways(x64):
    (logits, mask), (tangent, _) = example("bernoulli", 2), example("bernoulli", 3)
    (cotangent,), (back,), _ = metric_and_back("bernoulli", logits, mask, tangent)
    free = mask[:, ::2] & mask[:, 1::2]
    assert 0 < free.sum() < free.size
    p, v = special.expit(np.concatenate(logits, -1)), np.concatenate(tangent, -1)
    np.testing.assert_allclose(cotangent, np.where(free, p * (1 - p) * v, 0.0), atol=1e-15)
    np.testing.assert_allclose(back, np.where(free, v, 0.0), atol=1e-12)
    np.testing.assert_array_equal(np.asarray(back)[~free], 0.0)


@functools.partial(jax.jit, static_argnums=0)
def values(kind, logits, others, mask):
    """[B]: everything that is differentiated somewhere."""
    dist, other = made(kind, logits).masked(mask), made(kind, others).masked(mask)
    # Of an invalid action, too, in a row that does not count.
    chosen = jax.tree.map(jnp.zeros_like, dist.mode())
    return dist.entropy() + dist.kl(other) + 2 * other.kl(dist) + dist.log_prob(other.mode()), (
        dist.log_prob(chosen)
    )


@functools.partial(jax.jit, static_argnums=0)
def slopes(kind, logits, others, mask):
    def total(logits, which):
        return jnp.sum(values(kind, logits, others, mask)[which])

    return jax.grad(lambda x: total(x, 0))(logits), jax.grad(lambda x: total(x, 1))(logits)


def invalid_logits(kind, mask):
    """Of each array of logits, which have no influence: masked ones, and those of forced coins."""
    ends, found = np.cumsum(CHOICES[kind])[:-1], []
    for i, ok in enumerate(np.split(mask, ends, axis=-1)):
        coin = kind == "bernoulli" or (kind == "product" and i == 1)
        found.append(~ok.all(-1, keepdims=True) if coin else ~ok)
    return found


@pytest.mark.parametrize("kind", CHOICES)
def test_gradients_are_finite_differences_and_exactly_zero_where_masked(kind, x64):
    (logits, mask), (others, _) = example(kind, 4), example(kind, 5)
    gradients, _ = slopes(kind, logits, others, mask)
    for i, (gradient, invalid) in enumerate(
        zip(gradients, invalid_logits(kind, mask), strict=True)
    ):
        assert 0 < invalid.sum() < invalid.size
        np.testing.assert_array_equal(np.asarray(gradient)[invalid], 0.0)
        for j in range(logits[i].shape[1]):
            ends = []
            for sign in (1, -1):
                moved = [x.copy() for x in logits]
                moved[i][:, j] += sign * 1e-5
                ends.append(np.asarray(values(kind, moved, others, mask)[0]))
            np.testing.assert_allclose(gradient[:, j], (ends[0] - ends[1]) / 2e-5, atol=1e-8)


@pytest.mark.parametrize("kind", CHOICES)
def test_extreme_logits_are_finite_in_single_precision_with_their_gradients(kind):
    (logits, mask), (others, _) = example(kind, 6), example(kind, 7)
    logits, others = ([60 * np.sign(x).astype(np.float32) for x in xs] for xs in (logits, others))
    for x in values(kind, logits, others, mask):
        assert np.isfinite(x).all()
    for gradients in slopes(kind, logits, others, mask):
        for gradient, invalid in zip(gradients, invalid_logits(kind, mask), strict=True):
            assert np.isfinite(gradient).all()
            np.testing.assert_array_equal(np.asarray(gradient)[invalid], 0.0)
    for leaf in jax.tree.leaves(metric_and_back(kind, logits, mask, others)):
        assert np.isfinite(leaf).all()


@functools.partial(jax.jit, static_argnums=0)
def sampled(kind, logits, mask, repeats):
    dist = made(kind, logits).masked(mask)
    repeated = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(repeats), *x.shape)), dist)
    return repeated.sample(KEY)


@pytest.mark.parametrize("kind", CHOICES)
def test_of_a_million_actions_none_is_invalid(kind):
    # The logits favor what is invalid.
    logits, mask = example(kind, 8)
    favored = []
    for x, invalid in zip(logits, invalid_logits(kind, mask), strict=True):
        favored.append(np.where(invalid, 50.0, x).astype(np.float32))
    found = choices(kind, sampled(kind, favored, mask, np.zeros(1_000_000 // ROWS + 1)))
    ends = np.cumsum(CHOICES[kind])[:-1]
    for i, (p, ok) in enumerate(
        zip(probabilities(kind, favored, mask), np.split(mask, ends, axis=-1), strict=True)
    ):
        shares = np.stack([(found[..., i] == j).mean(0) for j in range(p.shape[1])], axis=-1)
        np.testing.assert_array_equal(shares[~ok], 0.0)
        error = np.sqrt(p * (1 - p) / len(found))
        assert (np.abs(shares - p) <= 5 * error).all()


@functools.partial(jax.jit, static_argnums=0)
def with_and_without(kind, logits, others, mask):
    found = []
    for cut in (lambda d: d, lambda d: d.masked(mask)):
        p, q = cut(made(kind, logits)), cut(made(kind, others))
        natural = jax.tree.leaves(p.metric(q))
        found.append((p.entropy(), p.kl(q), p.log_prob(q.mode()), p.sample(KEY), natural))
    return found


@pytest.mark.parametrize("kind", ["multicategorical", "bernoulli"])
def test_where_all_is_valid_nothing_changes(kind):
    (logits, mask), (others, _) = example(kind, 9), example(kind, 10)
    logits, others = ([x.astype(np.float32) for x in xs] for xs in (logits, others))
    without, masked = with_and_without(kind, logits, others, np.ones_like(mask))
    for a, b in zip(jax.tree.leaves(without), jax.tree.leaves(masked), strict=True):
        np.testing.assert_array_equal(a, b)


def test_masks_are_laid_out_choice_by_choice_and_coin_by_coin():
    even = jnp.zeros((1, 2))
    mask = jnp.asarray([[1, 0, 0, 1]], bool)
    np.testing.assert_array_equal(Bernoulli(even).masked(mask).mode(), [[0, 1]])
    parts = MultiCategorical((Categorical(even), Categorical(even)))
    np.testing.assert_array_equal(parts.masked(mask).mode(), [[0, 1]])
    three = Categorical(jnp.zeros((1, 3)))
    mixed = Product(
        (Categorical(even), DiagGaussian(even, even), Product((Bernoulli(even), three)))
    )
    assert mixed.mask_size == 2 + 0 + 4 + 3
    chosen = mixed.masked(jnp.asarray([[0, 1, 1, 0, 0, 1, 0, 0, 1]], bool)).mode()
    np.testing.assert_array_equal(chosen[0], [1])
    np.testing.assert_array_equal(chosen[2][0], [[0, 1]])
    np.testing.assert_array_equal(chosen[2][1], [2])


def test_a_second_mask_leaves_what_both_do():
    dist = Categorical(jnp.asarray([[3.0, 2.0, 1.0, 0.0]]))
    twice = dist.masked(jnp.asarray([[0, 1, 1, 1]], bool)).masked(jnp.asarray([[1, 0, 1, 1]], bool))
    assert isinstance(twice, Masked)
    np.testing.assert_allclose(
        twice.log_prob(jnp.asarray([2])), [-np.log1p(np.exp(-1.0))], rtol=1e-6
    )
    wrapped = Deterministic(dist).masked(jnp.asarray([[0, 1, 1, 1]], bool))
    np.testing.assert_array_equal(wrapped.sample(KEY), [1])


def test_a_row_without_a_valid_action_is_finite_in_what_does_not_count():
    """Rows that a batch does not count hold zeros, and no mask."""
    for kind in ("multicategorical", "bernoulli"):
        logits, mask = example(kind, 0)
        logits = [np.zeros_like(x, np.float32) for x in logits]
        none = np.zeros_like(mask)
        found = *values(kind, logits, logits, none), slopes(kind, logits, logits, none)
        for leaf in jax.tree.leaves((found, metric_and_back(kind, logits, none, logits))):
            assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    "dist",
    [
        DiagGaussian(jnp.zeros((1, 2)), jnp.zeros((1, 2))),
        TanhGaussian(DiagGaussian(jnp.zeros((1, 2)), jnp.zeros((1, 2)))),
        Beta(jnp.ones((1, 2)), jnp.ones((1, 2))),
        Product((DiagGaussian(jnp.zeros((1, 2)), jnp.zeros((1, 2))),)),
    ],
    ids=lambda dist: type(dist).__name__,
)
def test_what_has_no_alternatives_cannot_be_masked(dist):
    assert dist.mask_size == 0
    name = type(dist).__name__
    with pytest.raises(TypeError, match=f"^{name} cannot be masked; accepted are"):
        dist.masked(jnp.ones((1, 0), bool))
