"""`Tilt`: weighted likelihood, an update towards the actions that turned out well.

Reward-weighted regression, REPS, AWR and V-MPO fit the policy to the actions that were taken, each
with a weight w ≥ 0 that rises with its advantage: they maximize Σ w_i log π_θ(a_i|s_i), which is
`Score` with w in the place of the advantage. They differ in the rule that makes the weights. A rule
sees the whole batch, so that all minibatches of a pass share one.
"""

from __future__ import annotations

import abc
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from surefoot.common.part import Part
from surefoot.core.data.types import Batch, Params, Scalar
from surefoot.core.local_model import weighted_mean
from surefoot.core.updates.base import Update, UpdateInfo


class Tilted(NamedTuple):
    """What a rule makes of advantages."""

    weight: Float[Array, "*B"]
    """w, of mean 1 over the rows that count; zero elsewhere."""
    temperature: Float[Array, ""]
    """η where w is proportional to exp(Â/η), in units of the advantage; 0 for another rule."""


class TiltRule(Part):
    """Weights of actions from their advantages."""

    @abc.abstractmethod
    def __call__(self, advantage: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Tilted:
        """The weights; `weight` says how much each row counts."""


class Tilt(Update):
    """An update whose batch has, in the place of the advantages, the weights that `rule` makes of
    them: `Tilt(Epochs(Step(Score(), …)), RelativeEntropy(0.1))`. Reports the temperature, and
    KL(w‖1) in nats: how far the weights are from equal ones."""

    update: Update
    rule: TiltRule

    def init(self, params: Params) -> Any:
        return self.update.init(params)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        w, temperature = self.rule(batch.advantage, batch.weight)
        tilted = batch._replace(advantage=w)
        params, state, info = self.update(key, params, state, tilted)
        more = {"temperature": temperature, "tilt_kl": relative_entropy(w, batch.weight)}
        return params, state, info._replace(diagnostics={**info.diagnostics, **more})


def relative_entropy(w: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Float[Array, ""]:
    """KL of the weights, of mean 1, from equal ones: mean of w log w, nats."""
    return weighted_mean(w * jnp.log(jnp.where(w > 0, w, 1.0)), weight)


class Positive(TiltRule):
    """w ∝ Â − min Â: the least that makes them positive (Peters & Schaal 2007, "Reinforcement
    learning by reward-weighted regression", as Duan et al. 2016 have it). The length of the step
    depends on the single worst row."""

    def __call__(self, advantage: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Tilted:
        least = jnp.min(jnp.where(weight > 0, advantage, jnp.inf))
        risen = jnp.where(weight > 0, advantage - least, 0.0)
        return Tilted(_of_mean_one(risen, weight), jnp.zeros(()))


class Exponential(TiltRule):
    """w ∝ min(exp(Â/T), `most`) with a given temperature T (Peng et al. 2019, "Advantage-weighted
    regression"), in units of the advantage: of its deviation, where advantages are standardized."""

    temperature: Scalar = eqx.field(converter=jnp.asarray, default=1.0)
    most: Scalar = eqx.field(converter=jnp.asarray, default=20.0, kw_only=True)

    def __call__(self, advantage: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Tilted:
        risen = jnp.minimum(jnp.exp(advantage / self.temperature), self.most)
        return Tilted(_of_mean_one(risen, weight), jnp.asarray(self.temperature))


class RelativeEntropy(TiltRule):
    """w ∝ exp(Â/η), as large a tilt as KL(w‖1) ≤ ε = `max_kl` nats allows: η minimizes the dual
    η ε + η log mean exp(Â/η) (Peters et al. 2010, "Relative entropy policy search"). Where ε is
    more than the best rows alone have, η falls to 0, and they have all the weight.

    With `top` below 1, only that fraction of the rows with the highest advantages has weight, and
    the KL is from equal weights among them (Song et al. 2020, "V-MPO", ½).
    """

    max_kl: Scalar = eqx.field(converter=jnp.asarray, default=0.1)
    top: Scalar = eqx.field(converter=jnp.asarray, default=1.0, kw_only=True)

    def __call__(self, advantage: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Tilted:
        chosen = (weight > 0) & _highest(advantage, weight, self.top)
        kept = jnp.where(chosen, weight, 0.0)
        temperature = dual_temperature(advantage, kept, self.max_kl)
        best = jnp.max(jnp.where(chosen, advantage, -jnp.inf))
        risen = jnp.where(chosen, jnp.exp((advantage - best) / temperature), 0.0)
        return Tilted(_of_mean_one(risen, weight), temperature)


def dual_temperature(
    advantage: Float[Array, "*B"], weight: Float[Array, "*B"], max_kl: Scalar
) -> Float[Array, ""]:
    """η at which KL(w‖1) = ε for w ∝ exp(Â/η), by Newton's method on u = log η within a bracket:
    dKL/du is the variance of Â/η under w, times −1. At most range(Â)/√(8ε) (Hoeffding), at least
    the range's rounding; 1 where all advantages are equal."""
    counts = weight > 0
    high = jnp.max(jnp.where(counts, advantage, -jnp.inf))
    low = jnp.min(jnp.where(counts, advantage, jnp.inf))
    spread = high - low
    varies = jnp.isfinite(spread) & (spread > 0)
    # In units of the range, so that the unit of rewards changes no rounding.
    x = jnp.where(counts & varies, (advantage - high) / jnp.where(varies, spread, 1.0), 0.0)

    def kl_and_variance(u: Float[Array, ""]) -> tuple[Array, Array]:
        t = jnp.exp(-u) * x
        mass = jnp.where(counts, weight * jnp.exp(t), 0.0)
        total = jnp.maximum(jnp.sum(mass), jnp.finfo(x.dtype).tiny)
        p = mass / total
        mean = jnp.sum(p * t)
        log_mean = jnp.log(total / jnp.maximum(jnp.sum(weight), jnp.finfo(x.dtype).tiny))
        return mean - log_mean, jnp.sum(p * (t - mean) ** 2)

    def refine(_: Any, bracket: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        below, u, above = bracket
        kl, variance = kl_and_variance(u)
        far = kl > max_kl
        below, above = jnp.where(far, u, below), jnp.where(far, above, u)
        newton = u + (kl - max_kl) / jnp.where(variance > 0, variance, 1.0)
        inside = (variance > 0) & (newton > below) & (newton < above)
        return below, jnp.where(inside, newton, 0.5 * (below + above)), above

    least = jnp.asarray(math.log(float(jnp.finfo(x.dtype).eps) / 10), x.dtype)
    most = jnp.asarray(-0.5 * jnp.log(8.0 * jnp.asarray(max_kl, x.dtype)))
    most = jnp.maximum(most, least + 1)
    _, u, _ = jax.lax.fori_loop(0, 60, refine, (least, most, most))
    return jnp.where(varies, jnp.exp(u) * spread, 1.0)


def _highest(
    advantage: Float[Array, "*B"], weight: Float[Array, "*B"], top: Scalar
) -> Bool[Array, "*B"]:
    """The rows with the highest advantages that have at most this fraction of the weight, and one
    at least; all for 1."""
    flat = advantage.reshape(-1)
    order = jnp.argsort(jnp.where(weight.reshape(-1) > 0, -flat, jnp.inf))
    upto = jnp.cumsum(weight.reshape(-1)[order])
    inside = ((upto <= top * upto[-1]) | (jnp.asarray(top) >= 1)).at[0].set(True)
    return jnp.zeros(flat.shape, bool).at[order].set(inside).reshape(advantage.shape)


def _of_mean_one(w: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """The weights over their mean; all 1 where they are zero."""
    mean = weighted_mean(w, weight)
    even = jnp.where(weight > 0, 1.0, 0.0).astype(w.dtype)
    return jnp.where(mean > 0, jnp.where(weight > 0, w, 0.0) / jnp.where(mean > 0, mean, 1.0), even)
