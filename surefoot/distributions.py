"""Action distributions, each with its own Fisher metric.

A distribution is a pytree whose leaves are its parameters φ with any leading batch dimensions:
logits for the discrete ones, mean and log σ for the Gaussian. The old policy of a batch is stored
as one of these, and KL(old‖new), entropy and the Fisher product are read off it in closed form.

The metric M(φ) = E_{a~φ}[∇_φ log p(a) ∇_φ log p(a)ᵀ] acts on a tangent of φ, which is a
distribution object of the same type whose leaves are the tangent's. With the network's Jacobian J
of φ it gives the policy's Fisher matrix F = E[Jᵀ M J] (Martens 2014, "New insights and perspectives
on the natural gradient method").
"""

from __future__ import annotations

import abc
import math
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Shaped

Self = TypeVar("Self", bound="Distribution")


class Distribution(eqx.Module):
    """A batch of distributions over actions. All results keep the batch's leading dimensions;
    log-probabilities, entropies and divergences are summed over the action's own dimensions."""

    @abc.abstractmethod
    def noise(self, key: PRNGKeyArray) -> PyTree[Shaped[Array, "..."]]:
        """The randomness of one action a batch entry. Of the distribution only the shapes and types
        of its parameters matter, so that it can be drawn for many steps before they are known: in a
        rollout, that costs more than the network if it is done at every step."""

    @abc.abstractmethod
    def draw(self, noise: PyTree[Shaped[Array, "..."]]) -> Shaped[Array, "..."]:
        """The actions that this noise makes."""

    def sample(self, key: PRNGKeyArray) -> Shaped[Array, "..."]:
        """One action a batch entry."""
        return self.draw(self.noise(key))

    @abc.abstractmethod
    def mode(self) -> Shaped[Array, "..."]:
        """The most probable action: what a deterministic policy does."""

    @abc.abstractmethod
    def log_prob(self, action: Shaped[Array, "..."]) -> Float[Array, "..."]:
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

    def inner(self: Self, other: Self) -> Float[Array, " B"]:
        """Inner product of the parameters, or of tangents, for a batch of one dimension."""
        pairs = zip(jax.tree.leaves(self), jax.tree.leaves(other), strict=True)
        return jnp.asarray(sum(jnp.sum(a * b, axis=tuple(range(1, a.ndim))) for a, b in pairs))


