"""The policy and the critic: two networks that share nothing.

A policy ends in a head that reads the last layer's output as the parameters of an action
distribution; a critic is read as a Gaussian of unit variance over the value target, so that every
`Update` that fits a policy fits a critic too. Both act on whole batches with any leading
dimensions, and their only leaves are arrays: a policy's parameters are exactly the policy's.

The output gain is 0.01 for a policy, so that the first policy hardly depends on the state, and 1
for a critic.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.core.distributions import (
    DiagGaussian,
    Distribution,
)
from surefoot.core.networks.activations import Activation
from surefoot.core.networks.heads import Head
from surefoot.core.networks.mlp import MLP, Layers


class Policy(eqx.Module):
    """π(·|s): an MLP and the head that reads it.

    `layers` and `with_layer_perturbations` are what K-FAC asks of a network; one without
    them works with every other geometry.
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

    def with_layer_perturbations(
        self,
        obs: Float[Array, "*batch obs"],
        perturbations: Sequence[Float[Array, "*batch _"] | float],
    ) -> tuple[Distribution, tuple[Float[Array, "*batch _"], ...]]:
        """(distribution, every layer's input) with a perturbation added to every layer's output."""
        output, inputs = self.network.with_layer_perturbations(obs, perturbations)
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

    def with_layer_perturbations(
        self,
        obs: Float[Array, "*batch obs"],
        perturbations: Sequence[Float[Array, "*batch _"] | float],
    ) -> tuple[DiagGaussian, tuple[Float[Array, "*batch _"], ...]]:
        """(distribution, every layer's input) with a perturbation added to every layer's output."""
        mean, inputs = self.network.with_layer_perturbations(obs, perturbations)
        return DiagGaussian(mean, jnp.zeros_like(mean)), inputs

    def value(self, obs: Float[Array, "*batch obs"]) -> Float[Array, "*batch"]:
        """V(s) in the units of the rewards that the learner sees."""
        return self.network(obs)[..., 0]
