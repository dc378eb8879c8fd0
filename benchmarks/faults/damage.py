"""Saved agents and checkpoints that are damaged.

    python -m benchmarks.faults.damage [--each 100] [--mutations 10000]

Every file of a checkpoint is truncated at a random place, and one of its bits is flipped, `each`
times: the run must go on from the checkpoint before, never from this one. Then `mutations` damaged
saved agents are loaded: bytes are flipped, cut, repeated or replaced in either file, and in half of
them the manifest is changed as JSON and sealed again, as one would who wants it to be taken for
intact. Every one must give an error of one line, or an agent that acts; no process may be started,
and memory stay under 500 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import surefoot as sf
from surefoot.common.files import array_folder
from surefoot.runs.folder import checkpoints

SMALL = ["--steps=512", "--num-envs=2", "--horizon=64", "--hidden=8", "--checkpoint-every=0"]
#: What Python tells of before a process is started.
STARTING = {"subprocess.Popen", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.system"}
#: What a value of a manifest is replaced by.
ODD: list[Any] = [None, -1, 0, 10**12, 1.5, "", "x", [], {}, True, [10**6, 10**6], "float64"]


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def repeated(data: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted(rng.integers(len(data), size=2).tolist())
    return data[:b] + data[a:]


def replaced(data: bytes, rng: np.random.Generator) -> bytes:
    a = int(rng.integers(len(data)))
    return data[:a] + rng.bytes(int(rng.integers(1, 64))) + data[a + 8 :]


BYTES: list[Callable[[bytes, np.random.Generator], bytes]] = [
    truncated,
    flipped,
    repeated,
    replaced,
]


def resealed(manifest: bytes, arrays: bytes, rng: np.random.Generator) -> bytes:
    """The manifest with one value replaced or one key gone, and the digests that go with it."""
    tree = json.loads(manifest)
    node: Any = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[rng.integers(len(keys))]
        inner = node[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.7:
            node = inner
            continue
        if isinstance(node, dict) and rng.random() < 0.2:
            del node[key]
        else:
            node[key] = ODD[rng.integers(len(ODD))]
        break
    return json.dumps(array_folder.seal(tree, arrays)).encode()


def checkpoint_files(folder: Path, each: int) -> Counter[str]:
    """Damage the newest checkpoint's files, and see what is gone on from."""
    counts, rng = Counter[str](), np.random.default_rng(0)
    newest = checkpoints.paths(folder / "checkpoints")[-1]
    for path in sorted(newest.iterdir()):
        whole = path.read_bytes()
        for harm in (truncated, flipped):
            for _ in range(each):
                path.write_bytes(harm(whole, rng))
                found, wrong = checkpoints.newest(folder / "checkpoints", folder / "metrics.jsonl")
                fell_back = found.iterations == int(newest.name) - 1 and len(wrong) == 1
                counts["fell back" if fell_back else "WRONG"] += 1
        path.write_bytes(whole)
    return counts


def agents(folder: Path, mutations: int) -> Counter[str]:
    """Load damaged agents."""
    counts, rng = Counter[str](), np.random.default_rng(1)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    arrays, manifest = files["arrays.safetensors"], files["manifest.json"]
    copy = folder.parent / "mutant"
    shutil.copytree(folder, copy)
    for number in range(mutations):
        if number % 2:
            (copy / "manifest.json").write_bytes(resealed(manifest, arrays, rng))
            (copy / "arrays.safetensors").write_bytes(arrays)
        else:
            name = list(files)[number // 2 % 2]
            for other, data in files.items():
                (copy / other).write_bytes(data)
            (copy / name).write_bytes(BYTES[rng.integers(len(BYTES))](files[name], rng))
        try:
            agent = sf.load(copy)
        except sf.UsageError as error:
            counts["one line" if "\n" not in str(error) else "WRONG: several lines"] += 1
        except Exception as error:
            counts["WRONG: no line"] += 1
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        else:
            observation = np.zeros(agent.observation_space.shape, np.float32)
            finite = np.isfinite(agent.predict(observation)[0]).all()
            counts["an agent that acts" if finite else "WRONG: no action"] += 1
    return counts


def main() -> int:
    """Damage, load, count; 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--mutations", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        # In a process of its own: what training takes is no part of what loading takes.
        trained = [sys.executable, "-m", "surefoot.cli", "train", "trpo", "Pendulum-v1"]
        subprocess.run([*trained, *SMALL, f"--out={folder}"], check=True, capture_output=True)
        started: list[str] = []
        sys.addaudithook(lambda event, _: started.append(event) if event in STARTING else None)
        files = checkpoint_files(folder, options.each)
        mutants = agents(folder / "agent", options.mutations)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("files of a checkpoint:", dict(files))
    print("saved agents:", dict(mutants))
    print(f"peak memory {memory:.0f} MB, {len(started)} processes started")
    good = not any("WRONG" in key for key in (*files, *mutants)) and not started and memory < 500
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
