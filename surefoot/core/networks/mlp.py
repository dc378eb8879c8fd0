"""Fully connected layers.

Weights are orthogonal with gain √2 in the hidden layers and a chosen gain at the output; biases are
zero.
"""

from __future__ import annotations

import itertools
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.core.networks.base import Layers, Memoryless
from surefoot.core.networks.matmul import matmul_with_transpose

Activation = Callable[[Array], Array]


class _Named:
    """A function that is pickled by the name under which its module has it."""

    def __init__(self, name: str) -> None:
        self._name = name

    @classmethod
    def of(cls, function: Activation) -> Any:
        """It, or the function itself where its module has no such name."""
        name = f"{function.__module__}:{getattr(function, '__qualname__', '')}"
        try:
            found = pkgutil.resolve_name(name)
        except (AttributeError, ImportError, ValueError):
            return function
        return cls(name) if found is function else function

    def __reduce__(self) -> tuple[Any, ...]:
        return pkgutil.resolve_name, (self._name,)


class MLP(Memoryless):
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

    def with_layer_perturbations(
        self,
        x: Float[Array, "*batch in"],
        perturbations: Sequence[Float[Array, "*batch _"] | float],
    ) -> tuple[Float[Array, "*batch out"], tuple[Float[Array, "*batch _"], ...]]:
        """(output, every layer's input) with a perturbation added to every layer's output x W + b:
        the derivative with respect to a perturbation is the one with respect to that output."""
        inputs = []
        for i, ((w, b), perturbation) in enumerate(zip(self.layers, perturbations, strict=True)):
            if i > 0:
                x = self.activation(x)
            inputs.append(x)
            product = matmul_with_transpose(x, w) if x.ndim == 2 else x @ w
            x = product + jnp.expand_dims(b, range(x.ndim - 1)) + perturbation
        return x, tuple(inputs)

    def __getstate__(self) -> dict[str, Any]:
        # JAX's functions can be pickled by their public names only, and not by their own.
        return {**vars(self), "activation": _Named.of(self.activation)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        return self.with_layer_perturbations(x, (0.0,) * len(self.weights))[0]
