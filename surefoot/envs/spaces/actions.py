"""What the environment receives for a policy's raw sample.

That lives in the policy's coordinates: for a `Box`, [−1, 1] is mapped affinely to the bounds where
both are finite. A squashed Gaussian is squashed here: its raw sample is what tanh is taken of.
"""

from __future__ import annotations

import abc
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array

from surefoot.common.errors import UsageError
from surefoot.core.distributions import Action

ActionMapName = Literal["affine", "clip"]
#: That of a `Box` action.
DistributionName = Literal["gaussian", "beta", "tanh_gaussian"]

_FLOAT32 = np.finfo(np.float32).max
_ACTIONS = "Discrete, MultiDiscrete, MultiBinary, a Box of floats, and a Dict or Tuple of these"


class ActionMap(eqx.Module):
    """From the policy's raw sample to what the environment receives, and back."""

    @abc.abstractmethod
    def __call__(self, raw: Action) -> Any:
        """Environment actions [*batch, *space.shape] for raw samples with the same batch: of a
        `Dict` or `Tuple` a dictionary or tuple, as Gymnasium batches them."""

    @abc.abstractmethod
    def inverse(self, action: Any) -> Action:
        """Raw samples, as the policy's distribution has them, for environment actions
        [*batch, *space.shape]: the map takes them back to the actions that lie in the space."""


class BoxMap(ActionMap):
    """raw·scale + offset, clipped to the bounds."""

    low: Array
    high: Array
    scale: Array
    offset: Array
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, raw: Array) -> Array:
        scale, offset, low, high = (
            _for_batch(x, raw) for x in (self.scale, self.offset, self.low, self.high)
        )
        action = jnp.clip(raw * scale + offset, low, high)
        return action.reshape(*raw.shape[:-1], *self.shape)

    def inverse(self, action: Array | np.ndarray) -> Array:
        """(action − offset)/scale [*batch, D], float32; 0 where the bounds are one number."""
        action = jnp.asarray(action, self.scale.dtype)
        flat = action.reshape(*action.shape[: action.ndim - len(self.shape)], -1)
        scale, offset = _for_batch(self.scale, flat), _for_batch(self.offset, flat)
        single = scale == 0.0
        return jnp.where(single, 0.0, (flat - offset) / jnp.where(single, 1.0, scale))


class TanhMap(ActionMap):
    """tanh(raw), and then as a raw sample of `box`."""

    box: BoxMap

    def __call__(self, raw: Array) -> Array:
        return self.box(jnp.tanh(raw))

    def inverse(self, action: Array | np.ndarray) -> Array:
        """The artanh [*batch, D], float32; at a bound, where that is infinite, that of the number
        next to it."""
        squashed = self.box.inverse(action)
        end = 1.0 - float(jnp.finfo(squashed.dtype).eps)
        return jnp.arctanh(jnp.clip(squashed, -end, end))


class IntegerMap(ActionMap):
    """raw + start, for the discrete spaces."""

    start: Array
    shape: tuple[int, ...] = eqx.field(static=True)
    flat: bool = eqx.field(static=True)

    def __call__(self, raw: Array) -> Array:
        batch = raw.shape[:-1] if self.flat else raw.shape
        return (raw + _for_batch(self.start, raw)).reshape(*batch, *self.shape)

    def inverse(self, action: Array | np.ndarray) -> Array:
        """The action less the start, integers: [*batch] for `Discrete`, otherwise [*batch, D]."""
        action = jnp.asarray(action, self.start.dtype)
        batch = action.shape[: action.ndim - len(self.shape)]
        raw = action.reshape(*batch, -1) if self.flat else action
        return raw - _for_batch(self.start, raw)


class ProductMap(ActionMap):
    """A map for each part of a `Dict`, in the order of its keys, or of a `Tuple`."""

    parts: tuple[ActionMap, ...]
    keys: tuple[str, ...] | None = eqx.field(static=True)
    """Those of a `Dict`, `None` for a `Tuple`."""

    def __call__(self, raw: tuple[Action, ...]) -> dict[str, Any] | tuple[Any, ...]:
        actions = tuple(part(x) for part, x in zip(self.parts, raw, strict=True))
        return actions if self.keys is None else dict(zip(self.keys, actions, strict=True))

    def inverse(self, action: Any) -> tuple[Action, ...]:
        """The tuple of the parts' raw samples."""
        actions = action if self.keys is None else [action[key] for key in self.keys]
        return tuple(part.inverse(x) for part, x in zip(self.parts, actions, strict=True))


