"""Masking: a distribution over discrete actions, given that the action is valid.

An invalid logit is replaced by a finite constant so low that its probability is exactly zero, in
single and in double precision (Huang & Ontañón 2022, "A closer look at invalid action masking in
policy gradient algorithms"). The formulas for logits are then right as they are: nothing invalid is
drawn or played, and in log-probability, entropy, KL and metric every invalid term is 0 times a
finite number. No gradient passes the replacement.

Only the pseudo-inverse of the metric has to know which logits are valid, because what it takes off
is a mean over them. Hence the wrapper: without a mask, the same program as ever.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from surefoot.core.distributions.base import Action, Distribution

#: The logit of what is invalid. Its square is finite in single precision, too.
INVALID = -1e9


class Masked(Distribution):
    """`of`, one choice or several, some of whose logits are `INVALID`."""

    of: Distribution

    def noise(self, key: PRNGKeyArray) -> PyTree[Shaped[Array, "..."]]:
        return self.of.noise(key)

    def draw(self, noise: PyTree[Shaped[Array, "..."]]) -> Action:
        return self.of.draw(noise)

    def mode(self) -> Action:
        return self.of.mode()

    def log_prob(self, action: Action) -> Float[Array, "..."]:
        return self.of.log_prob(action)

    def entropy(self) -> Float[Array, "..."]:
        return self.of.entropy()

    def kl(self, other: Masked) -> Float[Array, "..."]:
        return self.of.kl(other.of)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return self.of.diagnostics()

    def metric(self, tangent: Masked) -> Masked:
        return Masked(self.of.metric(tangent.of))

    def metric_inverse(self, cotangent: Masked) -> Masked:
        return Masked(jax.tree.map(_centered, self.of.metric_inverse(cotangent.of), self.of))

    @property
    def mask_size(self) -> int:
        return self.of.mask_size

    def masked(self, mask: Bool[Array, "*batch M"]) -> Distribution:
        return self.of.masked(mask)


def masked_logits(
    logits: Float[Array, "*batch K"], mask: Bool[Array, "*batch K"]
) -> Float[Array, "*batch K"]:
    """The logits where the mask is true, and `INVALID` elsewhere."""
    return jnp.where(mask, logits, INVALID)


def _centered(
    x: Float[Array, "*batch K"], logits: Float[Array, "*batch K"]
) -> Float[Array, "*batch K"]:
    """The entries of valid logits less their mean, and 0 elsewhere."""
    valid = logits > 0.5 * INVALID
    # A row that does not count may have no valid logit.
    count = jnp.maximum(jnp.sum(valid, axis=-1, keepdims=True), 1).astype(x.dtype)
    mean = jnp.sum(jnp.where(valid, x, 0.0), axis=-1, keepdims=True) / count
    return jnp.where(valid, x - mean, 0.0)
