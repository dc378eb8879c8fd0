"""Numbers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

#: Parts of a sentence that are said; of more, their number.
MOST_LISTED = 5


def number(value: float) -> str:
    """Four digits, whole from 1,000 on; a dash for what is not there."""
    if value != value:
        return "–"
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= 1e6 or (value and abs(value) < 1e-3):
        return f"{value:.3g}".replace("-", "−", 1) if value < 0 else f"{value:.3g}"
    text = f"{value:,.0f}" if abs(value) >= 999.95 else f"{value:.4g}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share in whole percent, with a tenth where it is near none or all but is neither."""
    digits = 1 if 0 < share < 0.01 or 0.99 < share < 1 else 0
    return f"{100 * share:.{digits}f} %"


def duration(seconds: float) -> str:
    """A time in the one or two units that fit it."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def quantiles(values: np.ndarray) -> str:
    """Where the values lie, in words."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "no finite value"
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95])
    return f"median {number(middle)}, 5 % to 95 %: {number(low)} to {number(high)}"


def format_interval(low: float, high: float, say: Callable[[float], str] = number) -> str:
    """An interval; a dash where there is none."""
    return "–" if low != low else f"{say(low)} to {say(high)}"


def format_list(parts: Sequence[str]) -> str:
    """The first few of them as a sentence."""
    more = len(parts) - MOST_LISTED
    end = f"; and {more:,} more" if more > 0 else ""
    return "; ".join(parts[:MOST_LISTED]) + end + "."
