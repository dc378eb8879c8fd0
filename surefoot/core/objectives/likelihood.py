"""Maximum likelihood, for imitation and for critics."""

from __future__ import annotations

from jaxtyping import Array, Float

from surefoot.core.data.types import Batch
from surefoot.core.distributions import Distribution
from surefoot.core.objectives.base import Objective


class Likelihood(Objective):
    """log π_θ(a|s): maximum likelihood of the batch's actions. Fits a critic too, whose batch has
    the value targets as actions."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return dist.log_prob(batch.action)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return {}
