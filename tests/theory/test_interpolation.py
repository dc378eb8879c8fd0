"""Curves along an update, against slow loops in NumPy; their figure."""

import importlib.util
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from surefoot.core.networks import CategoricalHead, GaussianHead, mlp_policy
from surefoot.theory.interpolation import ALPHAS, interpolate
from surefoot.theory.update_figure import draw_interpolation

DISCOUNT, CLIP, BETA = 0.9, 0.1, 2.0
HEADS = {"categorical": CategoricalHead(3), "gaussian": GaussianHead(2, log_std=-0.5)}


@eqx.filter_jit
def update(head):
    """Two policies that differ in every parameter, and a batch of which two rows do not count."""
    policy_key, move_key, key = jax.random.split(jax.random.key(0), 3)
    old = mlp_policy(policy_key, 4, head, hidden=(5,))
    leaves, structure = jax.tree.flatten(old)
    keys = jax.random.split(move_key, len(leaves))
    moves = [jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    new = jax.tree.unflatten(structure, [x + 0.2 * d for x, d in zip(leaves, moves, strict=True)])
    obs_key, action_key, advantage_key = jax.random.split(key, 3)
    obs = jax.random.normal(obs_key, (40, 4))
    dist = old(obs)
    advantage = jax.random.normal(advantage_key, (40,)).at[0].set(50.0)
    weight = jnp.ones(40).at[jnp.array([0, 7])].set(0.0)
    batch = sf.Batch(obs, dist.sample(action_key), dist, advantage, weight, jnp.zeros(()))
    return old, new, batch


@pytest.fixture(scope="module", params=HEADS)
def curves(request):
    old, new, batch = update(HEADS[request.param])
    made = interpolate(old, new, batch, discount=DISCOUNT, clip=CLIP, beta=BETA)
    return (old, new, batch), made


def parameters(policy, obs):
    """What the head reads, one row, float64; log σ of the Gaussian after its bound."""
    x = np.asarray(obs, np.float64)
    for w, b in zip(policy["weights"][:-1], policy["biases"][:-1], strict=True):
        x = np.tanh(x @ w + b)
    out = x @ policy["weights"][-1] + policy["biases"][-1]
    if policy["raw"] is None:
        return out - np.log(np.exp(out).sum()), None
    return out, 10.0 * np.tanh(policy["raw"] / 10.0)


def log_prob(dist, action):
    mean, log_std = dist
    if log_std is None:
        return mean[int(action)]
    z = (np.asarray(action, np.float64) - mean) / np.exp(log_std)
    return sum(-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi))


def kl(p, q):
    if p[1] is None:
        return sum(np.exp(p[0]) * (p[0] - q[0]))
    variance = np.exp(2 * p[1]), np.exp(2 * q[1])
    per_dimension = (variance[0] + (p[0] - q[0]) ** 2) / (2 * variance[1]) - 0.5
    return sum(per_dimension + q[1] - p[1])


def as_numpy(policy):
    raw = getattr(policy.head, "raw_log_std", None)
    return {
        "weights": [np.asarray(w, np.float64) for w in policy.network.weights],
        "biases": [np.asarray(b, np.float64) for b in policy.network.biases],
        "raw": None if raw is None else np.asarray(raw, np.float64),
    }


def between(old, new, alpha):
    def line(a, b):
        return [x + alpha * (y - x) for x, y in zip(a, b, strict=True)]

    raw = None if old["raw"] is None else line([old["raw"]], [new["raw"]])[0]
    return {
        "weights": line(old["weights"], new["weights"]),
        "biases": line(old["biases"], new["biases"]),
        "raw": raw,
    }


def test_every_curve_is_that_of_a_loop_over_rows(curves):
    (old, new, batch), made = curves
    old, new = as_numpy(old), as_numpy(new)
    advantages, weights = (np.asarray(x, float) for x in (batch.advantage, batch.weight))
    rows = np.asarray(batch.obs), np.asarray(batch.action)
    largest = max(abs(a) for a, w in zip(advantages, weights, strict=True) if w > 0)
    assert made.advantage_max == largest < 50.0
    constant = math.sqrt(2) * DISCOUNT * largest / (1 - DISCOUNT) ** 2
    assert made.bound_constant == pytest.approx(constant)
    for i in (0, 7, 17, 30, 50):
        policy = between(old, new, made.alpha[i])
        gain = clipped = outside = distance = 0.0
        for obs, action, a, w in zip(*rows, advantages, weights, strict=True):
            before, after = parameters(old, obs), parameters(policy, obs)
            r = math.exp(log_prob(after, action) - log_prob(before, action))
            gain += w * (r - 1) * a
            clipped += w * (min(r * a, min(max(r, 1 - CLIP), 1 + CLIP) * a) - a)
            outside += w * (abs(r - 1) > CLIP)
            distance += w * kl(before, after)
        gain, clipped, outside, distance = (
            x / weights.sum() for x in (gain, clipped, outside, distance)
        )
        bound = gain / (1 - DISCOUNT) - constant * math.sqrt(distance)
        expected = [gain, clipped, outside, distance, gain - BETA * distance, bound]
        got = [curve[i] for curve in made[1:7]]
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


