"""surefoot's PPO on Pong with the preset for Atari games, as a user calls it, the run's folder
included."""

import contextlib
import tempfile
from pathlib import Path

from clock import Done, clock_of, parser, report

import surefoot as sf

STEPS = 10_000_000


class Watch:
    """Where `train` shows its progress: every iteration comes by here, once it is on disk."""

    def show(self, iteration):
        clock.tick(iteration.steps)

    def note(self, text):
        raise AssertionError(text)

    def close(self):
        pass


if __name__ == "__main__":
    args = parser(vec="sync").parse_args()
    clock = clock_of(args)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Done):
        sf.train(
            "ppo_clip",
            "ALE/Pong-v5",
            preset="atari",
            vectorization=args.vec,
            steps=STEPS,
            seed=0,
            out=Path(folder) / "run",
            display=lambda steps: Watch(),
        )
    report(clock, ["jax", "numpy", "gymnasium", "ale-py"])
