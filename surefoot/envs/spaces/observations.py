"""How an observation becomes a vector.

`encode` works on batches with any leading dimensions, in NumPy or JAX, and gives what
`gymnasium.spaces.flatten` gives for each entry, as float32. An offset that is subtracted before
they are rounded keeps the digits of what lies far from zero, a time in seconds since 1970 for
instance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError

_OBSERVATIONS = "Box, Discrete, MultiDiscrete, MultiBinary, or Dict or Tuple of these"


def check_observation_space(space: spaces.Space) -> None:
    """Raise `UsageError` unless `encode` can flatten the space."""
    parts: list[spaces.Space]
    match space:
        case spaces.Dict():
            parts = list(space.values())
        case spaces.Tuple():
            parts = list(space)
        case spaces.Box() | spaces.Discrete() | spaces.MultiDiscrete() | spaces.MultiBinary():
            return
        case _:
            raise UsageError(
                f"observation space {space} is not supported; accepted are {_OBSERVATIONS}: "
                "wrap the environment so that it returns one of these"
            )
    if not parts:
        raise UsageError(
            f"observation space {space} has no part; accepted is a Dict or Tuple of one or more: "
            "leave it out"
        )
    for part in parts:
        check_observation_space(part)


def observation_size(space: spaces.Space) -> int:
    """Entries of an encoded observation."""
    size = spaces.flatdim(space)
    assert size is not None
    return int(size)


def encode(space: spaces.Space, obs: Any, xp: Any = np, *, offset: np.ndarray | None = None) -> Any:
    """Flatten a batch of observations to float32 [*batch, size], less an offset, float64 [size];
    `xp` is numpy or jax.numpy."""
    if offset is None:
        return _flat(space, obs, xp, xp.float32)
    return (_flat(space, obs, xp, xp.float64) - offset).astype(xp.float32)


def offset_of_first(space: spaces.Space, obs: Any) -> np.ndarray | None:
    """The offset that makes the first of a batch of observations zero where float32 cannot hold
    what the space can, float64 [size]; `None` if it holds all."""
    if not any_wide(space):
        return None
    return offset_of_encoded(space, _flat(space, obs, np, np.float64)[0])


def offset_of_encoded(space: spaces.Space, obs: np.ndarray) -> np.ndarray:
    """The same of one observation that is encoded in float64, [size]: the numbers that a
    normalizer can keep, so that a run that is resumed subtracts what it did."""
    kept = np.abs(obs) <= np.finfo(np.float32).max
    offset = np.where(_wide(space) & kept, obs, 0.0)
    high = offset.astype(np.float32)
    return high.astype(np.float64) + (offset - high).astype(np.float32)


def any_wide(space: spaces.Space) -> bool:
    """Whether a part of the space has a type that float32 cannot hold."""
    return bool(_wide(space).any())


def _wide(space: spaces.Space) -> np.ndarray:
    """Entries, [size], of a type that float32 cannot hold."""
    match space:
        case spaces.Dict() | spaces.Tuple():
            parts = space.values() if isinstance(space, spaces.Dict) else space
            return np.concatenate([_wide(part) for part in parts])
        case _:
            wide = isinstance(space, spaces.Box) and not np.can_cast(space.dtype, np.float32)
            return np.full(observation_size(space), wide)


def _flat(space: spaces.Space, obs: Any, xp: Any, dtype: Any) -> Any:
    """[*batch, size] in that type."""

    def one_hot(x: Any, n: int) -> Any:
        return (x[..., None] == xp.arange(n)).astype(dtype)

    match space:
        case spaces.Dict():
            parts = [_flat(s, obs[k], xp, dtype) for k, s in space.items()]
            return xp.concatenate(parts, axis=-1)
        case spaces.Tuple():
            parts = [_flat(s, o, xp, dtype) for s, o in zip(space, obs, strict=True)]
            return xp.concatenate(parts, axis=-1)
        case spaces.Discrete():
            return one_hot(xp.asarray(obs) - space.start, int(space.n))
        case spaces.MultiDiscrete():
            values = xp.asarray(obs) - space.start
            values = values.reshape(*values.shape[: values.ndim - space.nvec.ndim], -1)
            hot = [one_hot(values[..., i], int(n)) for i, n in enumerate(space.nvec.reshape(-1))]
            return xp.concatenate(hot, axis=-1)
        case _:
            values = xp.asarray(obs, dtype=dtype)
            return values.reshape(*values.shape[: values.ndim - len(space.shape or ())], -1)


def is_batched(space: spaces.Space, obs: Any) -> bool:
    """Whether `obs` has one leading dimension more than a single observation of the space."""
    match space:
        case spaces.Dict():
            key = next(iter(space))
            return is_batched(space[key], obs[key])
        case spaces.Tuple():
            return is_batched(space[0], obs[0])
        case _:
            return np.ndim(obs) > len(space.shape or ())


def alike(one: spaces.Space, other: spaces.Space) -> bool:
    """Whether observations of both mean the same, bounds of boxes aside."""
    match one, other:
        case spaces.Box(), spaces.Box():
            return one.shape == other.shape
        case spaces.Dict(), spaces.Dict():
            return list(one) == list(other) and all(alike(one[k], other[k]) for k in one)
        case spaces.Tuple(), spaces.Tuple():
            return len(one) == len(other) and all(map(alike, one, other))
        case _:
            return bool(one == other)


def component(space: spaces.Space, index: int) -> str:
    """What entry `index` of an encoded observation is of, `observation['velocity'][2]` for
    instance."""

    def find(space: spaces.Space, index: int) -> str:
        match space:
            case spaces.Dict() | spaces.Tuple():
                parts = space.items() if isinstance(space, spaces.Dict) else enumerate(space)
                for key, part in parts:
                    size = observation_size(part)
                    if index < size:
                        return f"[{key!r}]{find(part, index)}"
                    index -= size
                raise IndexError(index)
            case _:
                return f"[{index}]"

    return f"observation{find(space, index)}"
