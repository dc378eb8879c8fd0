"""Skips updates whose data or results are not finite.

An iteration's data, its diagnostics and all that it changes must be finite. If anything is not, the
update is skipped: parameters, optimizers, normalizers stay bit for bit what they were, and the
diagnostics say why. The check is part of the compiled iteration, one for all minibatches.

In `metrics.jsonl`, and so in these named tuples, a skipped update is `refused`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from surefoot.core.data.following import Following, cut_off, next_rows
from surefoot.core.data.types import Behavior, Trajectory
from surefoot.core.networks import Policy
from surefoot.core.observation import VECTOR, seen
from surefoot.core.updates import Update
from surefoot.methods.learners.learner import Learner, TrainState

#: What `refused_cause` means.
CAUSES = ("nothing", "an observation", "a reward", "learning")


class NonFinite(NamedTuple):
    """Whether an update was skipped, and why."""

    refused: Bool[Array, ""]
    """Whether something was not finite, and nothing was learned."""
    refused_cause: Int[Array, ""]
    """The first of `CAUSES` that was not finite; "learning" is what was computed from finite
    data: advantages, gradients, parameters."""
    refused_environment: Int[Array, ""]
    """The environment that it came from, −1 if none."""
    refused_component: Int[Array, ""]
    """The component of the flattened observation, −1 if it was none."""


class GuardedInfo(NamedTuple):
    """An iteration's diagnostics, and whether its update was skipped."""

    learned: Any
    nonfinite: NonFinite


class PendingCriticFit(NamedTuple):
    """What the critic is to be fitted to."""

    batch: Any
    skipped: Bool[Array, ""]
    """Whether the policy's update was skipped: then the critic learns nothing either."""


class GuardedCriticInfo(NamedTuple):
    """The critic's diagnostics, and whether its fit was skipped."""

    learned: Any
    refused: Bool[Array, ""]
    """Whether the policy's update was skipped, or something of the fit was not finite."""


def find_nonfinite(trajectory: Trajectory) -> NonFinite:
    """The first value of the transitions that is not finite."""
    numbers = jnp.stack([_numbers(trajectory.obs), _next_numbers(trajectory)])
    # What follows a termination is asked for nothing.
    asked = jnp.stack([trajectory.valid, trajectory.valid & ~trajectory.terminated])
    bad = ~jnp.isfinite(numbers) & asked[..., None]
    by_environment, components = jnp.any(bad, axis=(0, 1, 3)), jnp.any(bad, axis=(0, 1))
    rewards = jnp.any(~jnp.isfinite(trajectory.reward) & trajectory.valid, axis=0)
    in_obs, in_reward = jnp.any(by_environment), jnp.any(rewards)
    environment = jnp.argmax(jnp.where(in_obs, by_environment, rewards))
    component = jnp.argmax(components[environment])
    return NonFinite(
        refused=in_obs | in_reward,
        refused_cause=jnp.where(in_obs, 1, jnp.where(in_reward, 2, 0)),
        refused_environment=jnp.where(in_obs | in_reward, environment, -1),
        refused_component=jnp.where(in_obs, component, -1),
    )


def _numbers(obs: Any) -> Float[Array, "T N obs"]:
    """All of an observation that may be infinite, the vector first."""
    parts: Any = seen(obs)
    if isinstance(parts, dict):
        parts = [parts[k] for k in sorted(parts, key=lambda k: (k != VECTOR, k))]
    floats = [x for x in jax.tree.leaves(parts) if jnp.issubdtype(x.dtype, jnp.floating)]
    rows = [x.reshape(*x.shape[:2], -1) for x in floats]
    if not rows:
        return jnp.zeros((*jax.tree.leaves(parts)[0].shape[:2], 1))
    return rows[0] if len(rows) == 1 else jnp.concatenate(rows, axis=-1)


def _next_numbers(trajectory: Trajectory) -> Float[Array, "T N obs"]:
    match trajectory.next_obs:
        case Following(last, final):
            cut = cut_off(trajectory.terminated, trajectory.truncated, trajectory.valid)
            return next_rows(_numbers(trajectory.obs), _numbers(last), _numbers(final), cut)
        case next_obs:
            return _numbers(next_obs)


class FiniteGuard(Learner):
    """`learner`, but for updates from which something comes, or would come, that is not finite: of
    these nothing stays but the count of steps and the next key. Metrics are `GuardedInfo`, the
    critic's `GuardedCriticInfo`."""

    learner: Learner

    @property
    def critic_update(self) -> Update | None:
        return self.learner.critic_update

    @property
    def remembers(self) -> int:
        return self.learner.remembers

    @property
    def critics(self) -> int:
        return self.learner.critics

    def init_update_states(self, key: PRNGKeyArray, policy: Policy, critic: Any) -> tuple[Any, Any]:
        return self.learner.init_update_states(key, policy, critic)

    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Behavior:
        return self.learner.behavior(state, key)

    def improve(
        self, state: TrainState, data: Any
    ) -> tuple[TrainState, PendingCriticFit | None, GuardedInfo]:
        # What was recorded was checked when it was read.
        seen = _nothing() if self.learner.offline else find_nonfinite(data)
        new, batch, metrics = self.learner.improve(state, data)
        # What is remembered was seen when it came; rows that carry nothing may hold anything.
        skipped = seen.refused | ~(_finite(new._replace(replay=None)) & _finite(metrics))
        nonfinite = seen._replace(
            refused=skipped, refused_cause=jnp.where(skipped & ~seen.refused, 3, seen.refused_cause)
        )
        kept = _where(skipped, state, new)._replace(
            key=new.key,
            steps=new.steps,
            # Episodes went on, whatever was learned of them.
            critic_memory=jax.tree.map(_or_initial, new.critic_memory),
        )
        pending = None if batch is None else PendingCriticFit(batch, skipped)
        return kept, pending, GuardedInfo(metrics, nonfinite)

    def fit_critic(
        self, state: TrainState, pending: PendingCriticFit
    ) -> tuple[TrainState, GuardedCriticInfo]:
        new, info = self.learner.fit_critic(state, pending.batch)
        skipped = pending.skipped | ~(_finite(new._replace(replay=None)) & _finite(info))
        kept = _where(skipped, state, new)._replace(key=new.key, replay=new.replay)
        return kept, GuardedCriticInfo(info, skipped)


def _or_initial(memory: Float[Array, "N size"]) -> Float[Array, "N size"]:
    """A memory, begun anew where it is not finite."""
    return jnp.where(jnp.all(jnp.isfinite(memory), axis=-1, keepdims=True), memory, 0.0)


def _nothing() -> NonFinite:
    return NonFinite(jnp.zeros((), bool), jnp.asarray(0), jnp.asarray(-1), jnp.asarray(-1))


def _finite(tree: Any) -> Bool[Array, ""]:
    numbers = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in numbers]))


def _where(skipped: Bool[Array, ""], old: TrainState, new: TrainState) -> TrainState:
    arrays, rest = eqx.partition(new, eqx.is_array)
    chosen = jax.tree.map(
        lambda a, b: jnp.where(skipped, a, b), eqx.filter(old, eqx.is_array), arrays
    )
    return eqx.combine(chosen, rest)
