"""Which observations are accepted. No JAX is imported, so that a worker process can use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError, in_short

_OBSERVATIONS = "Box, Discrete, MultiDiscrete, MultiBinary, or Dict or Tuple of these"


def check_observation_space(space: spaces.Space) -> None:
    """Raise `UsageError` unless observations of the space can be encoded."""
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


def as_arrays(
    space: spaces.Space, obs: Any, name: str, whole: spaces.Space
) -> tuple[Any, tuple[int, ...]]:
    """An observation with arrays for its parts, and the leading dimensions that all have. Raises
    `UsageError`, with its `name`, for what is none of the space, a part of the `whole`."""
    parts: dict[Any, spaces.Space]
    match space:
        case spaces.Dict():
            if not isinstance(obs, Mapping):
                raise unfit(name, f"is {in_short(obs)} and no dict", whole)
            missing = [key for key in space if key not in obs]
            if missing:
                raise unfit(name, f"lacks {', '.join(map(repr, missing))}", whole)
            parts = dict(space.items())
        case spaces.Tuple():
            if not isinstance(obs, tuple | list) or len(obs) != len(space):
                raise unfit(name, f"is {in_short(obs)} and no tuple of {len(space)}", whole)
            parts = dict(enumerate(space))
        case _:
            return _as_array(space, obs, name, whole)
    read = {k: as_arrays(part, obs[k], f"{name}[{k!r}]", whole) for k, part in parts.items()}
    if len({leading for _, leading in read.values()}) > 1:
        sizes = ", ".join(f"{key!r} {list(leading)}" for key, (_, leading) in read.items())
        raise unfit(name, f"has parts of several batches ({sizes})", whole)
    arrays = {key: array for key, (array, _) in read.items()}
    leading = next((leading for _, leading in read.values()), ())
    return (arrays if isinstance(space, spaces.Dict) else tuple(arrays.values())), leading


def _as_array(
    space: spaces.Space, obs: Any, name: str, whole: spaces.Space
) -> tuple[np.ndarray, tuple[int, ...]]:
    try:
        array = np.asarray(obs)
    except (TypeError, ValueError, RuntimeError):
        raise unfit(name, f"is {in_short(obs)}, of which NumPy makes no array", whole) from None
    if not np.can_cast(array.dtype, np.float32, "same_kind"):
        raise unfit(name, f"is {in_short(obs)}, of {array.dtype}", whole)
    shape = space.shape or ()
    own = array.ndim - len(shape)
    if own < 0 or array.shape[own:] != shape:
        raise unfit(name, f"has the shape {array.shape}", whole)
    if _unencodable(space, array):
        raise unfit(name, f"is {in_short(obs)}, outside of {_one_line(space)}", whole)
    return array, array.shape[:own]


def leading_dimensions(space: spaces.Space, obs: Any) -> tuple[int, ...] | None:
    """Those that all parts of `obs` have before the dimensions of the space; `None` for what holds
    no observations of the space. Bounds and dtypes of boxes play no part."""
    try:
        return as_arrays(space, obs, "", space)[1]
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


def unfit(name: str, what: str, space: spaces.Space) -> UsageError:
    """What is wrong with observations that were handed in."""
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
