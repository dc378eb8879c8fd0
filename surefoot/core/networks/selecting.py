"""A network that sees some parts of an observation only: a critic that knows more than the policy,
for instance (Pinto et al. 2017, "Asymmetric actor critic")."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from surefoot.core.networks.base import Layers, Network
from surefoot.core.observation import VECTOR


@dataclasses.dataclass(frozen=True)
class Selection:
    """Parts of what is seen."""

    columns: tuple[int, ...]
    """Entries of the vector."""
    images: tuple[str, ...] = ()
    """Keys of the images."""

    def __call__(self, seen: PyTree[Array]) -> PyTree[Array]:
        """These parts of an observation [*batch, …]."""
        if not isinstance(seen, dict):
            return seen if self.images else seen[..., np.array(self.columns)]
        parts = {key: seen[key] for key in self.images}
        if self.columns:
            parts[VECTOR] = seen[VECTOR][..., np.array(self.columns)]
        return parts if len(parts) > 1 else next(iter(parts.values()))

    def spec(self, spec: Any) -> Any:
        """What is seen of one observation of that `Spec`."""
        return jax.eval_shape(self, spec)


class Selecting(Network):
    """A network that sees a selection."""

    network: Network
    selection: Selection = eqx.field(static=True)

    def __call__(self, obs: PyTree[Array]) -> Float[Array, "*batch out"]:
        return self.network(self.selection(obs))

    def initial(self, count: int) -> Any:
        return self.network.initial(count)

    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: Any
    ) -> tuple[Float[Array, "N out"], Any]:
        return self.network.step(self.selection(obs), starts, memory)

    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "S L"], memory: Any
    ) -> tuple[Float[Array, "S L out"], Any]:
        return self.network.unroll(self.selection(obs), starts, memory)

    @property
    def layers(self) -> Layers:
        return self.network.layers

    def with_layer_perturbations(
        self, obs: PyTree[Array], perturbations: Sequence[Array | float]
    ) -> tuple[Float[Array, "*batch out"], tuple[Any, ...]]:
        return self.network.with_layer_perturbations(self.selection(obs), perturbations)
