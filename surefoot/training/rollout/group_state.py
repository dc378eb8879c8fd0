"""Where groups of environments stand between two trajectories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surefoot.envs.host.host_env import HostEnv


class GroupState(NamedTuple):
    """Where a group of environments stands between two trajectories."""

    obs: Any
    """Encoded observations that the next actions answer to, leaves [N, …]."""
    episode_return: np.ndarray
    """Raw reward since each episode began, [N]."""
    episode_length: np.ndarray
    """Transitions since each episode began, [N]; 0 where the next one begins an episode."""
    memory: Any = None
    """The acting policy's memory, leaves [N, …]; `None` without one."""
    life_length: np.ndarray | None = None
    """Transitions since a life was lost, or since the episode's start, [N]; `None` where lives end
    nothing."""

    @property
    def starts(self) -> np.ndarray:
        """Where the next row is the first of an episode, or of a life that is one to the policy,
        [N]."""
        since = self.episode_length if self.life_length is None else self.life_length
        return since == 0


def no_memory(count: int) -> None:
    """The memory of policies without one."""
    return


def fresh_episodes(
    groups: Sequence[HostEnv],
    seed: int | None,
    initial: Callable[[int], Any] = no_memory,
    *,
    new_offset: bool = False,
) -> list[GroupState]:
    """All environments at the start of an episode, environment i seeded with seed + i; without a
    seed their generators go on. `initial` makes the memory of so many environments. `new_offset`:
    what observations lack from now on makes the first of these zero."""
    states, before = [], 0
    for group in groups:
        n = group.num_envs
        first = None if seed is None else seed + before
        if new_offset and before == 0:
            obs = group.reset_with_offset(first)
        else:
            group.offset = groups[0].offset
            obs = group.reset(first)
        lived = np.zeros(n) if group.lives else None
        states.append(GroupState(obs, np.zeros(n), np.zeros(n), initial(n), lived))
        before += n
    return states


def joined(memory: Sequence[Any]) -> Any:
    """The groups' memories side by side."""
    return jax.tree.map(lambda *m: jnp.concatenate(m), *memory)


def stacked(memories: Sequence[Any]) -> Any:
    """Memories at several times, leaves [K, N, …]."""
    return jax.tree.map(lambda *m: jnp.stack(m), *memories)
