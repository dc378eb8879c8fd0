"""Observations that are handed in, one or many, as an agent sees them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.observations import as_arrays, unfit
from surefoot.envs.spaces.trees import map_arrays


class ReadObservations(NamedTuple):
    """Observations that were handed in."""

    obs: Any
    """Encoded, [N, …]."""
    number: int
    """N."""
    batched: bool
    """Whether they were a batch, and not one."""

    def unbatched(self, actions: Any) -> Any:
        """The actions, or the one where there was one observation."""
        return actions if self.batched else map_arrays(lambda x: x[0], actions)


def read_observations(
    space: spaces.Space, obs: Any, *, offset: np.ndarray | None = None
) -> ReadObservations:
    """One observation of the space, or a batch of them, encoded less an offset. Raises `UsageError`
    for what is neither."""
    if _is_reset(space, obs):
        raise UsageError(
            "the observation is what reset returned, the pair of an observation and an info; "
            "accepted is the observation alone: obs, info = env.reset()"
        )
    arrays, leading = as_arrays(space, obs, "the observation", space)
    if len(leading) > 1:
        raise unfit("the observation", f"has {len(leading)} leading dimensions", space)
    encoded = Encoding(space)(arrays, offset=offset)
    if leading:
        return ReadObservations(encoded, leading[0], batched=True)
    return ReadObservations(jax.tree.map(lambda x: x[None], encoded), 1, batched=False)


def _is_reset(space: spaces.Space, obs: Any) -> bool:
    """Whether it is (observation, info), where no observation of the space looks so."""
    pair = isinstance(obs, tuple) and len(obs) == 2 and isinstance(obs[1], dict)
    return pair and not (isinstance(space, spaces.Tuple) and isinstance(space[-1], spaces.Dict))
