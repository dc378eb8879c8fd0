"""Equations in one unknown, many of them at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Unknowns = Float[np.ndarray, "*problems"]


def increasing_root(
    f: Callable[[Unknowns], tuple[Unknowns, Unknowns]],
    start: Unknowns,
    low: Unknowns,
    high: Unknowns,
    *,
    tolerance: float = 1e-10,
    iterations: int = 100,
) -> Unknowns:
    """The x in [low, high] with f(x) = 0 for each of the increasing functions whose values and
    slopes `f` returns; the nearer end where f has one sign there.

    Newton's method, with a bisection wherever that would leave what brackets the root. Ends when
    each x has changed by at most `tolerance` of itself.
    """
    x = np.clip(start, low, high)
    for _ in range(iterations):
        value, slope = f(x)
        low = np.where(value <= 0, x, low)
        high = np.where(value >= 0, x, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = x - value / slope
        inside = (newton >= low) & (newton <= high)
        following = np.where(inside, newton, 0.5 * (low + high))
        settled = np.abs(following - x) <= tolerance * np.abs(following)
        x = following
        if settled.all():
            break
    return x
