"""Running statistics of what the environment returns.

`ObservationNormalizer` standardizes observations and is frozen while one iteration's data is
collected and learned from, so that the stored observation is the one the policy saw; it belongs to
the agent. `RewardScaler` divides rewards by the running standard deviation of the discounted
return; only the learner sees scaled rewards. Both merge batches by the parallel algorithm of Chan,
Golub & LeVeque (1979) and skip rows that are no transition.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_EPS = 1e-8


class Moments(NamedTuple):
    """Number, mean and (biased) variance of everything seen so far."""

    seen: Float[Array, ""]
    mean: Float[Array, "*shape"]
    var: Float[Array, "*shape"]


def initial_moments(shape: tuple[int, ...]) -> Moments:
    """Nothing seen: mean 0 and variance 1, so that normalizing changes nothing."""
    return Moments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))


def merge(moments: Moments, x: Float[Array, "B *shape"], valid: Bool[Array, " B"]) -> Moments:
    """The moments of what was seen before together with the valid rows of `x`."""
    mask = valid.reshape(valid.shape + (1,) * (x.ndim - 1))
    n = jnp.sum(valid, dtype=x.dtype)
    mean = jnp.sum(jnp.where(mask, x, 0), axis=0) / jnp.maximum(n, 1)
    var = jnp.sum(jnp.where(mask, (x - mean[None]) ** 2, 0), axis=0) / jnp.maximum(n, 1)

    total = jnp.maximum(moments.seen + n, 1)
    delta = mean - moments.mean
    spread = delta**2 * (moments.seen * n / total)
    merged = Moments(
        seen=moments.seen + n,
        mean=moments.mean + delta * (n / total),
        var=(moments.var * moments.seen + var * n + spread) / total,
    )
    return jax.tree.map(lambda new, old: jnp.where(n > 0, new, old), merged, moments)


class Normalizer(eqx.Module):
    """A map of observations that learns from them between iterations."""

    @abc.abstractmethod
    def __call__(self, obs: Float[Array, "*batch obs"]) -> Float[Array, "*batch obs"]:
        """The observations that the networks see."""

    @abc.abstractmethod
    def update(self, obs: Float[Array, "T N obs"], valid: Bool[Array, "T N"]) -> Normalizer:
        """The normalizer for the next iteration."""


class ObservationNormalizer(Normalizer):
    """(s − mean)/std, clipped to ±`clip` standard deviations; before it has seen anything, the
    identity but for the clip."""

    moments: Moments
    clip: float = eqx.field(static=True, default=10.0)

    @property
    def inverse_std(self) -> Float[Array, " obs"]:
        """1/std of every entry."""
        return jax.lax.rsqrt(self.moments.var + _EPS)

    def __call__(self, obs: Float[Array, "*batch obs"]) -> Float[Array, "*batch obs"]:
        ahead = range(obs.ndim - 1)
        z = obs - jnp.expand_dims(self.moments.mean, ahead)
        z = z * jnp.expand_dims(self.inverse_std, ahead)
        return jnp.clip(z, -self.clip, self.clip)

    def update(
        self, obs: Float[Array, "T N obs"], valid: Bool[Array, "T N"]
    ) -> ObservationNormalizer:
        rows = obs.reshape(-1, obs.shape[-1])
        return ObservationNormalizer(merge(self.moments, rows, valid.reshape(-1)), self.clip)


class NoNormalizer(Normalizer):
    """Observations as they are."""

    def __call__(self, obs: Float[Array, "*batch obs"]) -> Float[Array, "*batch obs"]:
        return obs

    def update(self, obs: Float[Array, "T N obs"], valid: Bool[Array, "T N"]) -> NoNormalizer:
        return self


class RewardScaler(eqx.Module):
    """Divides rewards by the running standard deviation of R_t = γ R_{t−1} + r_t, which starts
    anew with every episode and after every row that is no transition. While that deviation is zero,
    rewards are left alone."""

    moments: Moments
    running_return: Float[Array, " N"]

    def update(
        self,
        reward: Float[Array, "T N"],
        done: Bool[Array, "T N"],
        valid: Bool[Array, "T N"],
        discount: Float[Array, ""] | float,
    ) -> RewardScaler:
        """The scaler that has seen these rewards; use it on the same rewards."""

        def accumulate(carry: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            r, ended, is_valid = row
            total = discount * carry + r
            return jnp.where(ended | ~is_valid, 0.0, total), total

        running, returns = jax.lax.scan(accumulate, self.running_return, (reward, done, valid))
        return RewardScaler(merge(self.moments, returns.reshape(-1), valid.reshape(-1)), running)

    def __call__(self, reward: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        varies = self.moments.var > _EPS * (1.0 + self.moments.mean**2)
        return reward * jax.lax.rsqrt(jnp.where(varies, self.moments.var, 1.0))


class NoScaler(eqx.Module):
    """Rewards as they are."""

    def update(
        self,
        reward: Float[Array, "T N"],
        done: Bool[Array, "T N"],
        valid: Bool[Array, "T N"],
        discount: Float[Array, ""] | float,
    ) -> NoScaler:
        """Nothing to learn."""
        return self

    def __call__(self, reward: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        return reward


def observation_normalizer(obs_size: int) -> ObservationNormalizer:
    """A normalizer that has seen nothing."""
    return ObservationNormalizer(initial_moments((obs_size,)))


def reward_scaler(num_envs: int) -> RewardScaler:
    """A scaler that has seen nothing, for `num_envs` parallel environments."""
    return RewardScaler(initial_moments(()), jnp.zeros((num_envs,)))
