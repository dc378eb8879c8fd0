"""The policy and the critic: two networks that share nothing.

A policy ends in a head that reads the network's output as the parameters of an action
distribution; a critic is read as a Gaussian of unit variance over the value target, so that every
`Update` that fits a policy fits a critic too. Both act on whole batches with any leading
dimensions, and their only leaves are arrays: a policy's parameters are exactly the policy's.

The output gain is 0.01 for a policy, so that the first policy hardly depends on the state, and 1
for a critic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from surefoot.core.distributions import DiagGaussian, Distribution
from surefoot.core.networks.activations import Activation
from surefoot.core.networks.base import Layers, Network
from surefoot.core.networks.heads import Head
from surefoot.core.networks.mlp import MLP
from surefoot.core.observation import Observation, seen

#: Output gains.
POLICY_GAIN, CRITIC_GAIN = 0.01, 1.0


class Policy(eqx.Module):
    """π(·|s): a network and the head that reads it. It is asked as the network is (`Network`), and
    answers with distributions.

    `layers` and `with_layer_perturbations` are what K-FAC asks of a network; one without
    them works with every other geometry.
    """

    network: Network
    head: Head

    def __call__(self, obs: PyTree[Array]) -> Distribution:
        return self._read(self.network(seen(obs)), obs)

    def initial(self, count: int) -> Any:
        """The memory of `count` environments at the start of an episode."""
        return self.network.initial(count)

    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: Any
    ) -> tuple[Distribution, Any]:
        """(distributions, memory afterwards) for an observation of each environment."""
        output, memory = self.network.step(seen(obs), starts, memory)
        return self._read(output, obs), memory

    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "S L"], memory: Any
    ) -> tuple[Distribution, Any]:
        """(distributions, the memory after each step), leaves [S, L, …], of segments."""
        output, memories = self.network.unroll(seen(obs), starts, memory)
        return self._read(output, obs), memories

    def _read(self, output: Float[Array, "*batch out"], obs: PyTree[Array]) -> Distribution:
        """The distribution; over the valid actions, where the observation says which they are."""
        dist = self.head(output)
        return dist.masked(obs.action_mask) if isinstance(obs, Observation) else dist

    @property
    def layers(self) -> Layers:
        """(W, b) of each layer."""
        return self.network.layers

    def with_layer_perturbations(
        self, obs: PyTree[Array], perturbations: Sequence[Array | float]
    ) -> tuple[Distribution, tuple[Any, ...]]:
        """(distribution, every layer's input) with a perturbation added to every layer's output."""
        output, inputs = self.network.with_layer_perturbations(seen(obs), perturbations)
        return self._read(output, obs), inputs


class Critic(eqx.Module):
    """V(s), read as N(V(s), 1) over the value target; asked as a `Policy` is."""

    network: Network

    def __call__(self, obs: PyTree[Array]) -> DiagGaussian:
        return _of_unit_variance(self.network(seen(obs)))

    def initial(self, count: int) -> Any:
        """The memory of `count` environments at the start of an episode."""
        return self.network.initial(count)

    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: Any
    ) -> tuple[DiagGaussian, Any]:
        """(N(V(s), 1), memory afterwards) for an observation of each environment."""
        mean, memory = self.network.step(seen(obs), starts, memory)
        return _of_unit_variance(mean), memory

    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "S L"], memory: Any
    ) -> tuple[DiagGaussian, Any]:
        """(N(V(s), 1), the memory after each step), leaves [S, L, …], of segments."""
        mean, memories = self.network.unroll(seen(obs), starts, memory)
        return _of_unit_variance(mean), memories

    @property
    def layers(self) -> Layers:
        """(W, b) of each layer."""
        return self.network.layers

    def with_layer_perturbations(
        self, obs: PyTree[Array], perturbations: Sequence[Array | float]
    ) -> tuple[DiagGaussian, tuple[Any, ...]]:
        """(distribution, every layer's input) with a perturbation added to every layer's output."""
        mean, inputs = self.network.with_layer_perturbations(seen(obs), perturbations)
        return _of_unit_variance(mean), inputs

    def value(self, obs: PyTree[Array]) -> Float[Array, "*batch"]:
        """V(s) in the units of the rewards that the learner sees, of a critic without memory."""
        return self.network(seen(obs))[..., 0]


class CriticsMemory(NamedTuple):
    """Where the critics of `N` environments stand between two trajectories."""

    of: tuple[Any, ...]
    """Each critic's memory, leaves [N, …]; `None` for one without."""
    spent: Float[Array, "N K"]
    """Each cost since the episode began."""


class Critics(eqx.Module):
    """A critic of rewards, and one of each cost."""

    members: tuple[Critic, ...]

    def initial(self, count: int) -> CriticsMemory:
        """The memories of `count` environments at the start of an episode."""
        of = tuple(critic.initial(count) for critic in self.members)
        return CriticsMemory(of, jnp.zeros((count, len(self.members) - 1)))


def _of_unit_variance(mean: Float[Array, "*batch 1"]) -> DiagGaussian:
    return DiagGaussian(mean, jnp.zeros_like(mean))


def mlp_policy(
    key: PRNGKeyArray,
    obs_size: int,
    head: Head,
    *,
    hidden: Sequence[int] = (64, 64),
    activation: Activation = jnp.tanh,
) -> Policy:
    """A policy of fully connected layers."""
    sizes = (obs_size, *hidden, head.size)
    return Policy(MLP(key, sizes, output_gain=POLICY_GAIN, activation=activation), head)


def mlp_critic(
    key: PRNGKeyArray,
    obs_size: int,
    *,
    hidden: Sequence[int] = (64, 64),
    activation: Activation = jnp.tanh,
) -> Critic:
    """A critic of fully connected layers."""
    return Critic(MLP(key, (obs_size, *hidden, 1), output_gain=CRITIC_GAIN, activation=activation))
