"""When a run takes a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from surefoot.training.iteration import Ask


class Pace:
    """When a loop is to tell where its environments stand, and when it is to end."""

    def __init__(self, every: float, stopping: Callable[[], bool], *, always: bool = False) -> None:
        """With `always` it is to tell after every iteration, any of which may be the last."""
        self._every, self._stopping, self._always = every, stopping, always
        # The first one at once: a run is to be gone on with from its first iteration on.
        self._last = -math.inf
        self.saving = False
        """Whether what is told next belongs into a checkpoint."""

    def __call__(self) -> Ask:
        now = time.monotonic()
        stopping = self._stopping()
        self.saving = stopping or now - self._last >= self._every
        if stopping:
            return Ask.STOP
        if self.saving:
            self._last = now
        return Ask.SAVE if self.saving or self._always else Ask.GO_ON
