"""What `Algorithm` reports of an iteration, beside its updates' own reports."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Batch
from surefoot.core.distributions import Distribution
from surefoot.core.local_model import weighted_mean
from surefoot.core.networks import Policy
from surefoot.core.updates import UpdateInfo


class Metrics(NamedTuple):
    """What one iteration did to the policy and to the critic's data."""

    policy: UpdateInfo
    effective_sample_size: Float[Array, ""]
    """(Σr)²/(n Σr²) of the ratios r = π_new(a|s)/π_old(a|s) over the n learned rows: the share of
    them that estimates under the new policy are worth, 1 where it is the old one."""
    distribution: dict[str, Float[Array, " D"]]
    """Means over the learned rows of what the new distribution reports, one an action dimension."""
    valid_rows: Int[Array, ""]
    """Rows of the trajectory that were transitions: environment steps."""
    learned_rows: Float[Array, ""]
    """Rows with weight in the policy's update: without a critic, those of finished episodes."""
    explained_variance: Float[Array, ""]
    """1 − Var[target − V_old]/Var[target] over the learned rows: 1 is a perfect critic, 0 one that
    is no better than a constant. 0 without a critic."""
    value_mean: Float[Array, ""]
    """Mean of V_old, in scaled reward units."""
    reward_scale: Float[Array, ""]
    """The factor on rewards that the learner sees."""

    @classmethod
    def of(
        cls,
        info: UpdateInfo,
        policy: Policy,
        batch: Batch,
        target: Float[Array, "*B"],
        value: Float[Array, "*B"],
        valid: Bool[Array, "T N"],
        reward_scale: Float[Array, ""],
    ) -> Metrics:
        """What the update that ended with this policy did with the batch, whose values were `value`
        and should be `target`."""
        dist, weight = distribution(policy, batch), batch.weight
        return cls(
            policy=info,
            effective_sample_size=effective_sample_size(dist, batch),
            distribution=jax.tree.map(
                lambda x: jax.vmap(weighted_mean, (-1, None))(x, weight), dist.diagnostics()
            ),
            valid_rows=jnp.sum(valid, dtype=jnp.int32),
            learned_rows=jnp.sum(weight),
            explained_variance=explained_variance(target, value, weight),
            value_mean=weighted_mean(value, weight),
            reward_scale=reward_scale,
        )


def effective_sample_size(dist: Distribution, batch: Batch) -> Float[Array, ""]:
    """`Metrics.effective_sample_size` of the new distribution on the batch."""
    log_ratio = dist.log_prob(batch.action) - batch.drawn_from.log_prob(batch.action)
    # The same for any factor on the ratios: with this one, none of them overflows.
    learned = batch.weight > 0
    r = jnp.exp(log_ratio - jnp.max(jnp.where(learned, log_ratio, -jnp.inf)))
    mean, square = weighted_mean(r, batch.weight), weighted_mean(r**2, batch.weight)
    return jnp.where(jnp.any(learned), mean**2 / jnp.where(square > 0, square, 1.0), 0.0)


def explained_variance(
    target: Float[Array, "*B"], value: Float[Array, "*B"], weight: Float[Array, "*B"]
) -> Float[Array, ""]:
    """`Metrics.explained_variance` of values before their fit."""

    def variance(x: Array) -> Array:
        return weighted_mean((x - weighted_mean(x, weight)) ** 2, weight)

    total = variance(target)
    positive = total > 0
    return jnp.where(
        positive, 1.0 - variance(target - value) / jnp.where(positive, total, 1.0), 0.0
    )
