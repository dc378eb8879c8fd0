"""A Gymnasium space as plain JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

_BOUNDS = ("low", "high")


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
