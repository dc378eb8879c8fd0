"""First-order directions: the gradient itself, or any optax transformation of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.geometry.base import Geometry
from surefoot.local import Local
from surefoot.types import Params


class FirstOrderInfo(NamedTuple):
    """What a first-order direction reports."""

    grad_norm: Float[Array, ""]
    """‖g‖, Euclidean norm of the objective's gradient before any transformation."""


class Euclidean(Geometry):
    """d = g: steepest where parameters are measured by their Euclidean length."""

    def init(self, params: Params) -> None:
        return None

    def direction(
        self, key: PRNGKeyArray, local: Local, state: None
    ) -> tuple[Params, None, FirstOrderInfo]:
        return local.grad, None, FirstOrderInfo(optax.tree.norm(local.grad))


class Optax(Geometry):
    """The update of an optax optimizer, made for a rate of 1: `Optax(optax.adam(1.0))`. The rate is
    the step size's business, `Fixed(3e-4)` for instance.

    Optax minimizes and this library maximizes; this is the one place where the sign flips.
    """

    optimizer: optax.GradientTransformation = eqx.field(static=True)

    def init(self, params: Params) -> Any:
        return self.optimizer.init(eqx.filter(params, eqx.is_inexact_array))

    def direction(
        self, key: PRNGKeyArray, local: Local, state: Any
    ) -> tuple[Params, Any, FirstOrderInfo]:
        loss_gradient = optax.tree.scale(-1.0, local.grad)
        params = eqx.filter(local.params, eqx.is_inexact_array)
        direction, state = self.optimizer.update(loss_gradient, state, params)
        return direction, state, FirstOrderInfo(optax.tree.norm(local.grad))
