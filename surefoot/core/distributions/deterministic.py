"""A distribution that always draws its mode."""

from __future__ import annotations

from jaxtyping import Array, Bool, Float, PRNGKeyArray

from surefoot.core.distributions.base import Action, Distribution


class Deterministic(Distribution):
    """A distribution of which always the mode is drawn. `log_prob`, `entropy` and `kl` are those of
    the distribution within, not of a point mass."""

    of: Distribution

    def noise(self, key: PRNGKeyArray) -> None:
        return None

    def draw(self, noise: None) -> Action:
        return self.mode()

    def mode(self) -> Action:
        return self.of.mode()

    def log_prob(self, action: Action) -> Float[Array, "..."]:
        return self.of.log_prob(action)

    def entropy(self) -> Float[Array, "..."]:
        return self.of.entropy()

    def kl(self, other: Deterministic) -> Float[Array, "..."]:
        return self.of.kl(other.of)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return self.of.diagnostics()

    def metric(self, tangent: Deterministic) -> Deterministic:
        return Deterministic(self.of.metric(tangent.of))

    def metric_inverse(self, cotangent: Deterministic) -> Deterministic:
        return Deterministic(self.of.metric_inverse(cotangent.of))

    @property
    def mask_size(self) -> int:
        return self.of.mask_size

    def masked(self, mask: Bool[Array, "*batch M"]) -> Deterministic:
        return Deterministic(self.of.masked(mask))
