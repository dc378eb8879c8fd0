"""Runs that are killed at random instants, and resumed.

    python -m benchmarks.faults.kills [--kills 100] [--places PLACE …] [--processes 2]
        [--folder FOLDER]

Short runs (TRPO, PPO and ACKTR on CartPole-v1 on the device, one seed and three at once, on the
host, in worker processes on Pendulum-v1, on HalfCheetah-v5, with a memory, on images, and with
masks) write a checkpoint after every iteration. Each is killed by SIGKILL at a random instant of
its life, start-up included, and resumed, and the resumed run is killed again in half of the cases;
the last time it is left to end. Parameters and metrics, `timing` excepted, must then be those of
the run that was not killed, bit for bit, and no checkpoint may be unreadable. A run that is killed
before its first checkpoint has nothing to go on with and is begun anew: that kill does not count
towards `--kills`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from surefoot.common.errors import UsageError
from surefoot.common.files import array_folder
from surefoot.runs.folder import checkpoints

ALGORITHMS = ("trpo", "ppo_clip", "acktr")
PLACES = {
    "device": ("CartPole-v1", "--backend=device", "--steps=245760", "--num-envs=8"),
    "seeds": ("CartPole-v1", "--backend=device", "--seeds=3", "--steps=122880", "--num-envs=8"),
    "host": ("CartPole-v1", "--steps=122880", "--num-envs=8"),
    "async": ("Pendulum-v1", "--vectorization=async", "--steps=40960", "--num-envs=4"),
    "mujoco": ("HalfCheetah-v5", "--steps=81920", "--num-envs=8"),
    "memory": ("CartPole-v1", "--network=gru", "--steps=40960", "--num-envs=8"),
    "memory-device": (
        "CartPole-v1",
        "--network=lstm",
        "--backend=device",
        "--steps=81920",
        "--num-envs=8",
    ),
    "images": ("benchmarks.policies.tasks:Squares", "--steps=8192", "--num-envs=4"),
    "masks": ("benchmarks.policies.tasks:doors", "--steps=40960", "--num-envs=8"),
}
#: K-FAC knows no memory.
CASES = [
    case
    for case in itertools.product(ALGORITHMS, PLACES)
    if not (case[0] == "acktr" and case[1].startswith("memory"))
]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "surefoot.cli", *arguments]


def train(case: tuple[str, str], folder: Path) -> list[str]:
    algorithm, place = case
    env, *options = PLACES[place]
    return command("train", algorithm, env, *options, "--checkpoint-every=0", f"--out={folder}")


def resume(case: tuple[str, str], folder: Path) -> list[str]:
    env = PLACES[case[1]][0]
    # A run knows its environment by a Gymnasium id only.
    return command("resume", str(folder), *([f"--env={env}"] if ":" in env else []))


def left_alone(arguments: list[str]) -> float:
    begin = time.monotonic()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - begin


def killed(arguments: list[str], seconds: float) -> bool:
    """Whether it was killed before it ended."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def runs_in(folder: Path) -> list[Path]:
    """The run's folder, or those of the seeds that are trained at once."""
    return sorted(folder.glob("seed-*")) or [folder]


def outcome(folder: Path) -> list[tuple[dict[str, bytes], list[dict[str, Any]]]]:
    """(parameters, metrics) of every run."""
    return [one_outcome(run) for run in runs_in(folder)]


def one_outcome(folder: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """(parameters, metrics) of a run."""
    arrays = {name: x.tobytes() for name, x in array_folder.load(folder / "agent")[0].items()}
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return arrays, [{k: v for k, v in json.loads(x).items() if k != "timing"} for x in lines]


def unreadable(folder: Path) -> int:
    """Checkpoints that cannot be read."""
    count = 0
    for path in (
        path for run in runs_in(folder) for path in checkpoints.paths(run / "checkpoints")
    ):
        try:
            checkpoints.read(path)
        except UsageError:
            count += 1
    return count


def trial(case: tuple[str, str], number: int, seconds: float, whole: Any, root: Path) -> Counter:
    """One run: killed once or twice, resumed, compared."""
    rng = np.random.default_rng(number)
    folder, counts = root / f"{'-'.join(case)}-{number}", Counter[str]()
    arguments = train(case, folder)
    for _ in range(1 + number % 2):
        ended = not killed(arguments, rng.uniform(0.0, 1.0) * seconds)
        counts["unreadable"] += unreadable(folder)
        begun = [run for run in runs_in(folder) if checkpoints.paths(run / "checkpoints")]
        if len(begun) < len(whole):
            shutil.rmtree(folder, ignore_errors=True)
            counts["before the first checkpoint"] += 1
            continue
        counts["kills"] += not ended
        arguments = resume(case, folder)
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(case, number, done.stderr, file=sys.stderr)
    counts["runs"] += 1
    counts["identical"] += outcome(folder) == whole
    shutil.rmtree(folder)
    return counts


def main() -> int:
    """Kill, resume, compare; 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the runs go, if not a temporary folder")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=options.folder))
    cases = [case for case in CASES if case[1] in options.places]
    seconds, wholes = {}, {}
    for case in cases:
        # Twice: the first one fills the cache of compiled programs.
        for turn in range(2):
            folder = root / f"{'-'.join(case)}-whole-{turn}"
            seconds[case] = left_alone(train(case, folder))
        wholes[case] = outcome(folder)
    total, number = Counter[str](), itertools.count()

    def turn(_: int) -> Counter:
        n = next(number)
        case = cases[n % len(cases)]
        return trial(case, n, seconds[case], wholes[case], root)

    with ThreadPoolExecutor(options.processes) as pool:
        while total["kills"] < options.kills:
            for counts in pool.map(turn, range(2 * options.processes)):
                total.update(counts)
            print(dict(total), flush=True)
    shutil.rmtree(root)
    good = total["identical"] == total["runs"] and total["unreadable"] == 0
    print(
        f"{total['kills']} kills in {total['runs']} runs: {total['identical']} of {total['runs']} "
        f"identical, {total['unreadable']} unreadable checkpoints"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
