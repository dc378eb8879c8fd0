"""`Network`: what lies between an observation and a head, with a memory or without."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, NoReturn

import equinox as eqx
from jaxtyping import Array, Bool, Float, PyTree

from surefoot.common.errors import UsageError

#: (W [in, out], b [out]) of each layer x ↦ x W + b of a network, x the patches of an image where it
#: is a convolution; of a gradient or another tree of the network's structure, what stands in their
#: places.
Layers = tuple[tuple[Any, Any], ...]


class Unlayered(eqx.Module):
    """What is no sequence of layers x ↦ x W + b, and tells K-FAC so."""

    @property
    def layers(self) -> NoReturn:
        raise UsageError(
            f"K-FAC was asked for {type(self).__name__}, which is no sequence of layers; accepted "
            "are the networks mlp and cnn: choose one by --network, or a method without K-FAC, "
            "trpo for instance"
        )

    def with_layer_perturbations(self, obs: Any, perturbations: Any) -> NoReturn:
        _ = self.layers
        raise AssertionError


class Memoryless(eqx.Module):
    """What answers to the observation alone, a network or a policy: the same by `step` and `unroll`
    as when it is called."""

    @abc.abstractmethod
    def __call__(self, obs: PyTree[Array]) -> Any:
        """The answer to observations, leaves [*batch, …]."""

    def initial(self, count: int) -> None:
        return None

    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: None
    ) -> tuple[Any, None]:
        return self(obs), None

    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "S L"], memory: None
    ) -> tuple[Any, None]:
        return self(obs), None


class Network(eqx.Module):
    """Outputs for observations.

    Without a memory it is asked by `__call__`, for any batch dimensions. `initial`, `step` and
    `unroll` are what acting and learning ask of every network, with a memory or without: a memory
    is a pytree of arrays, of which an environment has one row, or `None`.
    """

    @abc.abstractmethod
    def __call__(self, obs: PyTree[Array]) -> Float[Array, "*batch out"]:
        """The outputs for observations, leaves [*batch, …], of a network without memory."""

    @abc.abstractmethod
    def initial(self, count: int) -> Any:
        """The memory of `count` environments at the start of an episode, leaves [count, …]."""

    @abc.abstractmethod
    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: Any
    ) -> tuple[Float[Array, "N out"], Any]:
        """(outputs, memory afterwards) for an observation of each environment, leaves [N, …].
        Where `starts`, the observation is an episode's first and `memory` is not looked at."""

    @abc.abstractmethod
    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "S L"], memory: Any
    ) -> tuple[Float[Array, "S L out"], Any]:
        """`L` steps one after the other, from the memory [S, …] on: (outputs, the memory after each
        step, leaves [S, L, …])."""

    @property
    @abc.abstractmethod
    def layers(self) -> Layers:
        """(W, b) of each layer, for K-FAC. Raises `UsageError` for a network that is no sequence
        of layers."""

    @abc.abstractmethod
    def with_layer_perturbations(
        self, obs: PyTree[Array], perturbations: Sequence[Array | float]
    ) -> tuple[Float[Array, "*batch out"], tuple[Any, ...]]:
        """(output, every layer's input) with a perturbation added to every layer's output, for
        K-FAC; of a network that has `layers`."""
