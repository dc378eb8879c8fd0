"""The clock of all contestants, and the line in which each of them tells its rate.

The clock starts after the first two turns, which compile and warm up, and stops at the first turn
after which it has seen both enough turns and enough seconds. A turn is one iteration of training,
or several that a program runs in one call.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import time
from typing import Any

WARMUP = 2


class Done(Exception):  # noqa: N818
    """The clock has seen enough: leave the training loop."""


class Clock:
    """Call `tick` at the end of every turn."""

    def __init__(self, *, seconds: float, turns: int) -> None:
        self._seconds, self._turns = seconds, turns
        self._ticks: list[tuple[float, int]] = []

    @property
    def started(self) -> bool:
        """Whether the turn that is ticked next counts."""
        return len(self._ticks) >= WARMUP

    def tick(self, steps: int) -> None:
        """A turn is over, after which the run has taken `steps` steps. Raises `Done`."""
        self._ticks.append((time.perf_counter(), steps))
        if self.turns >= self._turns and self.elapsed >= self._seconds:
            raise Done

    @property
    def turns(self) -> int:
        """Turns measured."""
        return len(self._ticks) - WARMUP

    @property
    def elapsed(self) -> float:
        """Seconds measured."""
        return self._ticks[-1][0] - self._ticks[WARMUP - 1][0] if self.turns > 0 else 0.0

    @property
    def steps(self) -> int:
        """Environment steps measured."""
        return self._ticks[-1][1] - self._ticks[WARMUP - 1][1] if self.turns > 0 else 0


def parser(**defaults: Any) -> argparse.ArgumentParser:
    """A command line with the clock's options and these, of their defaults' types."""
    made = argparse.ArgumentParser()
    for name, default in {"seconds": 10.0, "turns": 10, **defaults}.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return made


def report(clock: Clock, packages: list[str], **more: Any) -> None:
    """Print what was measured, as one line of JSON."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    line = {
        "steps_per_s": round(clock.steps / clock.elapsed, 1),
        "steps": clock.steps,
        "seconds": round(clock.elapsed, 3),
        "turns": clock.turns,
        **more,
        "versions": {"python": platform.python_version(), **versions},
    }
    print(json.dumps(line), flush=True)
