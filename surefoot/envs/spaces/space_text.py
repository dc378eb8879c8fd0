"""A space in a few characters, without its bounds."""

from __future__ import annotations

from gymnasium import spaces


def space_text(space: spaces.Space) -> str:
    """The kind and the size: Box(3), Discrete(2), Dict of 4."""
    name = type(space).__name__
    if isinstance(space, spaces.Discrete):
        return f"{name}({space.n})"
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return f"{name} of {len(space.spaces)}"
    return f"{name}({' × '.join(map(str, space.shape or (1,)))})"