def test_nothing_is_gained_and_nothing_moved_where_the_update_began(curves):
    _, made = curves
    (start,) = np.flatnonzero(made.alpha == 0)
    assert [curve[start] for curve in made[1:7]] == [0.0] * 6
    assert 1.0 in made.alpha
    assert (made.alpha[0], made.alpha[-1]) == (-0.5, 2.0)


def test_the_end_of_the_line_is_the_new_policy(curves):
    (_, new, batch), made = curves
    expected = jax.jit(lambda old, new, obs: old.kl(new(obs)))(batch.old, new, batch.obs)
    mean = np.average(expected, weights=batch.weight)
    (end,) = np.flatnonzero(made.alpha == 1)
    assert made.kl[end] == pytest.approx(mean, rel=1e-4)


def test_the_old_distribution_is_computed_anew():
    old, new, batch = update(HEADS["categorical"])
    stale = batch._replace(old=sf.Categorical(batch.old.logits + 0.3 * batch.obs[:, :3]))
    one, other = (
        interpolate(old, new, b, discount=DISCOUNT, alphas=np.array([0.0, 1.0]))
        for b in (batch, stale)
    )
    np.testing.assert_array_equal(one.kl, other.kl)
    np.testing.assert_array_equal(one.surrogate, other.surrogate)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"discount": 1.5}, "discount is 1.5; accepted is a finite number >= 0 and <= 1"),
        ({"discount": -0.1}, "discount is -0.1"),
        ({"clip": -0.2}, "clip is -0.2; accepted is a finite number >= 0"),
        ({"beta": float("nan")}, "beta is nan; accepted is a finite number >= 0"),
        ({"alphas": [[0.0]]}, r"alphas has the shape \(1, 1\); accepted is a vector"),
        ({"alphas": [math.inf]}, r"alphas has the shape \(1,\); accepted is a vector of finite"),
    ],
)
def test_values_that_are_not_accepted_are_one_line(given, message):
    old, new, batch = update(HEADS["categorical"])
    with pytest.raises(sf.UsageError, match=message) as caught:
        interpolate(old, new, batch, **{"discount": DISCOUNT, **given})
    assert "\n" not in str(caught.value)


def test_the_figure_shows_every_curve(curves, tmp_path):
    _, made = curves
    figure = draw_interpolation(made, title="an update")
    shown = [line.get_ydata() for panel in figure.axes for line in panel.get_lines()]
    for name in ("surrogate", "clipped", "penalized", "kl", "clip_fraction", "lower_bound"):
        assert any(np.array_equal(values, getattr(made, name)) for values in shown), name
    for suffix in ("png", "svg"):
        figure.savefig(tmp_path / f"curves.{suffix}")


def test_without_discounting_there_is_no_bound_and_every_other_curve():
    old, new, batch = update(HEADS["categorical"])
    one, other = (
        interpolate(old, new, batch, discount=x, clip=CLIP, beta=BETA) for x in (DISCOUNT, 1.0)
    )
    for name in ("surrogate", "clipped", "clip_fraction", "kl", "penalized"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert np.isnan(other.lower_bound).all()
    assert other.bound_constant == math.inf
    titles = [panel.get_title() for panel in draw_interpolation(other).axes]
    assert "no lower bound at γ = 1" in titles


def test_a_figure_without_matplotlib_names_the_extra(curves, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(sf.UsageError, match=r"needs matplotlib: pip install 'surefoot\[figures\]'"):
        draw_interpolation(curves[1])


def test_the_curves_run_from_half_a_step_back_to_twice_the_step():
    np.testing.assert_allclose(ALPHAS, np.linspace(-0.5, 2.0, 51), atol=1e-15)
