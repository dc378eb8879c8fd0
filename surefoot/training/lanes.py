"""Recorded episodes one after the other in lanes, as environments side by side would play them, for
a policy with a memory: it learns from consecutive rows.

A lane is as long as the longest episode, and takes the next longest one that still fits (first-fit
decreasing), so that more than half of all rows but one lane's are transitions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int


class Lanes(NamedTuple):
    """Which transition lies where, in `P` segments of `L` rows a lane."""

    row: Int[np.ndarray, "N P L"]
    """The transition; −1 where there is none."""
    starts: Bool[np.ndarray, "N P L"]
    """Whether it is the first of its episode."""

    @classmethod
    def of(cls, ends: Bool[np.ndarray, " B"], length: int | None) -> Lanes:
        """Transitions of whole episodes, or parts of one, of which these are the last; in segments
        of `length`, of whole lanes where there is none."""
        last = np.append(np.flatnonzero(ends[:-1]), len(ends) - 1)
        first = np.append(0, last[:-1] + 1)
        sizes = last - first + 1
        longest = int(sizes.max())
        segment = longest if length is None else min(length, longest)
        steps = -(-longest // segment) * segment

        lanes: list[list[int]] = []
        free: list[int] = []
        for episode in np.argsort(-sizes, kind="stable").tolist():
            lane = next((i for i, left in enumerate(free) if left >= sizes[episode]), len(lanes))
            if lane == len(lanes):
                lanes.append([])
                free.append(steps)
            lanes[lane].append(episode)
            free[lane] -= int(sizes[episode])

        row = np.full((len(lanes), steps), -1)
        starts = np.zeros(row.shape, bool)
        for i, episodes in enumerate(lanes):
            at = 0
            for episode in episodes:
                after = at + sizes[episode]
                row[i, at:after] = np.arange(first[episode], last[episode] + 1)
                starts[i, at] = True
                at = after
        shape = len(lanes), steps // segment, segment
        return cls(row.reshape(shape), starts.reshape(shape))
