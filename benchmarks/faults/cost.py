"""What checkpoints cost.

    python -m benchmarks.faults.cost [--rounds 5] [--iterations 60]

TRPO on HalfCheetah-v5 with its defaults, in turns with a checkpoint after every iteration and with
none until the end. The difference of two iterations is what a checkpoint costs; one every 60
seconds, the default, must cost under 2 % of the run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import surefoot as sf
from surefoot.runs.display.progress import CallbackDisplay
from surefoot.training.iteration import Iteration

ROWS = 2048


class Clock:
    """Seconds from the second iteration to the last."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, iteration: Iteration) -> None:
        self.times.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        return self.times[-2] - self.times[0]


def run(every: float, iterations: int) -> float:
    """Seconds of an iteration."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        sf.train(
            "trpo",
            "HalfCheetah-v5",
            steps=iterations * ROWS,
            checkpoint_every=every,
            out=Path(name) / "run",
            display=lambda _: CallbackDisplay(show=clock),
        )
    return clock.seconds / (iterations - 2)


def main() -> int:
    """Measure; 1 if a checkpoint every minute costs 2 % or more."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=60)
    options = parser.parse_args()
    run(3600.0, 4)
    pairs = [
        (run(0.0, options.iterations), run(3600.0, options.iterations))
        for _ in range(options.rounds)
    ]
    with_one = statistics.median(on for on, _ in pairs)
    without = statistics.median(off for _, off in pairs)
    cost = statistics.median(on - off for on, off in pairs)
    print(
        f"an iteration takes {1e3 * without:.1f} ms, {1e3 * with_one:.1f} ms with a "
        f"checkpoint: one costs {1e3 * cost:.1f} ms, and one every 60 s {cost / 60:.3%} of the run"
    )
    return 0 if cost / 60 < 0.02 else 1


if __name__ == "__main__":
    sys.exit(main())
