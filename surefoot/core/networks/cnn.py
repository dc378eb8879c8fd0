"""Convolutional encoders: a few convolutions, then a fully connected layer.

Images with sides of 36 pixels or more go through the network of Mnih et al. 2015: 32 channels of
8 × 8 with stride 4, 64 of 4 × 4 with stride 2, 64 of 3 × 3, and 512 units. Smaller ones, down to
8 pixels, go through that of Young & Tian 2019 for MinAtar: 16 channels of 3 × 3, and 128 units. No
image is padded, and every layer is followed by the activation.

Weights are orthogonal with gain √2, those of a convolution as the matrix [k·k·C, out]; biases are
zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from surefoot.common.errors import UsageError
from surefoot.core.networks.activations import Activated, Activation
from surefoot.core.networks.base import Layers
from surefoot.core.networks.convolution import Window, convolve
from surefoot.core.networks.matmul import matmul_with_transpose
from surefoot.core.networks.patches import Patches

#: Smallest side: channels of each convolution, its windows, and units of the last layer.
_DESIGNS = {
    36: ((32, 64, 64), (Window(8, 4), Window(4, 2), Window(3)), 512),
    8: ((16,), (Window(3),), 128),
}


class CNN(Activated):
    """An image [*batch, H, W, C] to its features: convolutions, and one fully connected layer."""

    weights: tuple[Float[Array, "in out"], ...]
    biases: tuple[Float[Array, " out"], ...]
    windows: tuple[Window, ...] = eqx.field(static=True)
    """Of the convolutions."""
    activation: Activation = eqx.field(static=True)

    def __init__(
        self, key: PRNGKeyArray, shape: tuple[int, ...], *, activation: Activation = jax.nn.relu
    ) -> None:
        """Raises `UsageError` for a shape other than (H, W, C), and a side below 8 pixels."""
        check_shape("CNN", shape, smallest=min(_DESIGNS))
        design = next(smallest for smallest in _DESIGNS if min(shape[:2]) >= smallest)
        widths, self.windows, units = _DESIGNS[design]

        *sides, channels = shape
        sizes = []
        for window, width in zip(self.windows, widths, strict=True):
            sizes.append((window.size**2 * channels, width))
            sides, channels = [window.positions(side) for side in sides], width
        sizes.append((math.prod(sides) * channels, units))

        orthogonal = jax.nn.initializers.orthogonal(2.0**0.5)
        keys = jax.random.split(key, len(sizes))
        self.weights = tuple(orthogonal(k, size) for k, size in zip(keys, sizes, strict=True))
        self.biases = tuple(jnp.zeros(out) for _, out in sizes)
        self.activation = activation

    @property
    def features(self) -> int:
        """How many features it makes of an image."""
        return self.biases[-1].shape[-1]

    @property
    def layers(self) -> Layers:
        """(W, b) of each layer, first to last."""
        return tuple(zip(self.weights, self.biases, strict=True))

    def with_layer_perturbations(
        self,
        image: Shaped[Array, "*batch H W C"],
        perturbations: Sequence[Float[Array, "*batch _ _"] | Float[Array, "*batch _"] | float],
    ) -> tuple[Float[Array, "*batch features"], tuple[Patches | Float[Array, "*batch _"], ...]]:
        """(features, every layer's input) with a perturbation added to every layer's output,
        x W + b. Where the layer is a convolution of P positions, x are its patches, and all three
        are [*batch, P, …]."""
        batch = image.shape[:-3]
        x = as_numbers(image, self.weights[0].dtype)
        inputs: list[Patches | Array] = []
        convolutions = len(self.windows)
        for window, (w, b), perturbation in zip(
            self.windows, self.layers[:-1], perturbations[:convolutions], strict=True
        ):
            inputs.append(Patches(x, window))
            product = convolve(x.reshape(-1, *x.shape[-3:]), w, window)
            sides = product.shape[1:3]
            at_positions = _plus(product.reshape(*batch, math.prod(sides), -1), b) + perturbation
            x = self.activation(at_positions).reshape(*batch, *sides, -1)

        (w, b), (perturbation,) = self.layers[-1], perturbations[convolutions:]
        x = x.reshape(*batch, -1)
        inputs.append(x)
        product = matmul_with_transpose(x.reshape(-1, x.shape[-1]), w).reshape(*batch, -1)
        return self.activation(_plus(product, b) + perturbation), tuple(inputs)

    def __call__(self, image: Shaped[Array, "*batch H W C"]) -> Float[Array, "*batch features"]:
        return self.with_layer_perturbations(image, (0.0,) * len(self.weights))[0]


def _plus(x: Float[Array, "*batch out"], bias: Float[Array, " out"]) -> Float[Array, "*batch out"]:
    return x + jnp.expand_dims(bias, range(x.ndim - 1))


def as_numbers(image: Shaped[Array, "*batch"], dtype: Any) -> Float[Array, "*batch"]:
    """uint8 divided by 255; others, bool for instance, by value."""
    x = image.astype(dtype)
    return x / 255 if image.dtype == jnp.uint8 else x


def check_shape(encoder: str, shape: tuple[int, ...], *, smallest: int) -> None:
    """Raise `UsageError` unless it is (H, W, C) with sides of `smallest` pixels at least."""
    if len(shape) != 3 or min(shape[:2]) < smallest or shape[2] < 1:
        raise UsageError(
            f"the shape of an image is {shape!r}; accepted by {encoder} is (height, width, "
            f"channels) with sides of {smallest} pixels or more"
        )
