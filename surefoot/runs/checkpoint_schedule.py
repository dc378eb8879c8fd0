"""When a run takes a checkpoint."""

from __future__ import annotations

import math
import time


class CheckpointSchedule:
    """Says when the next checkpoint is due: `every` seconds after the last one."""

    def __init__(self, every: float) -> None:
        self._every = every
        # The first iteration is due, so that every run can be resumed.
        self._last = -math.inf

    def due(self) -> bool:
        """Whether a checkpoint is to be taken now; if so, it counts as taken."""
        now = time.monotonic()
        if now - self._last < self._every:
            return False
        self._last = now
        return True
