"""A row of `metrics.jsonl` as numbers with names, as a table has them."""

from __future__ import annotations

from typing import Any

from surefoot.common.files.json_reading import number

#: Lists of which a table has the number and the mean.
_OF_EPISODES = {"episode_returns": "episode_return", "episode_lengths": "episode_length"}


def flat_row(row: dict[str, Any], joint: str = "_") -> dict[str, Any]:
    """A row of `metrics.jsonl` as columns: `timing.total` is `timing_total`, the first entry of
    `std` is `std_0`, of the episodes that ended there are the number and the means, booleans are 0
    and 1, and what is not there is `None`. `joint` stands where these names have `_`."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in _OF_EPISODES:
            told = value if isinstance(value, list) else []
            flat["episodes"] = len(told)
            flat[f"{_OF_EPISODES[name]}{joint}mean"] = _mean(told)
        elif isinstance(value, dict):
            flat |= {f"{name}{joint}{key}": part for key, part in value.items()}
        elif isinstance(value, list):
            flat |= {f"{name}{joint}{i}": part for i, part in enumerate(value)}
        else:
            flat[name] = int(value) if isinstance(value, bool) else value
    return flat


def _mean(values: list[Any]) -> float | None:
    try:
        return sum(values) / len(values) if values else None
    except (TypeError, OverflowError):  # Some are text, not finite, or larger than any float.
        known = [x for x in map(number, values) if x is not None]
        return sum(known) / len(known) if known else None
