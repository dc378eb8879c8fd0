"""When a run takes a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from surefoot.training.iteration import Control


class CheckpointSchedule:
    """Decides after each iteration whether to take a checkpoint and whether to stop."""

    def __init__(self, every: float, stopping: Callable[[], bool], *, always: bool = False) -> None:
        """Checkpoints are `every` seconds apart. With `always` every iteration gets a snapshot, as
        any of them may turn out to be the last."""
        self._every, self._stopping, self._always = every, stopping, always
        # Checkpoint the first iteration, so that every run can be resumed.
        self._last = -math.inf
        self.saving = False
        """Whether the next iteration is written as a checkpoint."""

    def __call__(self) -> Control:
        now = time.monotonic()
        stopping = self._stopping()
        self.saving = stopping or now - self._last >= self._every
        if stopping:
            return Control.STOP
        if self.saving:
            self._last = now
        return Control.SNAPSHOT if self.saving or self._always else Control.CONTINUE
