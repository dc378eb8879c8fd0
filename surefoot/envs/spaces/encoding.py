"""What becomes of an observation before a policy sees it.

All that is no image becomes one vector of float32, in the order of the space: numbers as they are,
a choice of n as n numbers of which one is 1. That is what `gymnasium.spaces.flatten` gives. An
image keeps its shape, [H, W, C], and its type. A `Dict` observation's "action_mask" is no part of
what is seen: it says which actions are valid.

An offset that is subtracted before numbers are rounded to float32 keeps the digits of what lies far
from zero, a time in seconds since 1970 for instance.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError, closest
from surefoot.core.networks.selecting import Selection
from surefoot.core.observation import VECTOR, Observation
from surefoot.envs.spaces.masks import ACTION_MASK

#: Pixels that an image has a side, at least; what is smaller is a table of numbers.
SMALLEST_IMAGE = 8


class Leaf(NamedTuple):
    """A part of a space that has no parts."""

    path: tuple[Any, ...]
    """The keys that lead to it in an observation."""
    space: spaces.Space

    def of(self, values: Any) -> Any:
        """It in values of the whole space."""
        return functools.reduce(operator.getitem, self.path, values)

    @property
    def called(self) -> str:
        """How to get at it, "['velocity'][2]" for instance; nothing for a space without parts."""
        return "".join(f"[{key!r}]" for key in self.path)


class Encoding:
    """How observations of a space are encoded; [*batch, …] with any batch dimensions, in NumPy or
    JAX."""

    def __init__(self, space: spaces.Space) -> None:
        leaves = list(leaves_of(space))
        self.mask = next((leaf for leaf in leaves if leaf.path == (ACTION_MASK,)), None)
        others = [leaf for leaf in leaves if leaf is not self.mask]
        self.vector = [leaf for leaf in others if not is_image(leaf.space)]
        self.images = {_key(leaf): leaf for leaf in others if is_image(leaf.space)}
        if not others:
            raise UsageError(
                f"observation space {' '.join(str(space).split())} has nothing but a mask; "
                "accepted is one with something to see"
            )
        if VECTOR in self.images and self.vector:
            raise UsageError(
                f"observation space {' '.join(str(space).split())} has an image {VECTOR!r} beside "
                "numbers, which are called so together; accepted are other keys: rename it"
            )

    @property
    def size(self) -> int:
        """Entries of the vector."""
        return sum(size_of(leaf.space) for leaf in self.vector)

    @property
    def spec(self) -> Any:
        """What is seen of one observation, as `jax.ShapeDtypeStruct`s."""
        seen: Any = {
            key: jax.ShapeDtypeStruct(image_shape(leaf.space), leaf.space.dtype)
            for key, leaf in self.images.items()
        }
        if self.vector:
            seen[VECTOR] = jax.ShapeDtypeStruct((self.size,), np.float32)
        return seen if len(seen) > 1 else next(iter(seen.values()))

    def __call__(self, obs: Any, xp: Any = np, *, offset: np.ndarray | None = None) -> Any:
        """A batch of observations encoded: the vector, float32 [*batch, size], less an offset,
        float64 [size]; an image, [*batch, H, W, C]; a dict of them where there is more than one; an
        `Observation` where there is a mask. `xp` is numpy or jax.numpy."""
        if not self.images and self.mask is None:
            return self._vector(obs, xp, offset)
        seen: Any = {key: _image(leaf, obs, xp) for key, leaf in self.images.items()}
        if self.vector:
            seen[VECTOR] = self._vector(obs, xp, offset)
        if len(seen) == 1:
            (seen,) = seen.values()
        if self.mask is None:
            return seen
        mask = xp.asarray(self.mask.of(obs)).astype(bool)
        own = len(self.mask.space.shape or ())
        size = size_of(self.mask.space)
        return Observation(seen, mask.reshape(*mask.shape[: mask.ndim - own], size))

    def _vector(self, obs: Any, xp: Any, offset: np.ndarray | None) -> Any:
        if offset is None:
            return self._joined(obs, xp, xp.float32)
        return (self._joined(obs, xp, xp.float64) - offset).astype(xp.float32)

    def _joined(self, obs: Any, xp: Any, dtype: Any) -> Any:
        parts = [_flat(leaf.space, leaf.of(obs), xp, dtype) for leaf in self.vector]
        return parts[0] if len(parts) == 1 else xp.concatenate(parts, axis=-1)

    def offset_of_first(self, obs: Any) -> np.ndarray | None:
        """The offset that makes the vector of the first of a batch of observations zero where
        float32 cannot hold what the space can, float64 [size]; `None` if it holds all."""
        if not self.wide.any():
            return None
        return self.offset_of_vector(self._joined(obs, np, np.float64)[0])

    def offset_of_vector(self, vector: np.ndarray) -> np.ndarray:
        """The same of one vector in float64, [size]: the numbers that a normalizer can keep, so
        that a run that is resumed subtracts what it did."""
        kept = np.abs(vector) <= np.finfo(np.float32).max
        offset = np.where(self.wide & kept, vector, 0.0)
        high = offset.astype(np.float32)
        return high.astype(np.float64) + (offset - high).astype(np.float32)

    @functools.cached_property
    def wide(self) -> np.ndarray:
        """Entries of the vector, [size], of a type that float32 cannot hold."""
        each = [np.full(size_of(leaf.space), _is_wide(leaf.space)) for leaf in self.vector]
        return np.concatenate([np.zeros(0, bool), *each])

    def blank(self, leading: tuple[int, ...]) -> Any:
        """Encoded observations of zeros, leaves [*leading, …]; every action is valid."""
        seen = jax.tree.map(lambda x: jnp.zeros((*leading, *x.shape), x.dtype), self.spec)
        if self.mask is None:
            return seen
        return Observation(seen, jnp.ones((*leading, size_of(self.mask.space)), bool))

    def selection(self, keys: Sequence[str]) -> Selection:
        """The parts that lie under these keys of a Dict observation. Raises `UsageError` for a key
        that it has not."""
        known = {str(leaf.path[0]) for leaf in (*self.vector, *self.images.values()) if leaf.path}
        for key in keys:
            if key not in known:
                raise UsageError(
                    f"the observation has no part {key!r}; accepted are "
                    f"{', '.join(map(repr, sorted(known))) or 'no keys: it is no Dict'}."
                    f"{closest(key, known)}"
                )
        columns: list[int] = []
        before = 0
        for path, space in self.vector:
            size = size_of(space)
            if path and str(path[0]) in keys:
                columns.extend(range(before, before + size))
            before += size
        images = [k for k, leaf in self.images.items() if leaf.path and str(leaf.path[0]) in keys]
        return Selection(tuple(columns), tuple(images))

    def component(self, index: int) -> str:
        """What entry `index` of the vector is of, `observation['velocity'][2]` for instance."""
        for leaf in self.vector:
            if index < size_of(leaf.space):
                return f"observation{leaf.called}[{index}]"
            index -= size_of(leaf.space)
        raise IndexError(index)


def is_image(space: spaces.Space) -> bool:
    """Whether observations of the space are images: a Box of uint8, bool or float32, [H, W],
    [H, W, C] or [C, H, W], of 8 pixels a side or more."""
    if not isinstance(space, spaces.Box) or space.dtype not in (np.uint8, np.bool_, np.float32):
        return False
    shape = space.shape
    if len(shape) == 2:
        return min(shape) >= SMALLEST_IMAGE
    return (
        len(shape) == 3
        and min(sorted(shape)[1:]) >= SMALLEST_IMAGE
        and (_channels_first(shape) or min(shape[:2]) >= SMALLEST_IMAGE)
    )


def _channels_first(shape: tuple[int, ...]) -> bool:
    return shape[0] < min(shape[1:]) and min(shape[1:]) >= SMALLEST_IMAGE


def image_shape(space: spaces.Space) -> tuple[int, ...]:
    """[H, W, C] of an image."""
    shape = space.shape or ()
    if len(shape) == 2:
        return (*shape, 1)
    return (*shape[1:], shape[0]) if _channels_first(shape) else shape


def size_of(space: spaces.Space) -> int:
    """Entries of a leaf in the vector."""
    size = spaces.flatdim(space)
    assert size is not None
    return int(size)


def leaves_of(space: spaces.Space, path: tuple[Any, ...] = ()) -> Iterator[Leaf]:
    """The parts of a space, in its order."""
    match space:
        case spaces.Dict():
            for key, part in space.items():
                yield from leaves_of(part, (*path, key))
        case spaces.Tuple():
            for index, part in enumerate(space):
                yield from leaves_of(part, (*path, index))
        case _:
            yield Leaf(path, space)


def _key(leaf: Leaf) -> str:
    return ".".join(map(str, leaf.path)) or "image"


def _image(leaf: Leaf, obs: Any, xp: Any) -> Any:
    shape = leaf.space.shape or ()
    image = xp.asarray(leaf.of(obs), dtype=leaf.space.dtype)
    if len(shape) == 2:
        return image[..., None]
    return xp.moveaxis(image, -3, -1) if _channels_first(shape) else image


def _is_wide(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box) and not np.can_cast(space.dtype, np.float32)


def _flat(space: spaces.Space, obs: Any, xp: Any, dtype: Any) -> Any:
    """A leaf as [*batch, size] in that type."""

    def one_hot(x: Any, n: int) -> Any:
        return (x[..., None] == xp.arange(n)).astype(dtype)

    def integers(x: Any) -> Any:
        x = xp.asarray(x)
        # Types of 8 and 16 bits overflow soon, and ONNX subtracts none of them.
        return x.astype(xp.int32) if x.dtype.itemsize < 4 else x

    match space:
        case spaces.Discrete():
            return one_hot(integers(obs) - space.start, int(space.n))
        case spaces.MultiDiscrete():
            values = integers(obs) - space.start
            own = values.shape[: values.ndim - space.nvec.ndim]
            values = values.reshape(*own, space.nvec.size)
            hot = [one_hot(values[..., i], int(n)) for i, n in enumerate(space.nvec.reshape(-1))]
            return xp.concatenate(hot, axis=-1)
        case _:
            values, shape = xp.asarray(obs, dtype=dtype), space.shape or ()
            return values.reshape(*values.shape[: values.ndim - len(shape)], math.prod(shape))
