"""Trees of arrays, dicts and tuples, as `Dict` and `Tuple` spaces have them. No JAX is imported, so
that a worker process can use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces


def map_arrays(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The tree with `function` of its arrays, and of those of others like it, in their places."""
    match tree:
        case dict():
            return {
                key: map_arrays(function, part, *(other[key] for other in others))
                for key, part in tree.items()
            }
        case tuple():
            return tuple(map_arrays(function, *parts) for parts in zip(tree, *others, strict=True))
        case _:
            return function(tree, *others)


def length_of(tree: Any) -> int:
    """The first dimension of a tree's arrays."""
    match tree:
        case dict():
            return length_of(next(iter(tree.values())))
        case tuple():
            return length_of(tree[0])
        case _:
            return len(tree)


def empty_of(space: spaces.Space) -> Any:
    """No row of a space: arrays [0, …]."""
    match space:
        case spaces.Dict():
            return {key: empty_of(part) for key, part in space.items()}
        case spaces.Tuple():
            return tuple(map(empty_of, space))
        case _:
            return np.empty((0, *(space.shape or ())), space.dtype)
