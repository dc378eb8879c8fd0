"""What `Agent.predict` is handed in, as the policy takes it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.common.errors import UsageError
from surefoot.core.data.normalization import Normalizer, offset_of
from surefoot.core.networks import Policy
from surefoot.envs.spaces.reading import ReadObservations, read_observations


def read(
    spec: PolicySpec, normalizer: Normalizer, observation: Any, action_masks: Any
) -> ReadObservations:
    """The observations, with these masks, or with one that everything is valid where the policy
    takes masks. Raises `UsageError` where they are none of the agent's."""
    if action_masks is not None or spec.masked_outside:
        observation = spec.with_masks(observation, action_masks)
    return read_observations(spec.observation_space, observation, offset=offset_of(normalizer))


def read_state(policy: Policy, state: Any, episode_start: Any, count: int) -> tuple[Any, Any]:
    """(which rows are the first of an episode, the memory) of `count` observations; `None` for a
    policy without memory. Raises `UsageError` for a state of another batch."""
    if isinstance(state, bool | np.bool_):
        raise UsageError(
            f"state is {state}; accepted is None, or a recurrent policy's state: pass "
            f"deterministic={state} by its name"
        )
    initial = policy.initial(count)
    if initial is None:
        return None, None
    starts = np.zeros(count, bool)
    if episode_start is not None:
        flags = np.asarray(episode_start, bool).reshape(-1)
        if len(flags) not in (1, count):
            raise UsageError(
                f"episode_start has {len(flags)} flags; accepted is one for each of the {count} "
                "observations"
            )
        starts = np.broadcast_to(flags, (count,))
    if state is None:
        return starts, initial
    shapes = [jax.tree.map(np.shape, tree) for tree in (state, initial)]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"state has the shapes {shapes[0]}; accepted for {count} observations is what predict "
            f"returned for as many, {shapes[1]}, or None at the start of an episode"
        )
    return starts, state
