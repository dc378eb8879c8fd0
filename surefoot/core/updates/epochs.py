"""`Epochs`: passes over a batch in shuffled minibatches, one step each."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from surefoot.core.data.types import Batch, Params, take
from surefoot.core.updates.base import Update, UpdateInfo, measure
from surefoot.core.updates.shuffle import shuffled
from surefoot.core.updates.step import Step


class Epochs(Update):
    """`epochs` passes over the batch in shuffled minibatches, one `step` each. A minibatch has
    `minibatch_size` rows; where that does not divide the batch, there are ⌈B/minibatch_size⌉ of
    nearly equal size. Of a batch of segments, whole segments are shuffled, as many to a minibatch
    as have no more rows, one at least. Means are over each minibatch's own weights."""

    step: Step
    epochs: int = eqx.field(static=True, kw_only=True)
    minibatch_size: int = eqx.field(static=True, kw_only=True)

    def init(self, params: Params) -> Any:
        return self.step.init(params)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        rows, *segment = batch.weight.shape
        count = -(-rows // max(1, self.minibatch_size // math.prod(segment)))
        size = -(-rows // count)
        # Rows of index −1 fill the last minibatches up and get no weight.
        fill = count * size - rows
        theta, static = eqx.partition(params, eqx.is_inexact_array)

        def minibatch(carry: Any, inputs: tuple[PRNGKeyArray, Array]) -> tuple[Any, Any]:
            theta, state = carry
            step_key, index = inputs
            chosen = take(batch, index)
            if fill:
                chosen = chosen._replace(weight=jnp.where(index >= 0, chosen.weight, 0.0))
            new, state, info = self.step.move(step_key, eqx.combine(theta, static), state, chosen)
            counts = jnp.any(chosen.weight > 0)
            return (eqx.filter(new, eqx.is_inexact_array), state), (info, counts)

        def epoch(carry: Any, epoch_key: PRNGKeyArray) -> tuple[Any, Any]:
            shuffle_key, step_key = jax.random.split(epoch_key)
            order = shuffled(shuffle_key, rows)
            order = jnp.pad(order, (0, fill), constant_values=-1).reshape(size, count).T
            return jax.lax.scan(minibatch, carry, (jax.random.split(step_key, count), order))

        (theta, state), (moves, counts) = jax.lax.scan(
            epoch, (theta, state), jax.random.split(key, self.epochs)
        )
        new = eqx.combine(theta, static)
        steps = jnp.maximum(jnp.sum(counts), 1).astype(jnp.result_type(float))

        def average(x: Array) -> Array:
            """Over the minibatches that were learned from."""
            return jnp.sum(jnp.where(counts, x.astype(steps.dtype), 0)) / steps

        moves = jax.tree.map(average, moves)
        return new, state, measure(self.step.objective, params, new, batch, moves)
