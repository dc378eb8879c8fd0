"""What one update did, seen along the line on which it lies: curves over θ_k + α(θ_{k+1} − θ_k)
(Figure 2 of Schulman et al. 2017, "Proximal policy optimization algorithms").

Everything is computed in float64 on the batch that the update learned from, with its weights. The
old distribution is that of θ_k on the batch's observations, computed anew by the code that computes
every other one: at α = 0 the gains and the KL are zero, not rounding.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from surefoot.common.errors import UsageError
from surefoot.common.fields import Interval
from surefoot.common.parameters import check_number
from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Batch, Params
from surefoot.core.distributions import Distribution
from surefoot.core.local_model import weighted_mean
from surefoot.core.objectives import Clipped, Surrogate

#: From half an update backwards to twice the update; 0 and 1 are among them exactly.
ALPHAS: Float[np.ndarray, " n"] = np.arange(-10, 41) / 20


class Interpolation(NamedTuple):
    """Curves along an update, float64. With r = π_θ(a|s)/π_old(a|s), means over the batch's rows,
    in units of its advantages Â (standardized where the algorithm does so)."""

    alpha: Float[np.ndarray, " n"]
    """α: 0 is the policy before the update, 1 the one after it."""
    surrogate: Float[np.ndarray, " n"]
    """mean r Â − mean Â: the gain that importance sampling predicts, in units of Â."""
    clipped: Float[np.ndarray, " n"]
    """mean min(r Â, clip(r, 1 − clip, 1 + clip) Â) − mean Â, in units of Â."""
    clip_fraction: Float[np.ndarray, " n"]
    """Share of rows with |r − 1| > clip, on either side. The clipped curve lies below the surrogate
    where one of them is on the side that its Â pulls it to: r > 1 + clip with Â > 0, or
    r < 1 − clip with Â < 0."""
    kl: Float[np.ndarray, " n"]
    """Mean KL(old‖new), nats."""
    penalized: Float[np.ndarray, " n"]
    """surrogate − beta·kl, in units of Â."""
    lower_bound: Float[np.ndarray, " n"]
    """surrogate/(1 − γ) − C √kl, in units of a discounted sum of Â; NaN at γ = 1, where there is no
    bound. J(π_θ) − J(π_k) is at least that (Achiam et al. 2017) where the means are over d^π, the
    discounted distribution of states, and Â and ε are exact. A batch has the states as they are
    visited, without γ^t, its Â is an estimate, and its KL is KL(old‖new) where the bound has
    KL(new‖old), alike for small steps: the curve shows how large the bound is, and guarantees
    nothing."""
    clip: float
    """The clipped curve's interval is [1 − clip, 1 + clip]."""
    beta: float
    """β of the penalized curve, in units of Â per nat."""
    discount: float
    """γ."""
    advantage_max: float
    """ε, the batch's largest |Â|: an estimate, as Â is."""
    bound_constant: float
    """C = √2 γ ε/(1 − γ)²; infinite at γ = 1."""


def interpolate(
    old: Params,
    new: Params,
    batch: Batch,
    *,
    discount: float,
    clip: float = 0.2,
    beta: float = 1.0,
    alphas: Float[np.ndarray, " n"] = ALPHAS,
) -> Interpolation:
    """The curves along the line from the policy `old` through the policy `new`, on the batch that
    led from one to the other.

    Raises `UsageError` where `discount` is not in [0, 1], where `clip` or `beta` is negative, or
    where `alphas` is no vector of finite numbers.
    """
    alphas = np.asarray(alphas, np.float64)
    _check(discount, clip, beta, alphas)
    with jax.enable_x64(True):
        batch, before, after = _doubled(batch), _doubled(old), _doubled(new)
        delta = jax.tree.map(
            lambda a, b: b - a,
            eqx.filter(before, eqx.is_inexact_array),
            eqx.filter(after, eqx.is_inexact_array),
        )
        ends = before, delta, batch
        batch = batch._replace(old=_distribution(jnp.zeros(()), *ends), average=None)
        interval = jnp.asarray(clip, float)
        points = [_point(_distribution(a, *ends), batch, interval) for a in jnp.asarray(alphas)]
        surrogate, taken, clip_fraction, kl = np.array(points, np.float64).T
        largest = jnp.max(jnp.where(batch.weight > 0, jnp.abs(batch.advantage), 0.0))
    # Where two distributions agree, rounding may leave a KL below zero.
    kl = np.maximum(kl, 0.0)
    constant, lower_bound = math.inf, np.full_like(kl, np.nan)
    if discount < 1.0:
        constant = math.sqrt(2.0) * discount * float(largest) / (1.0 - discount) ** 2
        lower_bound = surrogate / (1.0 - discount) - constant * np.sqrt(kl)
    return Interpolation(
        alpha=alphas,
        surrogate=surrogate,
        clipped=surrogate - taken,
        clip_fraction=clip_fraction,
        kl=kl,
        penalized=surrogate - beta * kl,
        lower_bound=lower_bound,
        clip=float(clip),
        beta=float(beta),
        discount=float(discount),
        advantage_max=float(largest),
        bound_constant=constant,
    )


@eqx.filter_jit
def _distribution(alpha: Array, start: Params, delta: Params, batch: Batch) -> Distribution:
    theta, static = eqx.partition(start, eqx.is_inexact_array)
    at = jax.tree.map(lambda p, d: p + alpha * d, theta, delta)
    return distribution(eqx.combine(at, static), batch)


@eqx.filter_jit
def _point(dist: Distribution, batch: Batch, clip: Array) -> tuple[Array, ...]:
    """(surrogate's gain, what clipping takes from it, clip fraction, KL) of one policy."""
    objective = Clipped(clip)
    surrogate = Surrogate()(dist, batch)
    # Row by row, so that no rounding of a mean lifts the clipped curve above the other.
    taken = surrogate - objective(dist, batch)
    outside = objective.diagnostics(dist, batch)["clip_fraction"]
    rows = surrogate - batch.advantage, taken, outside, batch.old.kl(dist)
    return tuple(weighted_mean(x, batch.weight) for x in rows)


def _doubled(tree: Any) -> Any:
    """The tree with its floating-point arrays in float64."""
    return jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, tree)


def _check(discount: float, clip: float, beta: float, alphas: Float[np.ndarray, "..."]) -> None:
    check_number("discount", discount, Interval(0.0, 1.0))
    check_nonnegative("clip", clip)
    check_nonnegative("beta", beta)
    if alphas.ndim != 1 or alphas.size == 0 or not np.isfinite(alphas).all():
        raise UsageError(
            f"alphas has the shape {alphas.shape}; accepted is a vector of finite numbers"
        )


def check_nonnegative(name: str, value: float) -> None:
    """Raise `UsageError` where a value is negative or not finite."""
    check_number(name, value, Interval(0.0))
