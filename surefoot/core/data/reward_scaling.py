"""What a learner sees of rewards. Every return that is reported is of the rewards as they are.

`RewardScaler` divides them by the running standard deviation of the discounted return, whose
moments skip rows that are no transition. `SignClipper` takes their sign before: a point is a point,
in games that score by one and in games that score by thousands (Mnih et al. 2015).
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from surefoot.core.data.normalization import Moments, initial_moments, merge


class RewardScaler(eqx.Module):
    """Divides rewards by the running standard deviation of R_t = γ R_{t−1} + r_t, which starts
    anew with every episode and after every row that is no transition. Where those returns do not
    vary it divides by their size |R|, and where they are zero, by 1."""

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
        mean, var, varies = self.moments.mean, self.moments.var, self.moments.varies
        size = jnp.where(mean == 0, 1.0, jnp.abs(mean))
        return reward / jnp.where(varies, jnp.sqrt(jnp.where(varies, var, 1.0)), size)


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


class SignClipper(eqx.Module):
    """The sign of rewards, −1, 0 or 1, as `inner` scales it."""

    inner: RewardScaler | NoScaler

    def update(
        self,
        reward: Float[Array, "T N"],
        done: Bool[Array, "T N"],
        valid: Bool[Array, "T N"],
        discount: Float[Array, ""] | float,
    ) -> SignClipper:
        """The clipper whose scaler has seen the signs of these rewards."""
        return SignClipper(self.inner.update(jnp.sign(reward), done, valid, discount))

    def __call__(self, reward: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        return self.inner(jnp.sign(reward))


#: Any of them.
Scaler = RewardScaler | NoScaler | SignClipper


def reward_scaler(num_envs: int) -> RewardScaler:
    """A scaler that has seen nothing, for `num_envs` parallel environments."""
    return RewardScaler(initial_moments(()), jnp.zeros((num_envs,)))


def scaler_of(num_envs: int, *, scale: bool, clip: bool) -> Scaler:
    """A scaler of rewards that has seen nothing."""
    inner = reward_scaler(num_envs) if scale else NoScaler()
    return SignClipper(inner) if clip else inner