class Categorical(Distribution):
    """One of `K` actions, with unnormalized log-probabilities. M = diag(p) − ppᵀ."""

    logits: Float[Array, "*batch K"]

    def noise(self, key: PRNGKeyArray) -> Float[Array, "*batch K"]:
        return jax.random.gumbel(key, self.logits.shape, self.logits.dtype)

    def draw(self, noise: Float[Array, "*batch K"]) -> Int[Array, "*batch"]:
        return jnp.argmax(self.logits + noise, axis=-1)

    def mode(self) -> Int[Array, "*batch"]:
        return jnp.argmax(self.logits, axis=-1)

    def log_prob(self, action: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
        log_p = jax.nn.log_softmax(self.logits)
        # A one-hot product, not a gather: the gradient of a gather is a scatter, slow on CPU.
        chosen = jax.nn.one_hot(action, self.logits.shape[-1], dtype=bool)
        return jnp.sum(jnp.where(chosen, log_p, 0.0), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        log_p = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)

    def kl(self, other: Categorical) -> Float[Array, "*batch"]:
        log_p, log_q = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return {}

    def metric(self, tangent: Categorical) -> Categorical:
        p = jax.nn.softmax(self.logits)
        pv = p * tangent.logits
        return Categorical(pv - p * jnp.sum(pv, axis=-1, keepdims=True))


class MultiCategorical(Distribution):
    """Independent categoricals, one for each entry of a `MultiDiscrete` action [*batch, parts]."""

    parts: tuple[Categorical, ...]

    def noise(self, key: PRNGKeyArray) -> tuple[Float[Array, "*batch _"], ...]:
        keys = jax.random.split(key, len(self.parts))
        return tuple(p.noise(k) for p, k in zip(self.parts, keys, strict=True))

    def draw(self, noise: tuple[Float[Array, "*batch _"], ...]) -> Int[Array, "*batch parts"]:
        return jnp.stack([p.draw(n) for p, n in zip(self.parts, noise, strict=True)], axis=-1)

    def mode(self) -> Int[Array, "*batch parts"]:
        return jnp.stack([p.mode() for p in self.parts], axis=-1)

    def log_prob(self, action: Int[Array, "*batch parts"]) -> Float[Array, "*batch"]:
        return sum(p.log_prob(action[..., i]) for i, p in enumerate(self.parts))  # type: ignore[return-value]

    def entropy(self) -> Float[Array, "*batch"]:
        return sum(p.entropy() for p in self.parts)  # type: ignore[return-value]

    def kl(self, other: MultiCategorical) -> Float[Array, "*batch"]:
        return sum(p.kl(q) for p, q in zip(self.parts, other.parts, strict=True))  # type: ignore[return-value]

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return {}

    def metric(self, tangent: MultiCategorical) -> MultiCategorical:
        pairs = zip(self.parts, tangent.parts, strict=True)
        return MultiCategorical(tuple(p.metric(v) for p, v in pairs))


class Bernoulli(Distribution):
    """Independent coins, for `MultiBinary` actions in {0, 1}. M = p(1 − p) per coin."""

    logits: Float[Array, "*batch K"]

    def noise(self, key: PRNGKeyArray) -> Float[Array, "*batch K"]:
        return jax.random.uniform(key, self.logits.shape, self.logits.dtype)

    def draw(self, noise: Float[Array, "*batch K"]) -> Int[Array, "*batch K"]:
        return (noise < jax.nn.sigmoid(self.logits)).astype(jnp.int32)

    def mode(self) -> Int[Array, "*batch K"]:
        return (self.logits > 0).astype(jnp.int32)

    def log_prob(self, action: Int[Array, "*batch K"]) -> Float[Array, "*batch"]:
        sign = 2.0 * action.astype(self.logits.dtype) - 1.0
        return jnp.sum(jax.nn.log_sigmoid(sign * self.logits), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        p = jax.nn.sigmoid(self.logits)
        log_p, log_not_p = jax.nn.log_sigmoid(self.logits), jax.nn.log_sigmoid(-self.logits)
        return -jnp.sum(p * log_p + (1.0 - p) * log_not_p, axis=-1)

    def kl(self, other: Bernoulli) -> Float[Array, "*batch"]:
        p = jax.nn.sigmoid(self.logits)
        heads = jax.nn.log_sigmoid(self.logits) - jax.nn.log_sigmoid(other.logits)
        tails = jax.nn.log_sigmoid(-self.logits) - jax.nn.log_sigmoid(-other.logits)
        return jnp.sum(p * heads + (1.0 - p) * tails, axis=-1)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return {}

    def metric(self, tangent: Bernoulli) -> Bernoulli:
        p = jax.nn.sigmoid(self.logits)
        return Bernoulli(p * (1.0 - p) * tangent.logits)


class DiagGaussian(Distribution):
    """Independent Gaussians. M = 1/σ² for the mean and 2 for log σ, with no cross term."""

    mean: Float[Array, "*batch D"]
    log_std: Float[Array, "*batch D"]

    def noise(self, key: PRNGKeyArray) -> Float[Array, "*batch D"]:
        return jax.random.normal(key, self.mean.shape, self.mean.dtype)

    def draw(self, noise: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> Float[Array, "*batch D"]:
        return self.mean

    def log_prob(self, action: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return jnp.sum(-0.5 * z**2 - self.log_std - 0.5 * math.log(2 * math.pi), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.log_std + 0.5 * math.log(2 * math.pi * math.e), axis=-1)

    def kl(self, other: DiagGaussian) -> Float[Array, "*batch"]:
        log_ratio = self.log_std - other.log_std
        distance = (self.mean - other.mean) * jnp.exp(-other.log_std)
        # expm1 keeps the small differences of a small step: (σ²/σ'² − 1)/2 − log(σ/σ').
        per_dimension = 0.5 * jnp.expm1(2.0 * log_ratio) - log_ratio + 0.5 * distance**2
        return jnp.sum(per_dimension, axis=-1)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return {"std": jnp.exp(self.log_std)}

    def metric(self, tangent: DiagGaussian) -> DiagGaussian:
        return DiagGaussian(tangent.mean * jnp.exp(-2.0 * self.log_std), 2.0 * tangent.log_std)
