"""What Gymnasium spaces mean to a policy: how an observation becomes a vector, which distribution
fits an action, and what the environment receives for a raw sample.

`encode` works on batches with any leading dimensions, in NumPy or JAX, and gives what
`gymnasium.spaces.flatten` gives for each entry, as float32. An action's raw sample lives in the
policy's coordinates: for a `Box`, [−1, 1] is mapped affinely to the bounds where both are finite.
"""

from __future__ import annotations

import abc
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array

from surefoot.errors import UsageError
from surefoot.networks import (
    BernoulliHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    StateGaussianHead,
)

ActionMapName = Literal["affine", "clip"]

_OBSERVATIONS = "Box, Discrete, MultiDiscrete, MultiBinary, or Dict or Tuple of these"
_ACTIONS = "Box, Discrete, MultiDiscrete or MultiBinary"


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
        action = jnp.clip(raw * self.scale + self.offset, self.low, self.high)
        return action.reshape(*raw.shape[:-1], *self.shape)

    def inverse(self, action: Array | np.ndarray) -> Array:
        """(action − offset)/scale [*batch, D], float32; 0 where the bounds are one number."""
        action = jnp.asarray(action, self.scale.dtype)
        flat = action.reshape(*action.shape[: action.ndim - len(self.shape)], -1)
        single = self.scale == 0.0
        return jnp.where(single, 0.0, (flat - self.offset) / jnp.where(single, 1.0, self.scale))


class IntegerMap(ActionMap):
    """raw + start, for the discrete spaces."""

    start: Array
    shape: tuple[int, ...] = eqx.field(static=True)
    flat: bool = eqx.field(static=True)

    def __call__(self, raw: Array) -> Array:
        batch = raw.shape[:-1] if self.flat else raw.shape
        return (raw + self.start).reshape(*batch, *self.shape)

    def inverse(self, action: Array | np.ndarray) -> Array:
        """The action less the start, integers: [*batch] for `Discrete`, otherwise [*batch, D]."""
        action = jnp.asarray(action, self.start.dtype)
        batch = action.shape[: action.ndim - len(self.shape)]
        raw = action.reshape(*batch, -1) if self.flat else action
        return raw - self.start


def action_map(space: spaces.Space, kind: ActionMapName = "affine") -> ActionMap:
    """The map for an action space. `kind` matters for `Box` only: "affine" maps [−1, 1] to the
    bounds of every dimension where both are finite and passes others through, "clip" passes all
    through; both clip to the bounds."""
    match space:
        case spaces.Box():
            low, high = space.low.reshape(-1), space.high.reshape(-1)
            bounded = np.isfinite(low) & np.isfinite(high) & (kind == "affine")
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
            return IntegerMap(jnp.asarray(space.start.reshape(-1)), space.shape, flat=True)
        case spaces.MultiBinary():
            return IntegerMap(jnp.asarray(0), space.shape, flat=True)
        case _:
            raise _unsupported_action(space)


def _float32_below(x: np.ndarray) -> Array:
    """The largest float32 that is not above x: a float64 bound may lie between two of them."""
    rounded = x.astype(np.float32)
    return jnp.asarray(np.where(rounded > x, np.nextafter(rounded, np.float32(-np.inf)), rounded))


def action_head(
    space: spaces.Space, *, log_std: float = 0.0, state_dependent_std: bool = False
) -> Head:
    """The distribution family that fits an action space: Gaussian for `Box` (with this initial
    log σ, which may depend on the state), categorical for `Discrete`, their products for
    `MultiDiscrete` and `MultiBinary`."""
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


def _unsupported_action(space: spaces.Space) -> UsageError:
    return UsageError(
        f"action space {space} is not supported; accepted are {_ACTIONS} (a Box of floats): "
        "wrap the environment so that it takes one of these"
    )


def space_to_json(space: spaces.Space) -> dict[str, Any]:
    """The space as plain JSON; infinite bounds become strings."""
    match space:
        case spaces.Dict():
            parts = {k: space_to_json(s) for k, s in space.items()}
            return {"type": "Dict", "spaces": parts}
        case spaces.Tuple():
            return {"type": "Tuple", "spaces": [space_to_json(s) for s in space]}
        case spaces.Box():
            bounds = {k: [repr(float(x)) for x in getattr(space, k).reshape(-1)] for k in _BOUNDS}
            return {"type": "Box", **bounds, "shape": space.shape, "dtype": str(space.dtype)}
        case spaces.Discrete():
            numbers = {"n": int(space.n), "start": int(space.start)}
            return {"type": "Discrete", **numbers, "dtype": str(space.dtype)}
        case spaces.MultiDiscrete():
            return {
                "type": "MultiDiscrete",
                "nvec": space.nvec.tolist(),
                "start": space.start.tolist(),
                "dtype": str(space.dtype),
            }
        case spaces.MultiBinary():
            return {"type": "MultiBinary", "n": space.n}
        case _:
            raise TypeError(f"no JSON form for {space}")


_BOUNDS = ("low", "high")


def space_from_json(data: dict[str, Any]) -> spaces.Space:
    """The inverse of `space_to_json`. Raises KeyError, TypeError or ValueError on anything else."""
    match data["type"]:
        case "Dict":
            return spaces.Dict({k: space_from_json(v) for k, v in data["spaces"].items()})
        case "Tuple":
            return spaces.Tuple([space_from_json(v) for v in data["spaces"]])
        case "Box":
            shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
            low, high = (
                np.array([float(x) for x in data[k]]).reshape(shape).astype(dtype) for k in _BOUNDS
            )
            return spaces.Box(low, high, shape, dtype.type)
        case "Discrete":
            dtype = np.dtype(data["dtype"])
            return spaces.Discrete(data["n"], start=data["start"], dtype=dtype.type)
        case "MultiDiscrete":
            dtype = np.dtype(data["dtype"])
            return spaces.MultiDiscrete(data["nvec"], dtype=dtype.type, start=data["start"])
        case "MultiBinary":
            n = data["n"]
            return spaces.MultiBinary(n if isinstance(n, int) else tuple(n))
        case other:
            raise ValueError(f"unknown space type {other!r}")


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
