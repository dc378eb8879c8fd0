"""How an observation becomes a vector.

`encode` works on batches with any leading dimensions, in NumPy or JAX, and gives what
`gymnasium.spaces.flatten` gives for each entry, as float32. An offset that is subtracted before
they are rounded keeps the digits of what lies far from zero, a time in seconds since 1970 for
instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError, in_short

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


def read_observations(
    space: spaces.Space, obs: Any, *, offset: np.ndarray | None = None
) -> tuple[np.ndarray, bool]:
    """One observation of the space, or a batch of them, encoded less an offset: float32 [N, size],
    and whether it was a batch. Raises `UsageError` for what is neither."""
    if _is_reset(space, obs):
        raise UsageError(
            "the observation is what reset returned, the pair of an observation and an info; "
            "accepted is the observation alone: obs, info = env.reset()"
        )
    arrays, leading = _as_arrays(space, obs, "the observation", space)
    if len(leading) > 1:
        raise _unfit("the observation", f"has {len(leading)} leading dimensions", space)
    if leading == (0,):
        return np.zeros((0, observation_size(space)), np.float32), True
    encoded = encode(space, arrays, offset=offset)
    return (encoded, True) if leading else (encoded[None], False)


def _is_reset(space: spaces.Space, obs: Any) -> bool:
    """Whether it is (observation, info), where no observation of the space looks so."""
    pair = isinstance(obs, tuple) and len(obs) == 2 and isinstance(obs[1], dict)
    return pair and not (isinstance(space, spaces.Tuple) and isinstance(space[-1], spaces.Dict))


def _as_arrays(
    space: spaces.Space, obs: Any, name: str, whole: spaces.Space
) -> tuple[Any, tuple[int, ...]]:
    """The observation with arrays for its parts, and the leading dimensions that all have."""
    parts: dict[Any, spaces.Space]
    match space:
        case spaces.Dict():
            if not isinstance(obs, Mapping):
                raise _unfit(name, f"is {in_short(obs)} and no dict", whole)
            missing = [key for key in space if key not in obs]
            if missing:
                raise _unfit(name, f"lacks {', '.join(map(repr, missing))}", whole)
            parts = dict(space.items())
        case spaces.Tuple():
            if not isinstance(obs, tuple | list) or len(obs) != len(space):
                raise _unfit(name, f"is {in_short(obs)} and no tuple of {len(space)}", whole)
            parts = dict(enumerate(space))
        case _:
            return _as_array(space, obs, name, whole)
    read = {k: _as_arrays(part, obs[k], f"{name}[{k!r}]", whole) for k, part in parts.items()}
    if len({leading for _, leading in read.values()}) > 1:
        sizes = ", ".join(f"{key!r} {list(leading)}" for key, (_, leading) in read.items())
        raise _unfit(name, f"has parts of several batches ({sizes})", whole)
    arrays = {key: array for key, (array, _) in read.items()}
    leading = next((leading for _, leading in read.values()), ())
    return (arrays if isinstance(space, spaces.Dict) else tuple(arrays.values())), leading


def _as_array(
    space: spaces.Space, obs: Any, name: str, whole: spaces.Space
) -> tuple[np.ndarray, tuple[int, ...]]:
    try:
        array = np.asarray(obs)
    except (TypeError, ValueError, RuntimeError):
        raise _unfit(name, f"is {in_short(obs)}, of which NumPy makes no array", whole) from None
    if not np.can_cast(array.dtype, np.float32, "same_kind"):
        raise _unfit(name, f"is {in_short(obs)}, of {array.dtype}", whole)
    shape = space.shape or ()
    own = array.ndim - len(shape)
    if own < 0 or array.shape[own:] != shape:
        raise _unfit(name, f"has the shape {array.shape}", whole)
    if _unencodable(space, array):
        raise _unfit(name, f"is {in_short(obs)}, outside of {_one_line(space)}", whole)
    return array, array.shape[:own]


def leading_dimensions(space: spaces.Space, obs: Any) -> tuple[int, ...] | None:
    """Those that all parts of `obs` have before the dimensions of the space; `None` for what holds
    no observations of the space. Bounds and dtypes of boxes play no part."""
    try:
        return _as_arrays(space, obs, "", space)[1]
    except UsageError:
        return None


def _unencodable(space: spaces.Space, array: np.ndarray) -> bool:
    """Whether observations [*batch, *space.shape] have values that no entry of the encoding stands
    for: an integer outside of a `Discrete` or `MultiDiscrete` space, or a fraction."""
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return False
    count = space.n if isinstance(space, spaces.Discrete) else space.nvec
    value = array - space.start
    return not bool(((value >= 0) & (value < count) & (value == np.floor(value))).all())


def _unfit(name: str, what: str, space: spaces.Space) -> UsageError:
    return UsageError(
        f"{name} {what}; accepted is one observation of {_one_line(space)}, or a batch of them"
    )


def _one_line(space: spaces.Space) -> str:
    """The text of a large box has line breaks."""
    return " ".join(str(space).split())


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
