"""What an objective is: one value a row, maximized on average.

It sees no parameters and no network. Wherever an objective is expected, any callable
(distribution, batch) -> [B] will do; a subclass of `Objective` can also say which diagnostics
belong to it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.common.part import Part
from surefoot.core.data.types import Batch
from surefoot.core.distributions import Distribution


class Objective(Part):
    """One value a row, to be maximized."""

    @abc.abstractmethod
    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        """The per-sample value of the distributions `dist`, whose leaves are [B, …]."""

    @abc.abstractmethod
    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        """Named per-sample quantities worth reporting as batch means, once an update."""


class PerSample(Objective):
    """A plain function as an objective, without diagnostics."""

    function: Callable[[Distribution, Batch], Array] = eqx.field(static=True)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return self.function(dist, batch)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return {}


def as_objective(objective: Any) -> Objective:
    """The objective itself, or a plain function made one."""
    return objective if isinstance(objective, Objective) else PerSample(objective)


def ratio(dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
    """r_θ = π_θ(a|s)/μ(a|s), where μ drew the action: π_old, or an earlier policy."""
    return jnp.exp(dist.log_prob(batch.action) - batch.drawn_from.log_prob(batch.action))


def ratio_before(batch: Batch) -> Float[Array, "*B"] | float:
    """The ratio before the update, o = π_old(a|s)/μ(a|s): 1 where π_old drew the actions."""
    return 1.0 if batch.behavior is None else ratio(batch.old, batch)
