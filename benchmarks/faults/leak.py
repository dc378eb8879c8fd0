"""A long run, and what it holds.

    python -m benchmarks.faults.leak [--minutes 30]

TRPO on CartPole-v1 with a folder, a checkpoint a minute. After the first minute resident memory may
grow by less than 2 %, and no file descriptor may be added.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import surefoot as sf
from surefoot.runs.display.progress import CallbackDisplay
from surefoot.training.iteration import Iteration


def memory() -> float:
    """Resident, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class OverError(Exception):
    """The time is over."""


class Watch:
    """Notes memory and descriptors every ten seconds."""

    def __init__(self, minutes: float) -> None:
        self._begin, self._minutes = time.monotonic(), minutes
        self.seen: list[tuple[float, float, int]] = []

    def __call__(self, iteration: Iteration) -> None:
        minute = (time.monotonic() - self._begin) / 60
        if not self.seen or minute - self.seen[-1][0] >= 1 / 6:
            self.seen.append((minute, memory(), len(os.listdir("/proc/self/fd"))))
        if minute >= self._minutes:
            raise OverError


def main() -> int:
    """Train, watch; 1 if something grew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    watch = Watch(minutes)
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(OverError):
        sf.train(
            "trpo",
            "CartPole-v1",
            steps=2**31 - 1,
            out=Path(name) / "run",
            display=lambda _: CallbackDisplay(show=watch),
        )
    first = next(seen for seen in watch.seen if seen[0] >= 1)
    last = watch.seen[-1]
    growth = last[1] / first[1] - 1
    print(
        f"{last[0]:.1f} minutes: resident {first[1]:.1f} MB after the first, {last[1]:.1f} MB at "
        f"the end ({growth:+.2%}); file descriptors {first[2]}, then {last[2]}"
    )
    return 0 if growth < 0.02 and last[2] <= first[2] else 1


if __name__ == "__main__":
    sys.exit(main())
