"""A Gymnasium space as plain JSON.

What a policy was trained on is known later by this form alone. `check_restorable` therefore refuses
a space that does not come back as it was, before anything is learned.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError

_BOUNDS = ("low", "high")


def space_to_json(space: spaces.Space) -> dict[str, Any]:
    """The space as plain JSON, the parts of a `Dict` in its order; infinite bounds become
    strings."""
    match space:
        case spaces.Dict():
            parts = {k: space_to_json(s) for k, s in space.items()}
            return {"type": "Dict", "spaces": parts}
        case spaces.Tuple():
            return {"type": "Tuple", "spaces": [space_to_json(s) for s in space]}
        case spaces.Box():
            # No float holds every integer of 64 bits.
            number = float if space.dtype.kind == "f" else int
            bounds = {k: [repr(number(x)) for x in getattr(space, k).reshape(-1)] for k in _BOUNDS}
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
    """The inverse of `space_to_json`. Raises KeyError, TypeError, ValueError or OverflowError on
    anything else."""
    match data["type"]:
        case "Dict":
            # Gymnasium sorts the keys of a mapping, and keeps the order of pairs.
            return spaces.Dict([(k, space_from_json(v)) for k, v in data["spaces"].items()])
        case "Tuple":
            return spaces.Tuple([space_from_json(v) for v in data["spaces"]])
        case "Box":
            shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
            read = float if dtype.kind == "f" else _integers_of(dtype)
            low, high = (
                np.array([read(x) for x in data[k]], dtype).reshape(shape) for k in _BOUNDS
            )
            return spaces.Box(low, high, shape, dtype)
        case "Discrete":
            dtype = np.dtype(data["dtype"])
            return spaces.Discrete(data["n"], start=data["start"], dtype=dtype)
        case "MultiDiscrete":
            dtype = np.dtype(data["dtype"])
            return spaces.MultiDiscrete(data["nvec"], dtype=dtype, start=data["start"])
        case "MultiBinary":
            n = data["n"]
            return spaces.MultiBinary(n if isinstance(n, int) else tuple(n))
        case other:
            raise ValueError(f"unknown space type {other!r}")


def _integers_of(dtype: np.dtype) -> Callable[[str], int]:
    """Reads an integer of that type. Files of before there were integers in them have floats, of
    which the type's last one may be rounded beyond it."""
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)

    def read(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            return min(max(int(float(text)), low), high)

    return read


def check_restorable(space: spaces.Space, what: str) -> None:
    """Raise `UsageError` unless the space, which is `what` in words, comes back from its JSON as it
    was: the same bounds, types, keys and their order."""
    try:
        again = space_from_json(json.loads(json.dumps(space_to_json(space))))
        same = _same(space, again)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        same, why = False, str(error)
    else:
        why = f"it would come back as {again}"
    if not same:
        raise UsageError(
            f"{what} space {_one_line(space)} cannot be saved with an agent: {_one_line(why)}; "
            "accepted are spaces of Gymnasium's own kinds whose Dict keys are texts"
        )


def _same(one: spaces.Space, other: spaces.Space) -> bool:
    match one, other:
        case spaces.Dict(), spaces.Dict():
            keys = list(one) == list(other)
            return keys and all(_same(one[k], other[k]) for k in other)
        case spaces.Tuple(), spaces.Tuple():
            return len(one) == len(other) and all(map(_same, one, other))
        case _:
            return bool(one == other) and one.dtype == other.dtype


def _one_line(text: object) -> str:
    # The text of a large box has line breaks.
    return " ".join(str(text).split())
