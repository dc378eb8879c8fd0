"""Running statistics of observations.

`ObservationNormalizer` standardizes observations and is frozen while one iteration's data is
collected and learned from, so that the stored observation is the one the policy saw; it belongs to
the agent. Its moments merge batches by the parallel algorithm of Chan, Golub & LeVeque (1979) and
skip rows that are no transition.

Observations of 64 bits lose digits when they become float32, all of them where they lie far from
zero. Their `Offset` is subtracted before; the normalizer holds it, and sees what is left.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from surefoot.core.data.count import Count
from surefoot.core.observation import vector_of, with_vector


class Moments(NamedTuple):
    """Number, mean and (biased) variance of everything seen so far.

    Late in a long run a batch moves the mean by less than a floating-point number resolves: what
    rounding left out of it and of the variance is kept, and added with the next batch (Kahan 1965).
    """

    seen: Count
    mean: Float[Array, "*shape"]
    var: Float[Array, "*shape"]
    mean_rest: Float[Array, "*shape"]
    var_rest: Float[Array, "*shape"]

    @property
    def varies(self) -> Bool[Array, "*shape"]:
        """Whether the values seen differ by more than rounding."""
        rounding = 8 * jnp.finfo(self.mean.dtype).eps * self.mean
        return self.var > rounding**2


def initial_moments(shape: tuple[int, ...]) -> Moments:
    """Nothing seen."""
    return Moments(Count.of(0), *(jnp.zeros(shape) for _ in range(4)))


def merge(moments: Moments, x: Float[Array, "B *shape"], valid: Bool[Array, " B"]) -> Moments:
    """The moments of what was seen before together with the valid rows of `x`."""
    mask = valid.reshape(valid.shape + (1,) * (x.ndim - 1))
    number = jnp.sum(valid, dtype=jnp.int32)
    n = jnp.maximum(number, 1).astype(x.dtype)

    def mean_of(x: Array) -> Array:
        return jnp.sum(jnp.where(mask, x, 0), axis=0) / n

    mean = mean_of(x)
    # A second pass takes out the rounding that a sum over a large batch leaves in the mean.
    mean = mean + mean_of(x - mean[None])
    var = mean_of((x - mean[None]) ** 2)

    seen = moments.seen.plus(number)
    share = n / jnp.maximum(seen.rounded(), 1).astype(x.dtype)
    delta = mean - moments.mean
    new_mean, mean_rest = _add(moments.mean, moments.mean_rest, delta * share)
    new_var, var_rest = _add(
        moments.var, moments.var_rest, (var - moments.var + delta**2 * (1 - share)) * share
    )
    merged = Moments(seen, new_mean, new_var, mean_rest, var_rest)
    return jax.tree.map(lambda new, old: jnp.where(number > 0, new, old), merged, moments)


def _add(total: Array, rest: Array, x: Array) -> tuple[Array, Array]:
    """(total + x, what rounding left out of it)."""
    x = x + rest
    after = total + x
    return after, x - (after - total)


class Offset(NamedTuple):
    """What is subtracted from encoded observations before they are rounded to float32: the sum of
    two float32 numbers, of 48 bits."""

    high: Float[Array, " obs"]
    low: Float[Array, " obs"]

    @classmethod
    def of(cls, value: np.ndarray) -> Offset:
        """The nearest one to float64 numbers."""
        high = value.astype(np.float32)
        return cls(jnp.asarray(high), jnp.asarray((value - high).astype(np.float32)))

    def value(self) -> np.ndarray | None:
        """In float64; `None` where all of it is zero."""
        value = np.asarray(self.high, np.float64) + np.asarray(self.low, np.float64)
        return value if value.any() else None


class Normalizer(eqx.Module):
    """A map of observations that learns from them between iterations."""

    offset: Offset | None = eqx.field(default=None, kw_only=True)
    """What the observations that it is given lack; `None` if they lack nothing."""

    @abc.abstractmethod
    def __call__(self, obs: PyTree[Array]) -> PyTree[Array]:
        """The observations [*batch, …] that the networks see."""

    @abc.abstractmethod
    def update(self, obs: PyTree[Array], valid: Bool[Array, "T N"]) -> Normalizer:
        """The normalizer for the next iteration."""

    @property
    @abc.abstractmethod
    def ready(self) -> Bool[Array, ""] | bool:
        """Whether it has seen what it needs to know."""

    def readied(self, updated: Normalizer) -> Normalizer:
        """Itself if it is ready, `updated` otherwise: what the first batch is learned with. That
        batch was collected by a policy to which all observations were alike, and its statistics are
        the first there are."""
        return jax.tree.map(lambda a, b: jnp.where(self.ready, a, b), self, updated)


class ObservationNormalizer(Normalizer):
    """(s − mean)/std of an observation's vector, clipped to ±`clip` standard deviations. An entry
    that has not varied is 0, and so is every entry before anything was seen: under any affine map
    of the observations, the networks see the same numbers."""

    moments: Moments
    clip: float = eqx.field(static=True, default=10.0)

    @property
    def inverse_std(self) -> Float[Array, " obs"]:
        """1/std of every entry; 0 where it has not varied."""
        varies = self.moments.varies
        return jnp.where(varies, jax.lax.rsqrt(jnp.where(varies, self.moments.var, 1.0)), 0.0)

    @property
    def ready(self) -> Bool[Array, ""]:
        return (self.moments.seen.high > 0) | (self.moments.seen.low > 0)

    def __call__(self, obs: PyTree[Array]) -> PyTree[Array]:
        return with_vector(obs, self._standardized)

    def _standardized(self, vector: Float[Array, "*batch obs"]) -> Float[Array, "*batch obs"]:
        ahead = range(vector.ndim - 1)
        z = vector - jnp.expand_dims(self.moments.mean, ahead)
        z = z * jnp.expand_dims(self.inverse_std, ahead)
        return jnp.clip(z, -self.clip, self.clip)

    def update(self, obs: PyTree[Array], valid: Bool[Array, "T N"]) -> ObservationNormalizer:
        vector = vector_of(obs)
        rows = vector.reshape(-1, vector.shape[-1])
        moments = merge(self.moments, rows, valid.reshape(-1))
        return ObservationNormalizer(moments, self.clip, offset=self.offset)


class NoNormalizer(Normalizer):
    """Observations as they are."""

    def __call__(self, obs: PyTree[Array]) -> PyTree[Array]:
        return obs

    def update(self, obs: PyTree[Array], valid: Bool[Array, "T N"]) -> NoNormalizer:
        return self

    @property
    def ready(self) -> bool:
        return True


def observation_normalizer(obs_size: int) -> ObservationNormalizer:
    """A normalizer that has seen nothing."""
    offset = Offset(jnp.zeros((obs_size,)), jnp.zeros((obs_size,)))
    return ObservationNormalizer(initial_moments((obs_size,)), offset=offset)


def offset_of(normalizer: Normalizer) -> np.ndarray | None:
    """What observations are to lack for this normalizer, float64 [obs]; `None`: nothing."""
    return None if normalizer.offset is None else normalizer.offset.value()


def whole(obs: PyTree[Array], offset: Offset | None) -> PyTree[Array]:
    """Encoded observations [*batch, …] with what they lack."""
    if offset is None:
        return obs

    def added(vector: Float[Array, "*batch obs"]) -> Float[Array, "*batch obs"]:
        ahead = range(vector.ndim - 1)
        parts = (jnp.expand_dims(part, ahead) for part in (offset.high, offset.low))
        return vector + sum(parts, start=jnp.zeros((), vector.dtype))

    return with_vector(obs, added)


def with_offset(normalizer: Normalizer, value: np.ndarray | None) -> Normalizer:
    """The normalizer for observations that lack this."""
    if normalizer.offset is None or value is None:
        return normalizer
    return eqx.tree_at(lambda n: n.offset, normalizer, Offset.of(value))
