"""Images [*batch, H, W, C] as an encoder's numbers.

Pixels of whole numbers are a display's, 0 to 255, and become 0 to 1. Cells that are there or not
become 1 and 0, and whatever has its numbers already keeps them.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from surefoot.common.errors import UsageError


def as_numbers(image: Shaped[Array, "*batch"], dtype: Any) -> Float[Array, "*batch"]:
    """uint8 divided by 255; others, bool for instance, by value."""
    x = image.astype(dtype)
    return x / 255 if image.dtype == jnp.uint8 else x


def check_shape(encoder: str, shape: tuple[int, ...], *, smallest: int) -> None:
    """Raise `UsageError` unless it is (H, W, C) with sides of `smallest` pixels at least."""
    if len(shape) != 3 or min(shape[:2]) < smallest or shape[2] < 1:
        raise UsageError(
            f"the shape of an image is {shape!r}; accepted by {encoder} is (height, width, "
            f"channels) with sides of {smallest} pixels or more"
        )