def _for_batch(entry: Array, batch: Array) -> Array:
    """What every entry of a batch has, with a dimension of size one for each of the batch's; a
    scalar as it is."""
    return entry if entry.ndim == 0 else jnp.expand_dims(entry, range(batch.ndim - entry.ndim))


def action_map(
    space: spaces.Space,
    kind: ActionMapName = "affine",
    distribution: DistributionName = "gaussian",
) -> ActionMap:
    """The map for an action space. `kind` matters for `Box` only: "affine" maps [−1, 1] to the
    bounds of every dimension where both are finite and passes others through, "clip" passes all
    through; both clip to the bounds. `distribution` is the one that `action_head` was given; those
    within bounds take "affine" only. Raises `UsageError` for a space that no policy acts in."""
    if kind == "clip" and distribution != "gaussian":
        raise UsageError(
            f"action_map is 'clip' and distribution is {distribution!r}; accepted is 'affine', "
            "which takes the distribution's bounds to the action's: leave it out"
        )
    match space:
        case spaces.Dict() | spaces.Tuple():
            maps = tuple(action_map(part, kind, distribution) for part in parts_of(space))
            return ProductMap(maps, tuple(space) if isinstance(space, spaces.Dict) else None)
        case spaces.Box():
            check_bounded(space, distribution)
            box = _box_map(space, kind)
            return TanhMap(box) if distribution == "tanh_gaussian" else box
        case spaces.Discrete():
            return IntegerMap(jnp.asarray(int(space.start)), (), flat=False)
        case spaces.MultiDiscrete():
            return IntegerMap(
                jnp.asarray(space.start.reshape(-1), jnp.int32), space.shape, flat=True
            )
        case spaces.MultiBinary():
            return IntegerMap(jnp.asarray(0), space.shape, flat=True)
        case _:
            raise unsupported_action(space)


def _box_map(space: spaces.Box, kind: ActionMapName) -> BoxMap:
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    bounded = _bounded(space) & (kind == "affine")
    bottom, top = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    scale, offset = top / 2 - bottom / 2, top / 2 + bottom / 2
    return BoxMap(
        low=-_float32_below(-low),
        high=_float32_below(high),
        scale=jnp.asarray(scale, jnp.float32),
        offset=jnp.asarray(offset, jnp.float32),
        shape=space.shape,
    )


def _bounded(space: spaces.Box) -> np.ndarray:
    """Which dimensions have two bounds [D]. What float32 cannot hold bounds nothing."""
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    return (np.abs(low) <= _FLOAT32) & (np.abs(high) <= _FLOAT32)


def _float32_below(x: np.ndarray) -> Array:
    """The largest float32 that is not above x: a float64 bound may lie between two of them."""
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float32)
    return jnp.asarray(np.where(rounded > x, np.nextafter(rounded, np.float32(-np.inf)), rounded))


def check_bounded(space: spaces.Box, distribution: DistributionName) -> None:
    """Raise `UsageError` where the distribution needs bounds that the space lacks."""
    if distribution != "gaussian" and not _bounded(space).all():
        raise UsageError(
            f"distribution is {distribution!r} and action space {' '.join(str(space).split())} has "
            "entries without two finite bounds; accepted are finite bounds of every entry: take "
            "'gaussian', or wrap the environment so that it has them"
        )


def parts_of(space: spaces.Dict | spaces.Tuple) -> tuple[spaces.Space, ...]:
    """The spaces within, in their order. Raises `UsageError` if there are none."""
    parts = tuple(space.values()) if isinstance(space, spaces.Dict) else tuple(space)
    if not parts:
        raise UsageError(
            f"action space {space} has no part; accepted is one with a part or more: leave it out"
        )
    return parts


def unsupported_action(space: spaces.Space) -> UsageError:
    """For a space that no policy acts in."""
    return UsageError(
        f"action space {space} is not supported; accepted are {_ACTIONS}: wrap the environment so "
        "that it takes one of them"
    )
