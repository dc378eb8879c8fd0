"""The patches of images: what a convolution multiplies its weights with.

They hold every pixel up to k² times, so that those of a whole batch may not fit into memory. Here
they stand for an array that is made when it is asked for, of as many images as are looked at.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.core.networks.convolution import Window


class Patches(eqx.Module):
    """What a convolution reads at each of its P positions, [*batch, P, k·k·C]."""

    images: Float[Array, "*batch H W C"]
    window: Window = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the array."""
        *batch, height, width, channels = self.images.shape
        positions = self.window.positions(height) * self.window.positions(width)
        return *batch, positions, self.window.size**2 * channels

    def array(self) -> Float[Array, "*batch P kkC"]:
        """The patches. Positions lie row by row, and so do the pixels of each; channels are
        innermost, as in the weights."""
        size, stride, padding = self.window
        x = self.images
        around = ((padding, padding), (padding, padding), (0, 0))
        x = jnp.pad(x, ((0, 0),) * (x.ndim - 3) + around)
        ends = [stride * (self.window.positions(n) - 1) + 1 for n in self.images.shape[-3:-1]]
        # Side by side first, so that 2k pieces are put together, and not k².
        x = jnp.concatenate([x[..., i : i + ends[1] : stride, :] for i in range(size)], axis=-1)
        x = jnp.concatenate([x[..., i : i + ends[0] : stride, :, :] for i in range(size)], axis=-1)
        return x.reshape(self.shape)
