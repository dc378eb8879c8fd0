"""Heads: they read a network's output as the parameters of an action distribution."""

from __future__ import annotations

import abc
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.core.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    DiagGaussian,
    Distribution,
    MultiCategorical,
    Product,
    TanhGaussian,
)


class Head(eqx.Module):
    """Reads a network's output as an action distribution."""

    @abc.abstractmethod
    def __call__(self, output: Float[Array, "*batch out"]) -> Distribution:
        """The distribution with these outputs as parameters."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many outputs the head reads."""


class CategoricalHead(Head):
    """Outputs are the logits of `choices` actions."""

    choices: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        return self.choices

    def __call__(self, output: Float[Array, "*batch out"]) -> Categorical:
        return Categorical(output)


class MultiCategoricalHead(Head):
    """Outputs are the concatenated logits of several independent choices."""

    choices: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return sum(self.choices)

    def __call__(self, output: Float[Array, "*batch out"]) -> MultiCategorical:
        ends = [sum(self.choices[: i + 1]) for i in range(len(self.choices) - 1)]
        return MultiCategorical(tuple(map(Categorical, jnp.split(output, ends, axis=-1))))


class BernoulliHead(Head):
    """Outputs are the logits of independent coins."""

    coins: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        return self.coins

    def __call__(self, output: Float[Array, "*batch out"]) -> Bernoulli:
        return Bernoulli(output)


#: log σ = 10·tanh(raw/10): σ stays within e^±10 and its gradient never vanishes, as a clip's would.
_LOG_STD_BOUND = 10.0


class GaussianHead(Head):
    """Outputs are the mean; log σ is a parameter of its own that does not depend on the state."""

    raw_log_std: Float[Array, " D"]

    def __init__(self, dimensions: int, *, log_std: float = 0.0) -> None:
        self.raw_log_std = jnp.full((dimensions,), _unbounded(log_std))

    @property
    def size(self) -> int:
        return self.raw_log_std.shape[0]

    def __call__(self, output: Float[Array, "*batch out"]) -> DiagGaussian:
        return DiagGaussian(output, jnp.broadcast_to(_bounded(self.raw_log_std), output.shape))


class StateGaussianHead(Head):
    """Outputs are the mean and, shifted by the initial value, log σ: both depend on the state."""

    dimensions: int = eqx.field(static=True)
    log_std: float = eqx.field(static=True, default=0.0, kw_only=True)

    @property
    def size(self) -> int:
        return 2 * self.dimensions

    def __call__(self, output: Float[Array, "*batch out"]) -> DiagGaussian:
        mean, raw = jnp.split(output, 2, axis=-1)
        return DiagGaussian(mean, _bounded(raw + _unbounded(self.log_std)))


class TanhGaussianHead(Head):
    """What a head of a Gaussian reads is squashed by tanh."""

    gaussian: GaussianHead | StateGaussianHead

    @property
    def size(self) -> int:
        return self.gaussian.size

    def __call__(self, output: Float[Array, "*batch out"]) -> TanhGaussian:
        return TanhGaussian(self.gaussian(output))


class BetaHead(Head):
    """Outputs are, by 1 + softplus, the α and then the β: both depend on the state, and every
    distribution has one mode. Outputs of zero are α = β = 1 + ln 2 ≈ 1.69, of mean 0 and standard
    deviation 0.478 in (−1, 1)."""

    dimensions: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        return 2 * self.dimensions

    def __call__(self, output: Float[Array, "*batch out"]) -> Beta:
        alpha, beta = jnp.split(1.0 + jax.nn.softplus(output), 2, axis=-1)
        return Beta(alpha, beta)


class ProductHead(Head):
    """Outputs are those of the parts, one after the other."""

    parts: tuple[Head, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def __call__(self, output: Float[Array, "*batch out"]) -> Product:
        ends = list(itertools.accumulate(part.size for part in self.parts))
        outputs = jnp.split(output, ends[:-1], axis=-1)
        return Product(tuple(part(x) for part, x in zip(self.parts, outputs, strict=True)))


def _bounded(raw: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
    return _LOG_STD_BOUND * jnp.tanh(raw / _LOG_STD_BOUND)


def _unbounded(log_std: float) -> float:
    return _LOG_STD_BOUND * math.atanh(log_std / _LOG_STD_BOUND)
