"""Masks of valid actions as a part of an observation. No JAX is imported, so that a worker process
can use it."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError

#: The key of the mask in a Dict observation.
ACTION_MASK = "action_mask"
#: Where an observation lies that is no Dict, beside its mask.
OBSERVATION = "observation"


def has_mask(observation_space: spaces.Space) -> bool:
    """Whether observations of the space have a mask."""
    return isinstance(observation_space, spaces.Dict) and ACTION_MASK in observation_space.spaces


def mask_size(space: spaces.Space) -> int | None:
    """Entries of a mask: one for each value of each choice, in their order; `None` for actions
    that have no masks."""
    match space:
        case spaces.Discrete():
            return int(space.n)
        case spaces.MultiDiscrete():
            return int(space.nvec.sum())
        case spaces.MultiBinary():
            return 2 * int(np.prod(space.shape))
        case _:
            return None


def flat_mask(mask: Any) -> np.ndarray:
    """A mask's flags in one row; of several choices there may be a list or tuple of their own."""
    if mask is None:
        return np.zeros(0)
    if isinstance(mask, list | tuple) and mask and np.ndim(mask[0]):
        return np.concatenate([np.asarray(part).reshape(-1) for part in mask])
    return np.asarray(mask).reshape(-1)


def any_valid(mask: np.ndarray, action_space: spaces.Space) -> np.ndarray:
    """Whether a value of each choice is valid, [*batch]; of a mask [*batch, M]."""
    match action_space:
        case spaces.MultiDiscrete():
            ends = np.cumsum(action_space.nvec.reshape(-1))[:-1]
            each = [part.any(axis=-1) for part in np.split(mask, ends, axis=-1)]
        case spaces.MultiBinary():
            pairs = np.moveaxis(mask.reshape(*mask.shape[:-1], -1, 2), -2, 0)
            each = [pair.any(axis=-1) for pair in pairs]
        case _:
            each = [mask.any(axis=-1)]
    return np.asarray(np.logical_and.reduce(each))


def chosen(action_space: spaces.Space, action: np.ndarray) -> np.ndarray:
    """Which entries of a mask actions [B, …] take, [B, M]: one of each choice."""
    flat = action.reshape(len(action), -1)
    match action_space:
        case spaces.Discrete():
            counts, values = np.array([action_space.n]), flat - action_space.start
        case spaces.MultiDiscrete():
            counts, values = action_space.nvec.reshape(-1), flat - action_space.start.reshape(-1)
        case _:
            counts, values = np.full(flat.shape[1], 2), flat
    each = [values[:, i, None] == np.arange(n) for i, n in enumerate(counts)]
    return np.concatenate(each, axis=1)


def check_mask(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Raise `UsageError` where a Dict observation has a mask that does not fit the actions."""
    if not isinstance(observation_space, spaces.Dict) or not has_mask(observation_space):
        return
    mask = observation_space[ACTION_MASK]
    size, entries = mask_size(action_space), int(np.prod(mask.shape or ()))
    if size is None or size != entries:
        wanted = "actions that are choices" if size is None else f"{size} flags"
        raise UsageError(
            f"the observation's {ACTION_MASK!r} has {entries} entries and the action space is "
            f"{' '.join(str(action_space).split())}; accepted with it are {wanted}: rename the "
            "part of the observation, or mend its space"
        )


def with_mask(obs: Any, mask: Any) -> dict[str, Any]:
    """An observation, or a batch of them, with its mask."""
    seen = obs if isinstance(obs, dict) else {OBSERVATION: obs}
    return {ACTION_MASK: mask, **seen}


def with_mask_space(observation_space: spaces.Space, size: int) -> spaces.Dict:
    """The space of such observations."""
    match observation_space:
        case spaces.Dict():
            seen = dict(observation_space.spaces)
        case _:
            seen = {OBSERVATION: observation_space}
    return spaces.Dict({ACTION_MASK: spaces.MultiBinary(size), **seen})
