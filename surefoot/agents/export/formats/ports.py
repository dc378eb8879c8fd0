"""What goes into a policy and what comes out, as whoever deploys it sees them.

An observation goes in as the environment gives it, one input for each of its parts: of a `Dict` or
`Tuple`, `observation.KEY`. The action comes out as the environment takes it. All have a batch
dimension in front.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError

#: Name of the batch dimension.
BATCH = "batch"


class Port(NamedTuple):
    """An input or the output."""

    name: str
    space: spaces.Space
    """No `Dict` or `Tuple`."""
    path: tuple[Any, ...] = ()
    """The keys that lead to it in an observation."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the batch dimension."""
        return tuple(self.space.shape or ())

    @property
    def dtype(self) -> np.dtype:
        """As the environment has it."""
        assert self.space.dtype is not None
        return np.dtype(self.space.dtype)

    def __str__(self) -> str:
        dimensions = ", ".join([BATCH, *map(str, self.shape)])
        return f"{self.name} {self.dtype}[{dimensions}]"


def inputs(space: spaces.Space) -> list[Port]:
    """The parts of an observation, in the order in which `encode` has them. Raises `UsageError`
    where two of them would have one name, or one that no file can hold."""
    ports = _parts(space, ())
    for port in ports:
        if port.name != port.name.encode(errors="replace").decode():
            raise UsageError(
                f"a part of the observation is named {port.name!r}, which UTF-8 cannot encode: "
                "rename it"
            )
    most = Counter(port.name for port in ports).most_common(1)
    if most and most[0][1] > 1:
        raise UsageError(
            f"two parts of the observation would be named {most[0][0]!r}; accepted are keys that "
            "stay different when they are joined by dots: rename one"
        )
    return ports


def _parts(space: spaces.Space, path: tuple[Any, ...]) -> list[Port]:
    match space:
        case spaces.Dict():
            return [port for k, s in space.items() for port in _parts(s, (*path, k))]
        case spaces.Tuple():
            return [port for i, s in enumerate(space) for port in _parts(s, (*path, i))]
        case _:
            return [Port(".".join(["observation", *map(str, path)]), space, path)]


def output(space: spaces.Space) -> Port:
    """The action."""
    return Port("action", space)
