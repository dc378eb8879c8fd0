"""`Distribution`: what a policy returns for a batch of observations.

A distribution is a pytree whose leaves are its parameters φ, [*batch, D], with any batch
dimensions: logits for the discrete ones, mean and log σ for the Gaussian. The old policy of a batch
is stored as one of these, and KL(old‖new), entropy and the Fisher product are read off it in closed
form. Where all leaves are zero, as in rows that a batch does not count, every number must be
finite.

The metric M(φ) = E_{a~φ}[∇_φ log p(a) ∇_φ log p(a)ᵀ] acts on a tangent of φ, which is a
distribution object of the same type whose leaves are the tangent's. With the network's Jacobian J
of φ it gives the policy's Fisher matrix F = E[Jᵀ M J] (Martens 2014, "New insights and perspectives
on the natural gradient method").
"""

from __future__ import annotations

import abc
from typing import Literal, TypeAlias, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

Self = TypeVar("Self", bound="Distribution")

#: One raw action a batch entry: an array, or for a mixed action a tuple of its parts' own.
Action: TypeAlias = PyTree[Shaped[Array, "..."]]

#: KL(old‖new), or KL(new‖old).
KLDirection = Literal["old_new", "new_old"]


class Distribution(eqx.Module):
    """A batch of distributions over actions. All results keep the batch's leading dimensions;
    log-probabilities, entropies and divergences are summed over the action's own dimensions."""

    @abc.abstractmethod
    def noise(self, key: PRNGKeyArray) -> PyTree[Shaped[Array, "..."]]:
        """The randomness of one action a batch entry. Of the distribution only the shapes and types
        of its parameters matter, so that it can be drawn for many steps before they are known: in a
        rollout, that costs more than the network if it is done at every step."""

    @abc.abstractmethod
    def draw(self, noise: PyTree[Shaped[Array, "..."]]) -> Action:
        """The actions that this noise makes."""

    def sample(self, key: PRNGKeyArray) -> Action:
        """One action a batch entry."""
        return self.draw(self.noise(key))

    @abc.abstractmethod
    def mode(self) -> Action:
        """The most probable action: what a deterministic policy does."""

    @abc.abstractmethod
    def log_prob(self, action: Action) -> Float[Array, "..."]:
        """Log-probability or log-density, nats."""

    @abc.abstractmethod
    def entropy(self) -> Float[Array, "..."]:
        """Entropy (differential for the Gaussian), nats."""

    @abc.abstractmethod
    def kl(self: Self, other: Self) -> Float[Array, "..."]:
        """KL(self‖other), nats."""

    @abc.abstractmethod
    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        """Named quantities worth reporting as means over a batch, one an action dimension."""

    @abc.abstractmethod
    def metric(self: Self, tangent: Self) -> Self:
        """M(φ)·tangent: the Fisher metric of the distribution's own parameters."""

    @abc.abstractmethod
    def metric_inverse(self: Self, cotangent: Self) -> Self:
        """M(φ)⁺·cotangent, the pseudo-inverse of `metric`: the natural gradient of a function of φ
        whose gradient is `cotangent`. A cotangent, as every gradient of a function of the
        probabilities, has no part in M's null space. Probabilities are taken to be 10⁻⁸ at least.
        """

    @property
    @abc.abstractmethod
    def mask_size(self) -> int:
        """How many entries the mask of one action has: one for each alternative of each choice, and
        0 where nothing can be masked."""

    @abc.abstractmethod
    def masked(self, mask: Bool[Array, "*batch M"]) -> Distribution:
        """The distribution given that the action is valid, with the mask true where an alternative
        is. Every choice must have a valid one. Raises `TypeError` where nothing can be masked."""

    def inner(self: Self, other: Self) -> Float[Array, "*batch"]:
        """Inner product of the parameters, or of tangents."""
        pairs = zip(jax.tree.leaves(self), jax.tree.leaves(other), strict=True)
        return jnp.asarray(sum(jnp.sum(a * b, axis=-1) for a, b in pairs))


def no_mask(dist: Distribution) -> TypeError:
    """What `masked` raises where nothing can be masked."""
    return TypeError(
        f"{type(dist).__name__} cannot be masked; accepted are distributions over discrete actions"
    )


def kl_between(old: Self, new: Self, direction: KLDirection) -> Float[Array, "..."]:
    """KL(old‖new) for "old_new", KL(new‖old) for "new_old", nats."""
    return old.kl(new) if direction == "old_new" else new.kl(old)
