"""What episodes came to that were cut off, while a trajectory is collected on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from surefoot.core.data.following import Following, cut_off
from surefoot.envs.host.host_env import HostTransition


class FinalImages:
    """The observations that a `Following` of `N` environments has."""

    def __init__(self, num_envs: int) -> None:
        self._of: list[list[Any]] = [[] for _ in range(num_envs)]

    def keep(self, first: int, step: HostTransition) -> None:
        """Keep what a step of some environments, the first of which has this number, came to."""
        cut = cut_off(step.terminated, step.truncated, step.valid)
        for i in np.flatnonzero(cut):
            final = jax.tree.map(lambda x, i=i: np.copy(x[i]), step.next_obs)
            self._of[first + i].append(final)

    def following(self, current: Sequence[Any]) -> Following:
        """All of it, with the groups' observations after the last row. The number of slots is a
        power of two, since each takes a program of its own."""
        most = max(1, *map(len, self._of))
        slots = 1 << (most - 1).bit_length()

        def joined(*groups: np.ndarray) -> np.ndarray:
            return np.concatenate(groups)[None]

        last = jax.tree.map(joined, *current)
        final = jax.tree.map(lambda x: np.zeros((slots, *x.shape[1:]), x.dtype), last)
        for i, observations in enumerate(self._of):
            for slot, observation in enumerate(observations):
                jax.tree.map(lambda all_, x, at=(slot, i): _put(all_, at, x), final, observation)
        return Following(last, final)


def _put(into: np.ndarray, at: Any, value: np.ndarray) -> None:
    into[at] = value
