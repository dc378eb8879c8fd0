"""`Constrained`: the step of constrained policy optimization (Achiam et al. 2017).

One natural gradient for what is to rise and one for each cost that is to stay below its limit, all
in one Fisher metric; the best step that they span within the KL ball and the limits (`lqclp`); and
TRPO's line search, which here also minds the costs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Batch, Params, Scalar
from surefoot.core.geometry import Geometry
from surefoot.core.local_model import LocalModel, dot, weighted_mean
from surefoot.core.objectives import CostSurrogate, Objective, as_objective, costs_of
from surefoot.core.step_size.line_search import Secant, Shorten, search
from surefoot.core.updates.base import MoveInfo, Update, UpdateInfo, measure, unless_empty
from surefoot.core.updates.lqclp import ABOVE, RECOVERY, constrained_step


class ConstrainedInfo(NamedTuple):
    """What a step within limits reports. Of several costs, what is said of one is of that which is
    furthest above its limit; costs are of an episode."""

    accepted: Bool[Array, ""]
    """Whether some step passed; if not, the parameters are exactly the old ones."""
    backtracks: Int[Array, ""]
    """How often the step was shortened; the number of tries if none passed."""
    shrink: Float[Array, ""]
    """The accepted fraction of the full step; 0 if none passed."""
    constraint_case: Int[Array, ""]
    """0: no step meets all limits, and this one lowers the cost that is furthest above its own; 1:
    a cost is above its limit, and the step should bring all below; 2: a limit shortens the step; 3:
    no limit does; 4: a cost is above its limit, and no step lowers it."""
    cost_multiplier: Float[Array, ""]
    """ν of its limit, in units of the objective per unit of a row's cost."""
    cost_predicted: Float[Array, ""]
    """How much it should change by the full step, to first order."""
    cost_change: Float[Array, ""]
    """How much it changes by the step that was taken, by importance sampling."""


class _Measured(NamedTuple):
    objective: Float[Array, ""]
    kl: Float[Array, ""]
    costs: Float[Array, " K"]


class Constrained(Update):
    """The best step within a mean KL of δ = `max_kl` nats and the limits of all costs, in the span
    of the geometry's directions for `objective` and for each cost. Lengths are measured in the
    undamped Fisher metric, so that both bounds hold in the model whatever damping shaped the
    directions.

    It is shortened until the KL is within δ, no cost rises by more than its room below the limit,
    and, unless a cost is above its limit, the objective does not fall. After `tries` of them
    without success the parameters stay exactly as they are."""

    objective: Objective = eqx.field(converter=as_objective)
    geometry: Geometry
    max_kl: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    shorten: Shorten = eqx.field(default_factory=Secant, kw_only=True)
    tries: int = eqx.field(static=True, default=15, kw_only=True)

    def init(self, params: Params) -> Any:
        return self.geometry.init(params)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        costs = costs_of(batch)
        number = len(costs.gap)
        local = LocalModel(self.objective, params, batch)
        limited = [LocalModel(CostSurrogate(k), params, batch) for k in range(number)]
        first, new_state, direction_info = self.geometry.direction(key, local, state)
        # A state that is an average of batches is to see this one once.
        others = [self.geometry.direction(key, one, state)[0] for one in limited]
        directions = [first, *others]
        images = [local.fvp(d) for d in directions]
        gram = jnp.stack([jnp.stack([dot(d, image) for image in images]) for d in directions])
        p = jnp.stack([dot(local.grad, d) for d in directions])
        u = jnp.stack([jnp.stack([dot(one.grad, d) for d in directions]) for one in limited])
        # A gradient is of a mean over rows, a limit one on an episode's sum.
        above = jnp.stack(costs.gap) / costs.length
        best = constrained_step(p, u, above, gram, self.max_kl)

        def step(*parts: Array) -> Array:
            return sum((x * part for x, part in zip(best.coefficients, parts, strict=True)))

        full = jax.tree.map(step, *directions)
        start, static = eqx.partition(params, eqx.is_inexact_array)

        def moved(fraction: Float[Array, ""]) -> Params:
            return jax.tree.map(lambda a, d: a + fraction * d, start, full)

        def at(fraction: Float[Array, ""]) -> _Measured:
            return self._measured(eqx.combine(moved(fraction), static), batch)

        before = self._measured(params, batch)
        room = jnp.maximum(-above, 0.0)
        may_fall = (best.case == ABOVE) | (best.case == RECOVERY)

        def accept(change: _Measured) -> Bool[Array, ""]:
            # Written so that a NaN in any number fails.
            within = (change.kl <= self.max_kl) & jnp.all(change.costs - before.costs <= room)
            return within & (may_fall | (change.objective >= before.objective))

        def shorten(fraction: Float[Array, ""], change: _Measured) -> Float[Array, ""]:
            return self.shorten(fraction, change.kl, jnp.asarray(self.max_kl))

        found = search(at, accept, shorten, tries=self.tries, dtype=above.dtype)
        theta = jax.tree.map(
            lambda old, new: jnp.where(found.accepted, new, old), start, moved(found.fraction)
        )
        new = eqx.combine(theta, static)
        new, new_state = unless_empty(batch, (new, new_state), (params, state))
        after, worst = self._measured(new, batch), jnp.argmax(above)
        info = ConstrainedInfo(
            accepted=found.accepted,
            backtracks=jnp.where(found.accepted, found.backtracks, self.tries),
            shrink=jnp.where(found.accepted, found.fraction, 0.0),
            constraint_case=best.case,
            cost_multiplier=best.multipliers[worst],
            cost_predicted=costs.length * (u @ best.coefficients)[worst],
            cost_change=costs.length * (after.costs - before.costs)[worst],
        )
        move = MoveInfo(direction_info, info)
        return new, new_state, measure(self.objective, params, new, batch, move)

    def _measured(self, params: Params, batch: Batch) -> _Measured:
        dist = distribution(params, batch)

        def mean(x: Float[Array, "*B"]) -> Float[Array, ""]:
            return weighted_mean(x, batch.weight)

        rows = costs_of(batch)
        costs = [mean(CostSurrogate(k)(dist, batch)) for k in range(len(rows.gap))]
        value = mean(self.objective(dist, batch))
        return _Measured(value, mean(batch.old.kl(dist)), jnp.stack(costs))
