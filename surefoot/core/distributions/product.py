"""The product of independent distributions, for a mixed action.

A raw action is the tuple of the parts' raw actions, and noise is the tuple of theirs. The joint
density is the product of the parts', so log-probability, entropy and KL are sums, and the metric
has one block a part.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from surefoot.core.distributions.base import Action, Distribution, no_mask


class Product(Distribution):
    """Independent distributions, one for each part of an action. A mask is the concatenation of
    those of the parts that have one."""

    parts: tuple[Distribution, ...]

    def noise(self, key: PRNGKeyArray) -> tuple[PyTree[Shaped[Array, "..."]], ...]:
        keys = jax.random.split(key, len(self.parts))
        return tuple(p.noise(k) for p, k in zip(self.parts, keys, strict=True))

    def draw(self, noise: tuple[PyTree[Shaped[Array, "..."]], ...]) -> tuple[Action, ...]:
        return tuple(p.draw(n) for p, n in zip(self.parts, noise, strict=True))

    def mode(self) -> tuple[Action, ...]:
        return tuple(p.mode() for p in self.parts)

    def log_prob(self, action: tuple[Action, ...]) -> Float[Array, "..."]:
        pairs = zip(self.parts, action, strict=True)
        return sum(p.log_prob(a) for p, a in pairs)  # type: ignore[return-value]

    def entropy(self) -> Float[Array, "..."]:
        return sum(p.entropy() for p in self.parts)  # type: ignore[return-value]

    def kl(self, other: Product) -> Float[Array, "..."]:
        return sum(p.kl(q) for p, q in zip(self.parts, other.parts, strict=True))  # type: ignore[return-value]

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        # One number an action dimension: under one name, the parts' lie side by side.
        found: dict[str, list[Array]] = {}
        for part in self.parts:
            for name, value in part.diagnostics().items():
                found.setdefault(name, []).append(value)
        return {name: jnp.concatenate(values, axis=-1) for name, values in found.items()}

    def metric(self, tangent: Product) -> Product:
        pairs = zip(self.parts, tangent.parts, strict=True)
        return Product(tuple(p.metric(v) for p, v in pairs))

    def metric_inverse(self, cotangent: Product) -> Product:
        pairs = zip(self.parts, cotangent.parts, strict=True)
        return Product(tuple(p.metric_inverse(v) for p, v in pairs))

    @property
    def mask_size(self) -> int:
        return sum(p.mask_size for p in self.parts)

    def masked(self, mask: Bool[Array, "*batch M"]) -> Product:
        if not self.mask_size:
            raise no_mask(self)
        ends = list(itertools.accumulate(p.mask_size for p in self.parts))
        masks = jnp.split(mask, ends[:-1], axis=-1)
        return Product(
            tuple(p.masked(m) if p.mask_size else p for p, m in zip(self.parts, masks, strict=True))
        )
