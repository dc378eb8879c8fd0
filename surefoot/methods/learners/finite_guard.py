"""What is not finite is not learned from.

A turn of learning counts only if its data, its diagnostics and all that it changes are finite. If
anything is not, the turn is refused: parameters, optimizers, normalizers stay bit for bit what they
were, and the diagnostics say why. The check is part of the compiled turn, one for all minibatches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from surefoot.core.data.types import Batch, Trajectory
from surefoot.methods.learners.learner import Learner, TrainState

#: What `refused_cause` means.
CAUSES = ("nothing", "an observation", "a reward", "learning")


class Refusal(NamedTuple):
    """Whether a turn was refused, and why."""

    refused: Bool[Array, ""]
    """Whether something was not finite, and nothing was learned."""
    refused_cause: Int[Array, ""]
    """The first of `CAUSES` that was not finite; "learning" is what was computed from finite
    data: advantages, gradients, parameters."""
    refused_environment: Int[Array, ""]
    """The environment that it came from, −1 if none."""
    refused_component: Int[Array, ""]
    """The component of the flattened observation, −1 if it was none."""


class Guarded(NamedTuple):
    """A turn's diagnostics, and whether it was refused."""

    learned: Any
    refusal: Refusal


class Waiting(NamedTuple):
    """What the critic is to be fitted to."""

    batch: Batch
    refused: Bool[Array, ""]
    """Whether the turn was refused: then the critic learns nothing either."""


class CriticGuarded(NamedTuple):
    """The critic's diagnostics, and whether its fit was refused."""

    learned: Any
    refused: Bool[Array, ""]
    """Whether the turn was refused, or something of the fit was not finite."""


def look(trajectory: Trajectory) -> Refusal:
    """What is not finite in the transitions themselves."""
    seen = jnp.stack([trajectory.obs, trajectory.next_obs])
    # What follows a termination is asked for nothing.
    asked = jnp.stack([trajectory.valid, trajectory.valid & ~trajectory.terminated])
    bad = ~jnp.isfinite(seen) & asked[..., None]
    by_environment, components = jnp.any(bad, axis=(0, 1, 3)), jnp.any(bad, axis=(0, 1))
    rewards = jnp.any(~jnp.isfinite(trajectory.reward) & trajectory.valid, axis=0)
    in_obs, in_reward = jnp.any(by_environment), jnp.any(rewards)
    environment = jnp.argmax(jnp.where(in_obs, by_environment, rewards))
    component = jnp.argmax(components[environment])
    return Refusal(
        refused=in_obs | in_reward,
        refused_cause=jnp.where(in_obs, 1, jnp.where(in_reward, 2, 0)),
        refused_environment=jnp.where(in_obs | in_reward, environment, -1),
        refused_component=jnp.where(in_obs, component, -1),
    )


def unseen() -> Refusal:
    """For data that was looked at before."""
    return Refusal(jnp.zeros((), bool), jnp.asarray(0), jnp.asarray(-1), jnp.asarray(-1))


def improve(
    learner: Learner, state: TrainState, data: Any, seen: Refusal
) -> tuple[TrainState, Waiting | None, Guarded]:
    """`Learner.improve`, or nothing but the count of steps and the next key."""
    new, batch, metrics = learner.improve(state, data)
    sound = _finite(new) & _finite(metrics)
    refused = seen.refused | ~sound
    refusal = seen._replace(
        refused=refused, refused_cause=jnp.where(refused & ~seen.refused, 3, seen.refused_cause)
    )
    kept = _where(refused, state, new)._replace(key=new.key, steps=new.steps)
    waiting = None if batch is None else Waiting(batch, refused)
    return kept, waiting, Guarded(metrics, refusal)


def fit_critic(
    learner: Learner, state: TrainState, waiting: Waiting
) -> tuple[TrainState, CriticGuarded]:
    """`Learner.fit_critic`, or nothing but the next key."""
    new, info = learner.fit_critic(state, waiting.batch)
    refused = waiting.refused | ~(_finite(new) & _finite(info))
    return _where(refused, state, new)._replace(key=new.key), CriticGuarded(info, refused)


def update(
    learner: Learner, state: TrainState, data: Any, seen: Refusal
) -> tuple[TrainState, Guarded, CriticGuarded | None]:
    """Both: (state, metrics, the critic's)."""
    state, waiting, metrics = improve(learner, state, data, seen)
    if waiting is None:
        return state, metrics, None
    state, info = fit_critic(learner, state, waiting)
    return state, metrics, info


def _finite(tree: Any) -> Bool[Array, ""]:
    numbers = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in numbers]))


def _where(refused: Bool[Array, ""], old: TrainState, new: TrainState) -> TrainState:
    arrays, rest = eqx.partition(new, eqx.is_array)
    chosen = jax.tree.map(
        lambda a, b: jnp.where(refused, a, b), eqx.filter(old, eqx.is_array), arrays
    )
    return eqx.combine(chosen, rest)
