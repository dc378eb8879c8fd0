"""Images, policies that see them, and what a convolution does, written out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from support.problems import drawn, forward
from surefoot.core.data.types import Batch
from surefoot.core.networks import CategoricalHead, Patches
from surefoot.core.networks.convolution import convolve


def patches_by_hand(x, window):
    """[B, P, k·k·C], a pixel at a time."""
    size, stride, padding = window
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:3])
    found = np.zeros((len(x), rows * columns, size * size * x.shape[-1]))
    for b in range(len(x)):
        for r in range(rows):
            for c in range(columns):
                for i in range(size):
                    for j in range(size):
                        for channel in range(x.shape[-1]):
                            entry = (i * size + j) * x.shape[-1] + channel
                            pixel = x[b, r * stride + i, c * stride + j, channel]
                            found[b, r * columns + c, entry] = pixel
    return found


def convolved_by_hand(x, w, window):
    """[B, rows, columns, out]: each patch with the weights."""
    sides = [
        (side + 2 * window.padding - window.size) // window.stride + 1 for side in x.shape[1:3]
    ]
    return (patches_by_hand(x, window) @ w).reshape(len(x), *sides, -1)


class Convolved(eqx.Module):
    """A policy of one convolution, whose outputs at all positions the head reads."""

    w: jax.Array
    b: jax.Array
    window: tuple = eqx.field(static=True)
    head: eqx.Module

    @property
    def layers(self):
        return ((self.w, self.b),)

    def with_layer_perturbations(self, obs, perturbations):
        batch = obs.shape[:-3]
        x = convolve(obs.reshape(-1, *obs.shape[-3:]), self.w, self.window)
        x = x.reshape(*batch, -1, x.shape[-1])
        x = x + jnp.expand_dims(self.b, range(x.ndim - 1)) + perturbations[0]
        return self.head(x.reshape(*batch, -1)), (Patches(obs, self.window),)

    def __call__(self, obs):
        return self.with_layer_perturbations(obs, (0.0,))[0]


class Encoded(eqx.Module):
    """A policy of an encoder and a linear layer, over four actions."""

    encoder: eqx.Module
    w: jax.Array
    b: jax.Array
    head: eqx.Module

    @classmethod
    def of(cls, encoder, seed=0):
        """With parameters of a fresh encoder's size, and none of them zero."""
        rng = np.random.default_rng(seed)
        blank = eqx.filter_eval_shape(
            lambda: cls(encoder(), jnp.zeros((encoder().features, 4)), jnp.zeros(4), _HEAD)
        )

        def filled(x):
            scale = np.sqrt(1.0 / len(x)) if x.ndim > 1 else 0.3
            return jnp.asarray(scale * rng.normal(size=x.shape), x.dtype)

        return jax.tree.map(filled, blank)

    @property
    def layers(self):
        return (*self.encoder.layers, (self.w, self.b))

    def with_layer_perturbations(self, obs, perturbations):
        x, inputs = self.encoder.with_layer_perturbations(obs, perturbations[:-1])
        return self.head(x @ self.w + self.b[None] + perturbations[-1]), (*inputs, x)

    def __call__(self, obs):
        return self.head(self.encoder(obs) @ self.w + self.b[None])


_HEAD = CategoricalHead(4)


def image_batch(policy, shape, seed=0, *, rows=6):
    """Rows with an image each, a third of them without weight."""
    rng = np.random.default_rng([seed, 2])
    obs = jnp.asarray(rng.normal(size=(rows, *shape)))
    old = forward(policy, obs)
    return Batch(
        obs=obs,
        action=drawn(old, rng),
        old=old,
        advantage=jnp.asarray(rng.normal(size=rows)),
        weight=jnp.asarray((np.arange(rows) % 3 != 1) * (1.0 + np.arange(rows) % 2), obs.dtype),
        progress=jnp.asarray(0.25),
    )
