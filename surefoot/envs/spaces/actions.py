"""How a policy acts in an action space.

Which distribution fits it, and what the environment receives for a raw sample. That lives in the
policy's coordinates: for a `Box`, [−1, 1] is mapped affinely to the bounds where both are finite.
"""

from __future__ import annotations

import abc
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array

from surefoot.common.errors import UsageError
from surefoot.core.networks import (
    BernoulliHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    StateGaussianHead,
)

ActionMapName = Literal["affine", "clip"]

_FLOAT32, _INT32 = np.finfo(np.float32).max, int(np.iinfo(np.int32).max)
_ACTIONS = "Box, Discrete, MultiDiscrete or MultiBinary"


class ActionMap(eqx.Module):
    """From the policy's raw sample to what the environment receives, and back."""

    @abc.abstractmethod
    def __call__(self, raw: Array) -> Array:
        """Environment actions [*batch, *space.shape] for raw samples with the same batch."""

    @abc.abstractmethod
    def inverse(self, action: Array | np.ndarray) -> Array:
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


def _for_batch(entry: Array, batch: Array) -> Array:
    """What every entry of a batch has, with a dimension of size one for each of the batch's; a
    scalar as it is."""
    return entry if entry.ndim == 0 else jnp.expand_dims(entry, range(batch.ndim - entry.ndim))


def action_map(space: spaces.Space, kind: ActionMapName = "affine") -> ActionMap:
    """The map for an action space. `kind` matters for `Box` only: "affine" maps [−1, 1] to the
    bounds of every dimension where both are finite and passes others through, "clip" passes all
    through; both clip to the bounds."""
    match space:
        case spaces.Box():
            low, high = space.low.reshape(-1), space.high.reshape(-1)
            # What float32 cannot hold bounds nothing.
            bounded = (np.abs(low) <= _FLOAT32) & (np.abs(high) <= _FLOAT32) & (kind == "affine")
            bottom, top = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
            scale, offset = top / 2 - bottom / 2, top / 2 + bottom / 2
            return BoxMap(
                low=-_float32_below(-low),
                high=_float32_below(high),
                scale=jnp.asarray(scale, jnp.float32),
                offset=jnp.asarray(offset, jnp.float32),
                shape=space.shape,
            )
        case spaces.Discrete():
            return IntegerMap(jnp.asarray(int(space.start)), (), flat=False)
        case spaces.MultiDiscrete():
            return IntegerMap(
                jnp.asarray(space.start.reshape(-1), jnp.int32), space.shape, flat=True
            )
        case spaces.MultiBinary():
            return IntegerMap(jnp.asarray(0), space.shape, flat=True)
        case _:
            raise _unsupported_action(space)


def _float32_below(x: np.ndarray) -> Array:
    """The largest float32 that is not above x: a float64 bound may lie between two of them."""
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float32)
    return jnp.asarray(np.where(rounded > x, np.nextafter(rounded, np.float32(-np.inf)), rounded))


def action_head(
    space: spaces.Space, *, log_std: float = 0.0, state_dependent_std: bool = False
) -> Head:
    """The distribution family that fits an action space: Gaussian for `Box` (with this initial
    log σ, which may depend on the state), categorical for `Discrete`, their products for
    `MultiDiscrete` and `MultiBinary`. Raises `UsageError` for a space that has none."""
    _check_entries(space)
    match space:
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            head = StateGaussianHead if state_dependent_std else GaussianHead
            return head(int(np.prod(space.shape)), log_std=log_std)
        case spaces.Discrete():
            return CategoricalHead(int(space.n))
        case spaces.MultiDiscrete():
            return MultiCategoricalHead(tuple(int(n) for n in space.nvec.reshape(-1)))
        case spaces.MultiBinary():
            return BernoulliHead(int(np.prod(space.shape)))
        case _:
            raise _unsupported_action(space)


def _check_entries(space: spaces.Space) -> None:
    """Raise `UsageError` for an action of no entry, or of integers that JAX's own cannot hold."""
    if 0 in (getattr(space, "shape", None) or ()):
        raise UsageError(
            f"action space {space} has no entry; accepted is one with an entry or more: wrap the "
            "environment so that it takes one"
        )
    match space:
        case spaces.Discrete():
            start, count = np.array(space.start), np.array(space.n)
        case spaces.MultiDiscrete():
            start, count = space.start, space.nvec
        case _:
            return
    least = min(map(int, start.reshape(-1)))
    most = max(int(s) + int(n) - 1 for s, n in zip(start.flat, count.flat, strict=True))
    if least < -_INT32 - 1 or most > _INT32:
        raise UsageError(
            f"action space {' '.join(str(space).split())} has actions from {least:,} to {most:,}; "
            f"accepted are integers of 32 bits, {-_INT32 - 1:,} to {_INT32:,}: wrap the "
            "environment so that they start at 0"
        )


def _unsupported_action(space: spaces.Space) -> UsageError:
    return UsageError(
        f"action space {space} is not supported; accepted are {_ACTIONS} (a Box of floats): "
        "wrap the environment so that it takes one of these"
    )
