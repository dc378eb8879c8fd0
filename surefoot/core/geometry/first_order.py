"""First-order directions: the gradient itself, or any optax transformation of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.core.data.types import Params, Scalar
from surefoot.core.geometry.base import Geometry
from surefoot.core.local_model import LocalModel


class FirstOrderInfo(NamedTuple):
    """What a first-order direction reports."""

    grad_norm: Float[Array, ""]
    """‖g‖, Euclidean norm of the objective's gradient before any transformation."""


class Euclidean(Geometry):
    """d = g: steepest where parameters are measured by their Euclidean length."""

    def init(self, params: Params) -> None:
        return None

    def direction(
        self, key: PRNGKeyArray, local: LocalModel, state: None
    ) -> tuple[Params, None, FirstOrderInfo]:
        return local.grad, None, FirstOrderInfo(optax.tree.norm(local.grad))


class Optax(Geometry):
    """The update of an optax optimizer, made for a rate of 1: `Optax(optax.adam(1.0))`. The rate is
    the step size's business, `Fixed(3e-4)` for instance.

    `Optax(optax.adam, learning_rate=1.0, eps=1e-5)` is the same from what makes the optimizer. Its
    numbers are arrays then, and another value compiles nothing anew.

    Optax minimizes and this library maximizes; this is the one place where the sign flips.
    """

    optimizer: optax.GradientTransformation | Callable[..., optax.GradientTransformation] = (
        eqx.field(static=True)
    )
    hyperparameters: dict[str, Array]

    def __init__(
        self,
        optimizer: optax.GradientTransformation | Callable[..., optax.GradientTransformation],
        **hyperparameters: Scalar,
    ) -> None:
        self.optimizer = optimizer
        self.hyperparameters = {k: jnp.asarray(v) for k, v in hyperparameters.items()}

    def _made(self) -> optax.GradientTransformation:
        if isinstance(self.optimizer, optax.GradientTransformation):
            return self.optimizer
        return self.optimizer(**self.hyperparameters)

    def init(self, params: Params) -> Any:
        return self._made().init(eqx.filter(params, eqx.is_inexact_array))

    def direction(
        self, key: PRNGKeyArray, local: LocalModel, state: Any
    ) -> tuple[Params, Any, FirstOrderInfo]:
        loss_gradient = optax.tree.scale(-1.0, local.grad)
        params = eqx.filter(local.params, eqx.is_inexact_array)
        # Optax promotes types and ranks, whatever the process has asked of JAX.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            direction, state = self._made().update(loss_gradient, state, params)
        flat, _ = jax.flatten_util.ravel_pytree(loss_gradient)
        return direction, state, FirstOrderInfo(jnp.linalg.norm(flat))
