"""Networks that map a batch of observations to a distribution.

A policy ends in a head that reads the last layer's output as the parameters of an action
distribution; a critic is read as a Gaussian of unit variance over the value target, so that every
`Update` that fits a policy fits a critic too. Both act on whole batches with any leading
dimensions, and their only leaves are arrays: a policy's parameters are exactly the policy's.

Weights are orthogonal with gain √2 in the hidden layers, 0.01 at a policy's output (so that the
first policy hardly depends on the state) and 1 at a critic's; biases are zero.
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.distributions import (
    Bernoulli,
    Categorical,
    DiagGaussian,
    Distribution,
    MultiCategorical,
)
from surefoot.product import matmul

Activation = Callable[[Array], Array]

#: (W [in, out], b [out]) of each layer x ↦ x W + b of a network; of a gradient or another tree of
#: the network's structure, what stands in their places.
Layers = tuple[tuple[Any, Any], ...]


class MLP(eqx.Module):
    """Fully connected layers, x ↦ act(x W + b), the last one linear."""

    weights: tuple[Float[Array, "in out"], ...]
    biases: tuple[Float[Array, " out"], ...]
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        sizes: Sequence[int],
        *,
        output_gain: float,
        activation: Activation = jnp.tanh,
    ) -> None:
        gains = [2.0**0.5] * (len(sizes) - 2) + [output_gain]
        keys = jax.random.split(key, len(gains))
        shapes = itertools.pairwise(sizes)
        self.weights = tuple(
            jax.nn.initializers.orthogonal(gain)(k, shape)
            for k, shape, gain in zip(keys, shapes, gains, strict=True)
        )
        self.biases = tuple(jnp.zeros(size) for size in sizes[1:])
        self.activation = activation

    @property
    def layers(self) -> Layers:
        """(W, b) of each layer, first to last."""
        return tuple(zip(self.weights, self.biases, strict=True))

    def with_taps(
        self, x: Float[Array, "*batch in"], taps: Sequence[Float[Array, "*batch _"] | float]
    ) -> tuple[Float[Array, "*batch out"], tuple[Float[Array, "*batch _"], ...]]:
        """(output, every layer's input) with a tap added to every layer's output x W + b: the
        derivative with respect to a tap is the one with respect to that output."""
        inputs = []
        for i, ((w, b), tap) in enumerate(zip(self.layers, taps, strict=True)):
            if i > 0:
                x = self.activation(x)
            inputs.append(x)
            x = (matmul(x, w) if x.ndim == 2 else x @ w) + b + tap
        return x, tuple(inputs)

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        return self.with_taps(x, (0.0,) * len(self.weights))[0]


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


def _bounded(raw: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
    return _LOG_STD_BOUND * jnp.tanh(raw / _LOG_STD_BOUND)


def _unbounded(log_std: float) -> float:
    return _LOG_STD_BOUND * math.atanh(log_std / _LOG_STD_BOUND)


class Policy(eqx.Module):
    """π(·|s): an MLP and the head that reads it.

    `layers` and `with_taps` are what K-FAC asks of a network; one without them works with every
    other geometry.
    """

    network: MLP
    head: Head

    def __init__(
        self,
        key: PRNGKeyArray,
        obs_size: int,
        head: Head,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: Activation = jnp.tanh,
    ) -> None:
        sizes = (obs_size, *hidden, head.size)
        self.network = MLP(key, sizes, output_gain=0.01, activation=activation)
        self.head = head

    def __call__(self, obs: Float[Array, "*batch obs"]) -> Distribution:
        return self.head(self.network(obs))

    @property
    def layers(self) -> Layers:
        """(W, b) of each layer."""
        return self.network.layers

    def with_taps(
        self, obs: Float[Array, "*batch obs"], taps: Sequence[Float[Array, "*batch _"]]
    ) -> tuple[Distribution, tuple[Float[Array, "*batch _"], ...]]:
        """(distribution, every layer's input) with a tap added to every layer's output."""
        output, inputs = self.network.with_taps(obs, taps)
        return self.head(output), inputs


class Critic(eqx.Module):
    """V(s), read as N(V(s), 1) over the value target."""

    network: MLP

    def __init__(
        self,
        key: PRNGKeyArray,
        obs_size: int,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: Activation = jnp.tanh,
    ) -> None:
        self.network = MLP(key, (obs_size, *hidden, 1), output_gain=1.0, activation=activation)

    def __call__(self, obs: Float[Array, "*batch obs"]) -> DiagGaussian:
        mean = self.network(obs)
        return DiagGaussian(mean, jnp.zeros_like(mean))

    @property
    def layers(self) -> Layers:
        """(W, b) of each layer."""
        return self.network.layers

    def with_taps(
        self, obs: Float[Array, "*batch obs"], taps: Sequence[Float[Array, "*batch _"]]
    ) -> tuple[DiagGaussian, tuple[Float[Array, "*batch _"], ...]]:
        """(distribution, every layer's input) with a tap added to every layer's output."""
        mean, inputs = self.network.with_taps(obs, taps)
        return DiagGaussian(mean, jnp.zeros_like(mean)), inputs

    def value(self, obs: Float[Array, "*batch obs"]) -> Float[Array, "*batch"]:
        """V(s) in the units of the rewards that the learner sees."""
        return self.network(obs)[..., 0]
