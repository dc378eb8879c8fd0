"""What of an observation is seen, and what says which actions are valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, PyTree

#: Where there are images, the key of all that is none.
VECTOR = "vector"


class Observation(NamedTuple):
    """An encoded observation with a mask of the valid actions. One without a mask is what is seen
    alone: a vector, an image, or a dict of a vector and images."""

    seen: PyTree[Array]
    """What networks see, leaves [*batch, …]."""
    action_mask: Bool[Array, "*batch M"]
    """Which actions are valid, as `Distribution.masked` takes it."""


def seen(obs: Any) -> Any:
    """What networks see of an encoded observation."""
    return obs.seen if isinstance(obs, Observation) else obs


def with_vector(obs: Any, change: Callable[[Any], Any]) -> Any:
    """The observation with its vector changed, of those that have one; of NumPy's arrays or
    JAX's."""
    match obs:
        case Observation():
            return obs._replace(seen=with_vector(obs.seen, change))
        case dict():
            return obs | {VECTOR: change(obs[VECTOR])}
        case _:
            return change(obs)


def vector_of(obs: Any) -> Any:
    """The vector of an encoded observation that has one."""
    vector: Any = seen(obs)
    return vector[VECTOR] if isinstance(vector, dict) else vector
