"""Distributions over discrete actions: one choice, several independent choices, bits."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from surefoot.core.distributions.base import Distribution
from surefoot.core.distributions.masked import INVALID, Masked, masked_logits

#: Smaller probabilities are divided by as if they were this.
SMALLEST = 1e-8


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

    def metric_inverse(self, cotangent: Categorical) -> Categorical:
        # M(x/p) = x where Σx = 0; M's null space are the constants.
        scaled = cotangent.logits / jnp.maximum(jax.nn.softmax(self.logits), SMALLEST)
        return Categorical(scaled - jnp.mean(scaled, axis=-1, keepdims=True))

    @property
    def mask_size(self) -> int:
        return self.logits.shape[-1]

    def masked(self, mask: Bool[Array, "*batch K"]) -> Masked:
        return Masked(Categorical(masked_logits(self.logits, mask)))


class MultiCategorical(Distribution):
    """Independent categoricals, one for each entry of a `MultiDiscrete` action [*batch, parts]. A
    mask is the concatenation of the parts'."""

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

    def metric_inverse(self, cotangent: MultiCategorical) -> MultiCategorical:
        pairs = zip(self.parts, cotangent.parts, strict=True)
        return MultiCategorical(tuple(p.metric_inverse(v) for p, v in pairs))

    @property
    def mask_size(self) -> int:
        return sum(p.mask_size for p in self.parts)

    def masked(self, mask: Bool[Array, "*batch M"]) -> Masked:
        ends = list(itertools.accumulate(p.mask_size for p in self.parts))
        masks = jnp.split(mask, ends[:-1], axis=-1)
        pairs = zip(self.parts, masks, strict=True)
        return Masked(
            MultiCategorical(tuple(Categorical(masked_logits(p.logits, m)) for p, m in pairs))
        )


class Bernoulli(Distribution):
    """Independent coins, for `MultiBinary` actions in {0, 1}. M = p(1 − p) per coin. A mask
    [*batch, 2K] says of coin after coin whether 0 and whether 1 is valid."""

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

    def metric_inverse(self, cotangent: Bernoulli) -> Bernoulli:
        p = jax.nn.sigmoid(self.logits)
        return Bernoulli(cotangent.logits / jnp.maximum(p * (1.0 - p), SMALLEST))

    @property
    def mask_size(self) -> int:
        return 2 * self.logits.shape[-1]

    def masked(self, mask: Bool[Array, "*batch M"]) -> Bernoulli:
        zero, one = mask[..., ::2], mask[..., 1::2]
        forced = jnp.where(one, -INVALID, INVALID)
        return Bernoulli(jnp.where(zero & one, self.logits, forced.astype(self.logits.dtype)))
