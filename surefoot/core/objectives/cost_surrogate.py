"""What is to stay low: the surrogate of a cost."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Array, Float

from surefoot.common.errors import UsageError
from surefoot.core.data.types import Batch, CostRows
from surefoot.core.distributions import Distribution
from surefoot.core.objectives.base import Objective, ratio


class CostSurrogate(Objective):
    """r_θ·Â_C of cost number `index`: how much that cost of a row rises, by importance sampling.
    Needs `batch.costs`."""

    index: int = eqx.field(static=True, default=0)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return ratio(dist, batch) * costs_of(batch).advantage[..., self.index]

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return {}


def costs_of(batch: Batch) -> CostRows:
    """The costs of a batch. Raises `UsageError` where it has none."""
    if batch.costs is None:
        raise UsageError(
            "there are no costs; accepted is an update within surefoot.WithCosts, which knows them"
        )
    return batch.costs
