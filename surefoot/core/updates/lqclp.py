"""The step of constrained policy optimization, exactly, in the few directions that it may take.

    maximize pᵀx   subject to   c_k + u_kᵀx ≤ 0 for every k,   ½ xᵀGx ≤ δ

x are the coefficients of the directions F⁻¹g, F⁻¹b_1, …: p what the objective gains along each of
them, u_k what cost k rises, G their Gram matrix in the undamped Fisher metric. The source solves
the dual of one constraint with q = gᵀF⁻¹g and its like (Achiam et al. 2017, Theorem 2), which a
damped solver makes shorter than δ; here both bounds hold whatever made the directions, and with
exact directions the two agree.

In coordinates in which the ball is round, the optimum under given active constraints is explicit:
the point of their plane nearest to the center, and from there along the gradient within the plane
to the ball. The best feasible one of all subsets is the optimum, of a few constraints.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from surefoot.core.data.types import Scalar

#: What `Solution.case` means.
CASES = ("recovery", "above a limit", "a limit binds", "no limit binds", "no way down")
RECOVERY, ABOVE, BINDING, FREE, STUCK = range(len(CASES))


class Solution(NamedTuple):
    """The best step."""

    coefficients: Float[Array, " M"]
    """x."""
    case: Int[Array, ""]
    """Which of `CASES`: 0, nothing in the ball meets all limits, and the step lowers the cost that
    is furthest above its own; 1, a cost is above its limit, and the step brings all below; 2, all
    are below, and a limit shortens the step; 3, none does, and it is TRPO's; 4, a cost is above its
    limit, and no direction lowers it: no step."""
    multipliers: Float[Array, " K"]
    """ν_k ≥ 0 of the limits, in units of the objective per unit of cost; 0 in a recovery."""


def constrained_step(
    p: Float[Array, " M"],
    u: Float[Array, "K M"],
    c: Float[Array, " K"],
    gram: Float[Array, "M M"],
    max_kl: Scalar,
) -> Solution:
    """The solution of the problem above. `gram` may be singular: directions that are parallel, or
    zero, count once, or not at all."""
    basis = _round(gram)
    gain, slopes = basis.T @ p, u @ basis
    radius = jnp.sqrt(2.0 * jnp.asarray(max_kl, p.dtype))
    size = jnp.linalg.norm(slopes, axis=1)
    slack = 64 * jnp.finfo(p.dtype).eps * (jnp.abs(c) + size * radius)

    count = c.shape[0]
    best = jnp.zeros_like(gain)
    value, found = -jnp.asarray(jnp.inf, p.dtype), jnp.asarray(False)
    multipliers, binds = jnp.zeros_like(c), jnp.asarray(False)
    for number in range(count + 1):
        for active in itertools.combinations(range(count), number):
            y, nu, sound = _on_plane(gain, slopes, c, active, radius)
            sound &= jnp.all(c + slopes @ y <= slack)
            better = sound & (gain @ y > value)
            best = jnp.where(better, y, best)
            value = jnp.where(better, gain @ y, value)
            multipliers = jnp.where(better, nu, multipliers)
            binds = jnp.where(better, bool(active), binds)
            found |= sound

    # How far each cost stays above its limit at best, and the way down of the furthest one.
    left = c - size * radius
    furthest = jnp.argmax(left)
    steep = size > 64 * jnp.finfo(p.dtype).eps * jnp.max(size, initial=1e-30)
    down = -slopes[furthest] / jnp.where(size[furthest] > 0, size[furthest], 1.0) * radius
    leads = steep[furthest] & (size[furthest] > 0)
    y = jnp.where(found, best, jnp.where(leads, down, 0.0))
    inside = jnp.where(jnp.any(c > slack), ABOVE, jnp.where(binds, BINDING, FREE))
    case = jnp.where(found, inside, jnp.where(leads, RECOVERY, STUCK))
    return Solution(basis @ y, case, jnp.where(found, jnp.maximum(multipliers, 0.0), 0.0))


def _round(gram: Float[Array, "M M"]) -> Float[Array, "M M"]:
    """B with x = B y and xᵀGx = ‖y‖² for the directions that G knows; zero columns for the rest."""
    length = jnp.sqrt(jnp.maximum(jnp.diagonal(gram), 0.0))
    scale = jnp.where(length > 0, 1.0 / jnp.where(length > 0, length, 1.0), 0.0)
    unit = gram * scale[:, None] * scale[None]
    values, vectors = jnp.linalg.eigh(0.5 * (unit + unit.T))
    known = values > 32 * jnp.finfo(gram.dtype).eps * gram.shape[0]
    root = jnp.where(known, 1.0 / jnp.sqrt(jnp.where(known, values, 1.0)), 0.0)
    return scale[:, None] * vectors * root[None]


def _on_plane(
    gain: Float[Array, " M"],
    slopes: Float[Array, "K M"],
    c: Float[Array, " K"],
    active: tuple[int, ...],
    radius: Float[Array, ""],
) -> tuple[Float[Array, " M"], Float[Array, " K"], Bool[Array, ""]]:
    """(the best point of the ball where these constraints are zero, their multipliers, whether
    there is one)."""
    chosen = jnp.asarray(active, jnp.int32)
    if not active:
        start, within, pseudo = jnp.zeros_like(gain), gain, None
    else:
        rows = slopes[chosen]
        pseudo = jnp.linalg.pinv(rows, rtol=64 * jnp.finfo(gain.dtype).eps)
        start = -pseudo @ c[chosen]
        within = gain - pseudo @ (rows @ gain)
        # Again, for what rounding left where the gradient is nearly normal to the plane.
        within = within - pseudo @ (rows @ within)
    room = radius**2 - start @ start
    norm = jnp.linalg.norm(within)
    ahead = norm > 16 * jnp.finfo(gain.dtype).eps * jnp.linalg.norm(gain)
    along = jnp.sqrt(jnp.maximum(room, 0.0)) / jnp.where(ahead, norm, 1.0)
    y = start + jnp.where(ahead, along, 0.0) * within
    sound = room >= -64 * jnp.finfo(gain.dtype).eps * radius**2
    nu = jnp.zeros_like(c)
    if pseudo is not None:
        # p = λ y + Σ ν_k u_k, with λ the ball's own multiplier.
        reaches = ahead & (along > 0)
        trust = jnp.where(reaches, 1.0 / jnp.where(reaches, along, 1.0), 0.0)
        nu = nu.at[chosen].set(pseudo.T @ (gain - trust * y))
        met = jnp.abs(slopes[chosen] @ y + c[chosen])
        size = jnp.linalg.norm(slopes[chosen], axis=1)
        allowed = 1e3 * jnp.finfo(gain.dtype).eps * (jnp.abs(c[chosen]) + size * radius)
        sound &= jnp.all(met <= allowed)
    return y, nu, sound
