"""Processes that are killed while they write checkpoints.

    python -m benchmarks.faults.saves [--kills 200]

A process writes one checkpoint after the other, as fast as it can, and is killed by SIGKILL at a
random instant. The newest one must then be the last that was told as written, or the one that was
being written, and hold what it must; every one that has a name must be intact.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from surefoot.common.arrays import Snapshot
from surefoot.common.errors import UsageError
from surefoot.runs.folder import checkpoints
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.folder.metrics_file import FilePosition


def checkpoint(number: int) -> Checkpoint:
    """One whose arrays say which it is; of the size of a run on HalfCheetah-v5."""
    state = {f"learner{i}": np.full(4096, number, np.float32) for i in range(12)}
    place = Snapshot({"groups[0].obs": np.full((8, 17), number, np.float32)}, {"episodes": None})
    return Checkpoint({}, number, 2048 * number, 10**6, FilePosition(0, ""), [], state, place)


def write_on(folder: Path, told: int) -> None:
    """Write checkpoints until killed, and tell of each."""
    number = 1 + max((int(p.name) for p in checkpoints.paths(folder)), default=0)
    while True:
        checkpoints.write(folder, checkpoint(number))
        os.write(told, number.to_bytes(4, "little"))
        number += 1


def main() -> int:
    """Kill, read, compare; 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    kills = parser.parse_args().kills
    rng = np.random.default_rng(0)
    wrong = left = 0
    written = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(kills):
            read, told = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(read)
                write_on(folder, told)
            os.close(told)
            time.sleep(rng.uniform(0.0, 0.06))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with os.fdopen(read, "rb") as pipe:
                numbers = pipe.read()
            if numbers:
                written = int.from_bytes(numbers[-4:], "little")
            left += any(p.name.startswith(".") for p in folder.iterdir())
            paths = checkpoints.paths(folder)
            try:
                found = [checkpoints.read(path) for path in paths]
            except UsageError as error:
                print(error, file=sys.stderr)
                wrong += 1
                continue
            newest = found[-1].iterations if found else 0
            good = newest in (written, written + 1) and all(
                (x == one.iterations).all() for one in found for x in one.state.values()
            )
            wrong += not good
            written = newest
            checkpoints.tidy(folder, after=newest)
    print(
        f"{kills} kills, {left} of them inside a save: {kills - wrong} of {kills} times the last "
        "or the newest checkpoint was intact"
    )
    return 0 if wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
