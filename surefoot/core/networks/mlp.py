"""Fully connected layers.

Weights are orthogonal with gain √2 in the hidden layers and a chosen gain at the output; biases are
zero.

Layer normalization (Ba et al. 2016), where it is asked for, stands before the activation of every
hidden layer, without the scale and the shift that can be learned: W and b of the layers stay all
parameters that there are, and K-FAC knows them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.core.networks.activations import Activated, Activation
from surefoot.core.networks.base import Layers, Memoryless, Network
from surefoot.core.networks.matmul import matmul_with_transpose

#: ε, added to the variance of a normalized layer, so that units that agree become 0.
NORMALIZATION_EPSILON = 1e-5


class MLP(Activated, Memoryless, Network):
    """Fully connected layers, x ↦ act(x W + b), or act(norm(x W + b)), the last one linear."""

    weights: tuple[Float[Array, "in out"], ...]
    biases: tuple[Float[Array, " out"], ...]
    activation: Activation = eqx.field(static=True)
    layer_norm: bool = eqx.field(static=True, default=False)

    def __init__(
        self,
        key: PRNGKeyArray,
        sizes: Sequence[int],
        *,
        output_gain: float,
        activation: Activation = jnp.tanh,
        layer_norm: bool = False,
    ) -> None:
        gains = [2.0**0.5] * (len(sizes) - 2) + [output_gain]
        keys = jax.random.split(key, len(gains))
        shapes = itertools.pairwise(sizes)
        self.weights = tuple(
            jax.nn.initializers.orthogonal(gain)(k, shape)
            for k, shape, gain in zip(keys, shapes, gains, strict=True)
        )
        self.biases = tuple(jnp.zeros(size) for size in sizes[1:])
        self.activation = activation
        self.layer_norm = layer_norm

    @property
    def layers(self) -> Layers:
        """(W, b) of each layer, first to last."""
        return tuple(zip(self.weights, self.biases, strict=True))

    def with_layer_perturbations(
        self,
        x: Float[Array, "*batch in"],
        perturbations: Sequence[Float[Array, "*batch _"] | float],
    ) -> tuple[Float[Array, "*batch out"], tuple[Float[Array, "*batch _"], ...]]:
        """(output, every layer's input) with a perturbation added to every layer's output x W + b:
        the derivative with respect to a perturbation is the one with respect to that output."""
        inputs = []
        for i, ((w, b), perturbation) in enumerate(zip(self.layers, perturbations, strict=True)):
            if i > 0:
                x = self.activation(_normalized(x) if self.layer_norm else x)
            inputs.append(x)
            product = matmul_with_transpose(x, w) if x.ndim == 2 else x @ w
            x = product + jnp.expand_dims(b, range(x.ndim - 1)) + perturbation
        return x, tuple(inputs)

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        return self.with_layer_perturbations(x, (0.0,) * len(self.weights))[0]


def _normalized(x: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
    """(x − mean)/√(variance + ε) over the units of the layer."""
    centered = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(centered**2, axis=-1, keepdims=True)
    return centered * jax.lax.rsqrt(variance + NORMALIZATION_EPSILON)
