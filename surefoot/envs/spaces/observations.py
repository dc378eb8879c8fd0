"""How an observation becomes a vector.

`encode` works on batches with any leading dimensions, in NumPy or JAX, and gives what
`gymnasium.spaces.flatten` gives for each entry, as float32.
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


def encode(space: spaces.Space, obs: Any, xp: Any = np) -> Any:
    """Flatten a batch of observations to float32 [*batch, size]; `xp` is numpy or jax.numpy."""

    def one_hot(x: Any, n: int) -> Any:
        return (x[..., None] == xp.arange(n)).astype(xp.float32)

    match space:
        case spaces.Dict():
            return xp.concatenate([encode(s, obs[k], xp) for k, s in space.items()], axis=-1)
        case spaces.Tuple():
            pairs = zip(space, obs, strict=True)
            return xp.concatenate([encode(s, o, xp) for s, o in pairs], axis=-1)
        case spaces.Discrete():
            return one_hot(xp.asarray(obs) - space.start, int(space.n))
        case spaces.MultiDiscrete():
            values = xp.asarray(obs) - space.start
            values = values.reshape(*values.shape[: values.ndim - space.nvec.ndim], -1)
            hot = [one_hot(values[..., i], int(n)) for i, n in enumerate(space.nvec.reshape(-1))]
            return xp.concatenate(hot, axis=-1)
        case _:
            values = xp.asarray(obs, dtype=xp.float32)
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
