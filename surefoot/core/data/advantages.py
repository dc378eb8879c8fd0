"""From rewards and values to advantages.

With s_{t+1} the true next observation, also where the environment was reset afterwards,

    δ_t = r_t + γ V(s_{t+1})·(1 − terminated_t) − V(s_t)
    Â_t = δ_t + γλ·(1 − done_t)·Â_{t+1},        done = terminated or truncated

(Schulman et al. 2016, "High-dimensional continuous control using generalized advantage
estimation"). A termination zeroes the bootstrap; a truncation only cuts the λ-chain. The last row
of the trajectory bootstraps like a truncation, and so does the last one before an invalid row in
an episode, the rest of which was lost. λ = 1 with V ≡ 0 gives the return-to-go.

Where an earlier policy μ acted, Â_{t+1} is multiplied by a trace c̄ = min(1, π/μ) of its action
(Queeney et al. 2021; Espeholt et al. 2018). How likely a_t itself is, the objective's ratio knows.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def gae(
    reward: Float[Array, "T N"],
    value: Float[Array, "T N"],
    next_value: Float[Array, "T N"],
    terminated: Bool[Array, "T N"],
    truncated: Bool[Array, "T N"],
    valid: Bool[Array, "T N"],
    *,
    discount: Float[Array, ""] | float,
    gae_lambda: Float[Array, ""] | float,
    trace: Float[Array, "T N"] | None = None,
) -> Float[Array, "T N"]:
    """Generalized advantage estimates; zero on rows that are not valid.

    `value` is V(s_t) and `next_value` V of the true s_{t+1}. If both flags are set, termination
    wins. `trace` is c̄_t, and 1 where it is `None`.
    """
    # Selected, not multiplied: the state after a termination may be NaN.
    delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value
    # An invalid row cuts the chain too: it follows an episode's end, or the environment was lost.
    chain = discount * gae_lambda * (~(terminated | truncated)).astype(delta.dtype)

    def backwards(after: Array, row: tuple[Array, Array, Array, Any]) -> tuple[Array, Array]:
        d, c, is_valid, traced = row
        advantage = jnp.where(is_valid, d + c * after, 0.0)
        return advantage if traced is None else traced * advantage, advantage

    rows = delta, chain, valid, trace
    return jax.lax.scan(backwards, jnp.zeros_like(delta[0]), rows, reverse=True)[1]


def standardize(x: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """(x − mean)/std over the rows with weight; zero elsewhere.

    Where all values agree up to rounding the result is zero, not amplified rounding.
    """
    total = jnp.maximum(jnp.sum(weight), 1.0)
    mean = jnp.sum(weight * x) / total
    # A second pass takes out the rounding that a sum over a large batch leaves in the mean.
    mean = mean + jnp.sum(weight * (x - mean)) / total
    centered = jnp.where(weight > 0, x - mean, 0.0)
    std = jnp.sqrt(jnp.sum(weight * centered**2) / total)
    rounding = 8 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(jnp.where(weight > 0, x, 0.0)))
    varies = std > rounding
    return jnp.where(varies, centered / jnp.where(varies, std, 1.0), 0.0)
