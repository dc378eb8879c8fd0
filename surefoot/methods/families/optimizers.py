"""Optax optimizers of the recipes, for a rate of 1, from the numbers that they are set by.

All of them see the parameters as one vector: on the small arrays of a policy, an operation costs
more to begin than to do.
"""

from __future__ import annotations

import optax

from surefoot.core.data.types import Scalar


def adam() -> optax.GradientTransformation:
    """Adam with its own defaults."""
    return optax.flatten(optax.adam(1.0))


def clipped_adam(*, max_norm: Scalar) -> optax.GradientTransformation:
    """Adam on gradients clipped to a global norm, with PPO's ε."""
    clip = optax.clip_by_global_norm(max_norm)
    return optax.flatten(optax.chain(clip, optax.adam(1.0, eps=1e-5)))


def clipped_rmsprop(*, max_norm: Scalar) -> optax.GradientTransformation:
    """RMSProp on gradients clipped to a global norm, as A2C has it: g/(√ν + ε), where Optax's own
    default is g/√(ν + ε), a third of that for a gradient of 10⁻³."""
    clip = optax.clip_by_global_norm(max_norm)
    rmsprop = optax.rmsprop(1.0, decay=0.99, eps=1e-5, eps_in_sqrt=False)
    return optax.flatten(optax.chain(clip, rmsprop))


def decayed_adam(*, weight_decay: Scalar) -> optax.GradientTransformation:
    """Adam on the gradient of a loss with ½·weight_decay·‖θ‖² in it: no decoupled decay."""
    return optax.flatten(optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(1.0)))
