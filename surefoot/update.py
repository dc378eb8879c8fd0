"""Updates: a complete improvement of some parameters on one batch.

`Step` is the three questions in one line: what to improve, which way is steepest, how far. `Epochs`
repeats a step on minibatches of the same batch. Both return, beside the parameters, what the update
did to the distribution on the whole batch.
"""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.geometry import Geometry
from surefoot.local import Local, dot, weighted_mean
from surefoot.objectives import Objective, as_objective
from surefoot.shuffle import shuffled
from surefoot.step_size import StepSize
from surefoot.types import Batch, Info, Params, take


class MoveInfo(NamedTuple):
    """The reports of the two parts that made a step."""

    direction: Info
    """The geometry's info."""
    length: Info
    """The step size's info."""


class UpdateInfo(NamedTuple):
    """What an update did, measured on the whole batch. KL is KL(old‖new) in nats."""

    objective_before: Float[Array, ""]
    """Batch mean of the objective before the update, in the objective's unit."""
    objective_after: Float[Array, ""]
    """The same after the update."""
    predicted_improvement: Float[Array, ""]
    """gᵀΔ: the improvement that the gradient before the update promises for the step taken."""
    kl_mean: Float[Array, ""]
    """Mean over the batch's states, nats."""
    kl_max: Float[Array, ""]
    """Largest over the batch's states, nats."""
    entropy: Float[Array, ""]
    """Mean entropy of the new distribution, nats."""
    diagnostics: dict[str, Float[Array, ""]]
    """Batch means of what the objective wants reported, after the update."""
    move: MoveInfo
    """The step's own reports; for several minibatch steps, their average."""


class Update(eqx.Module):
    """Improves parameters on a batch. Wrappers hold or make another `Update`."""

    @abc.abstractmethod
    def init(self, params: Params) -> Any:
        """The state before the first update."""

    @abc.abstractmethod
    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        """(new parameters, next state, info)."""


def measure(
    objective: Objective, old: Params, new: Params, batch: Batch, move: MoveInfo
) -> UpdateInfo:
    """Compare the parameters before and after an update on the whole batch."""
    before = Local(objective, old, batch)
    delta = jax.tree.map(
        lambda a, b: b - a,
        eqx.filter(old, eqx.is_inexact_array),
        eqx.filter(new, eqx.is_inexact_array),
    )
    dist = new(batch.obs)
    kl = batch.old.kl(dist)

    def mean(x: Float[Array, " B"]) -> Float[Array, ""]:
        return weighted_mean(x, batch.weight)

    return UpdateInfo(
        objective_before=before.value,
        objective_after=mean(objective(dist, batch)),
        predicted_improvement=dot(before.grad, delta),
        kl_mean=mean(kl),
        kl_max=jnp.max(jnp.where(batch.weight > 0, kl, 0.0)),
        entropy=mean(dist.entropy()),
        diagnostics={name: mean(x) for name, x in objective.diagnostics(dist, batch).items()},
        move=move,
    )


class Step(Update):
    """One step on the whole batch: objective × geometry × step size."""

    objective: Objective = eqx.field(converter=as_objective)
    geometry: Geometry
    step_size: StepSize

    def init(self, params: Params) -> Any:
        return self.geometry.init(params)

    def move(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, MoveInfo]:
        """The step alone, without measuring what it did."""
        local = Local(self.objective, params, batch)
        direction, state, direction_info = self.geometry.direction(key, local, state)
        params, length_info = self.step_size(local, direction)
        return params, state, MoveInfo(direction_info, length_info)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        new, state, info = self.move(key, params, state, batch)
        return new, state, measure(self.objective, params, new, batch, info)


class Epochs(Update):
    """`epochs` passes over the batch in shuffled minibatches, one `step` each. A minibatch has
    `minibatch_size` rows; where that does not divide the batch, there are ⌈B/minibatch_size⌉ of
    nearly equal size. Means are over each minibatch's own weights."""

    step: Step
    epochs: int = eqx.field(static=True, kw_only=True)
    minibatch_size: int = eqx.field(static=True, kw_only=True)

    def init(self, params: Params) -> Any:
        return self.step.init(params)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        rows = batch.weight.shape[0]
        count = -(-rows // self.minibatch_size)
        size = -(-rows // count)
        # Rows of index −1 fill the last minibatches up and get no weight.
        fill = count * size - rows
        theta, static = eqx.partition(params, eqx.is_inexact_array)

        def minibatch(carry: Any, inputs: tuple[PRNGKeyArray, Array]) -> tuple[Any, MoveInfo]:
            theta, state = carry
            step_key, index = inputs
            chosen = take(batch, index)
            if fill:
                chosen = chosen._replace(weight=jnp.where(index >= 0, chosen.weight, 0.0))
            new, state, info = self.step.move(step_key, eqx.combine(theta, static), state, chosen)
            return (eqx.filter(new, eqx.is_inexact_array), state), info

        def epoch(carry: Any, epoch_key: PRNGKeyArray) -> tuple[Any, MoveInfo]:
            shuffle_key, step_key = jax.random.split(epoch_key)
            order = shuffled(shuffle_key, rows)
            order = jnp.pad(order, (0, fill), constant_values=-1).reshape(size, count).T
            return jax.lax.scan(minibatch, carry, (jax.random.split(step_key, count), order))

        (theta, state), moves = jax.lax.scan(
            epoch, (theta, state), jax.random.split(key, self.epochs)
        )
        new = eqx.combine(theta, static)
        average = jax.tree.map(lambda x: jnp.mean(x, dtype=jnp.result_type(float)), moves)
        return new, state, measure(self.step.objective, params, new, batch, average)
