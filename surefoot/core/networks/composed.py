"""Networks put together of an encoder, a memory and an output layer.

An encoder makes a vector of features of an observation; a memory makes another one of it and of
what it has kept; the output layer, an `MLP` of one, is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from surefoot.common.errors import UsageError
from surefoot.core.networks.activations import Activation
from surefoot.core.networks.base import Layers, Memoryless, Network, Unlayered
from surefoot.core.networks.mlp import MLP
from surefoot.core.networks.recurrent import Memory


class VectorEncoder(Unlayered):
    """Layers with the activation after the last one, too: an encoder of vectors."""

    mlp: MLP

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch features"]:
        return self.mlp.activation(self.mlp(x))


class Unchanged(Unlayered):
    """An encoder that does nothing: the vector is its features."""

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch in"]:
        return x


class Joined(Unlayered):
    """An encoder for each part of an observation, a dict; features side by side, in the order of
    the encoders' names."""

    parts: dict[str, Callable[[Array], Array]]

    def __call__(self, obs: dict[str, Array]) -> Float[Array, "*batch features"]:
        return jnp.concatenate([self.parts[k](obs[k]) for k in sorted(self.parts)], axis=-1)


class Single(Unlayered):
    """A module of the user's, which sees one observation at a time, asked for whole batches."""

    module: Callable[[Any], Array]
    dimensions: Any = eqx.field(static=True)
    """How many dimensions each part of one observation has: what is before them is the batch."""

    def __call__(self, obs: PyTree[Array]) -> Any:
        first, own = jax.tree.leaves(obs)[0], jax.tree.leaves(self.dimensions)[0]
        one = self.module
        for _ in range(first.ndim - own):
            one = jax.vmap(one)
        return one(obs)


class Encoded(Memoryless, Network):
    """An encoder and an output layer."""

    encoder: Any
    output: MLP

    def __call__(self, obs: PyTree[Array]) -> Float[Array, "*batch out"]:
        return self.output(self.encoder(obs))

    @property
    def layers(self) -> Layers:
        return (*self.encoder.layers, *self.output.layers)

    def with_layer_perturbations(
        self, obs: PyTree[Array], perturbations: Sequence[Array | float]
    ) -> tuple[Float[Array, "*batch out"], tuple[Any, ...]]:
        *inner, last = perturbations
        features, inputs = self.encoder.with_layer_perturbations(obs, inner)
        output, (features,) = self.output.with_layer_perturbations(features, (last,))
        return output, (*inputs, features)


class Recurrent(Unlayered, Network):
    """An encoder, a memory and an output layer."""

    encoder: Callable[[Any], Array]
    memory: Memory
    output: MLP

    def __call__(self, obs: PyTree[Array]) -> NoReturn:
        raise UsageError(
            "a network with a memory was asked about observations in no order; accepted is asking "
            "it by step, or by unroll for segments"
        )

    def initial(self, count: int) -> Any:
        return self.memory.initial(count)

    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: Any
    ) -> tuple[Float[Array, "N out"], Any]:
        assert starts is not None, "a memory has to know where episodes start"
        features, memory = self.memory.step(self.encoder(obs), starts, memory)
        return self.output(features), memory

    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "S L"], memory: Any
    ) -> tuple[Float[Array, "S L out"], Any]:
        features, memories = self.memory.unroll(self.encoder(obs), starts, memory)
        return self.output(features), memories


def vector_encoder(
    key: PRNGKeyArray, size: int, hidden: Sequence[int], activation: Activation, **options: Any
) -> VectorEncoder | Unchanged:
    """Fully connected layers of these widths, each with its activation; of none, nothing."""
    if not hidden:
        return Unchanged()
    return VectorEncoder(
        MLP(key, (size, *hidden), output_gain=2.0**0.5, activation=activation, **options)
    )
