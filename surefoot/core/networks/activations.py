"""Activations: the functions between layers.

A network has the function itself, which can be any function of arrays; the table has names for
some. A network is pickled with its activation's name: JAX's functions cannot be pickled otherwise.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

Activation = Callable[[Array], Array]

#: By name; `gelu` is the approximation by tanh (Hendrycks & Gimpel 2016).
ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
}


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


class Activated(eqx.Module):
    """A network with an activation, which is pickled by its name."""

    activation: eqx.AbstractVar[Activation]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "activation": _Named.of(self.activation)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
