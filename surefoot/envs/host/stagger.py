"""Where the first episodes of copies are cut, so that the copies are out of phase from then on.

Copies that start together, and play episodes of fixed length, stay in step for a whole run: a
batch that is shorter than an episode then has the same part of it from every copy. One cut at a
step drawn uniformly from the time limit spreads the phases for good. No JAX is imported, so that a
worker process can use it.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

#: Beside the environment's seed, so that the step is no function of what the environment draws.
_STREAM = 0x57A66E12


def first_limit(seed: int, limit: int) -> int:
    """The step, from 1 to `limit`, at which a copy's first episode is cut; uniform over seeds."""
    return int(np.random.default_rng((seed, _STREAM)).integers(1, limit, endpoint=True))


def time_limit(env: gymnasium.Env) -> int | None:
    """Steps after which the environment truncates an episode; `None` where that is not known."""
    limits: list[Any] = []
    layer: Any = env
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, TimeLimit):
            limits.append(layer._max_episode_steps)
        layer = layer.env
    if env.spec is not None:
        limits.append(env.spec.max_episode_steps)
    known = [int(steps) for steps in limits if isinstance(steps, int | np.integer) and steps > 0]
    return min(known, default=None)
