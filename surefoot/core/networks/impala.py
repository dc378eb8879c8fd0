"""The residual encoder of IMPALA (Espeholt et al. 2018).

Three sections, of 16, 32 and 32 channels: a convolution, a pooling that halves the image, and two
residual blocks x ↦ x + conv(relu(conv(relu(x)))). Then relu, 256 units, relu. All convolutions are
3 × 3 and keep the image's size.

Weights are orthogonal with gain √2, those of a convolution as the matrix [9·C, out]; biases are
zero. What the six blocks add is scaled by 1/√6 at first, by the weights of their last convolutions,
so that features do not grow with the number of blocks.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from surefoot.core.networks.base import Unlayered
from surefoot.core.networks.cnn import as_numbers, check_shape
from surefoot.core.networks.convolution import Window, convolve
from surefoot.core.networks.matmul import matmul_with_transpose

_SECTIONS = (16, 32, 32)
_BLOCKS = 2
_UNITS = 256
_SAME = Window(3, padding=1)


class Impala(Unlayered):
    """An image [*batch, H, W, C] to 256 features: three sections of residual blocks."""

    weights: tuple[Float[Array, "in out"], ...]
    biases: tuple[Float[Array, " out"], ...]

    def __init__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> None:
        """Raises `UsageError` for a shape other than (H, W, C)."""
        check_shape("Impala", shape, smallest=1)
        *sides, channels = shape
        gain, last = 2.0**0.5, (2.0 / (len(_SECTIONS) * _BLOCKS)) ** 0.5
        sizes, gains = [], []
        for width in _SECTIONS:
            sizes += [(9 * channels, width)] + 2 * _BLOCKS * [(9 * width, width)]
            gains += [gain] + _BLOCKS * [gain, last]
            sides, channels = [_half(side) for side in sides], width
        sizes.append((math.prod(sides) * channels, _UNITS))
        gains.append(gain)

        self.weights = tuple(
            jax.nn.initializers.orthogonal(gain)(k, size)
            for k, size, gain in zip(jax.random.split(key, len(sizes)), sizes, gains, strict=True)
        )
        self.biases = tuple(jnp.zeros(out) for _, out in sizes)

    @property
    def features(self) -> int:
        """How many features it makes of an image."""
        return self.biases[-1].shape[-1]

    def __call__(self, image: Shaped[Array, "*batch H W C"]) -> Float[Array, "*batch features"]:
        batch = image.shape[:-3]
        x = as_numbers(image, self.weights[0].dtype).reshape(-1, *image.shape[-3:])
        layers = iter(zip(self.weights, self.biases, strict=True))
        for _ in _SECTIONS:
            x = _pooled(_convolved(x, *next(layers)))
            for _ in range(_BLOCKS):
                inside = _convolved(jax.nn.relu(x), *next(layers))
                x = x + _convolved(jax.nn.relu(inside), *next(layers))
        w, b = next(layers)
        x = matmul_with_transpose(jax.nn.relu(x).reshape(x.shape[0], -1), w) + b[None]
        return jax.nn.relu(x).reshape(*batch, -1)


def _convolved(
    x: Float[Array, "B H W C"], w: Float[Array, "in out"], b: Float[Array, " out"]
) -> Float[Array, "B H W out"]:
    return convolve(x, w, _SAME) + b[None, None, None]


def _half(side: int) -> int:
    return -(-side // 2)


def _pooled(x: Float[Array, "B H W C"]) -> Float[Array, "B h w C"]:
    """The maximum of 3 × 3 pixels, two pixels apart, with as little around the image as covers it
    and the larger part of it below and on the right: TensorFlow's SAME."""
    for axis in (1, 2):
        side, half = x.shape[axis], _half(x.shape[axis])
        around = 2 * half + 1 - side
        pads = [(around // 2, around - around // 2) if i == axis else (0, 0) for i in range(4)]
        x = jnp.pad(x, pads, constant_values=-jnp.inf)
        # Maxima of slices: on a CPU the derivative of a maximum over windows is slow.
        parts = [
            jax.lax.slice_in_dim(x, i, i + 2 * half - 1, stride=2, axis=axis) for i in range(3)
        ]
        x = jnp.maximum(jnp.maximum(parts[0], parts[1]), parts[2])
    return x
