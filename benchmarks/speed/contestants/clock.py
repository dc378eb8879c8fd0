"""The clock of all contestants, and the line in which each of them tells its rate.

The clock starts after the first two turns, which compile and warm up, and stops at the first turn
after which it has seen both enough turns and enough seconds. A turn is one iteration of training,
or several that a program runs in one call.

Where contestants take turns, `TurnTaking` stands in its place.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
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


class TurnTaking(Clock):
    """A clock of a contestant that works by turns with others: after the warm-up, and whenever it
    has worked for `share` seconds, it tells on a line what was done in them and waits for a line on
    standard input. Waiting does not count. Where nobody listens or asks any more, the process
    ends."""

    def __init__(self, *, share: float) -> None:
        super().__init__(seconds=0.0, turns=0)
        self._share = share
        self._began: tuple[float, int] | None = None

    def tick(self, steps: int) -> None:
        now = time.perf_counter()
        self._ticks.append((now, steps))
        if len(self._ticks) < WARMUP:
            return
        said = {}
        if self._began is not None:
            began, before = self._began
            if now - began < self._share:
                return
            said = {"steps": steps - before, "seconds": now - began}
        try:
            print(json.dumps(said), flush=True)
        except BrokenPipeError:
            # `train` would take it for a fault of its display, and go on without one.
            raise SystemExit(1) from None
        if not sys.stdin.readline():
            raise SystemExit(0)
        self._began = time.perf_counter(), steps


def clock_of(args: argparse.Namespace) -> Clock:
    """The clock that these options ask for."""
    if args.share > 0:
        return TurnTaking(share=args.share)
    return Clock(seconds=args.seconds, turns=args.turns)


def parser(**defaults: Any) -> argparse.ArgumentParser:
    """A command line with the clock's options and these, of their defaults' types."""
    made = argparse.ArgumentParser()
    for name, default in {"seconds": 10.0, "turns": 10, "share": 0.0, **defaults}.items():
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
