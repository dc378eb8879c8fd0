"""Finished runs that tests share, and what tests read of the folders of runs."""

import hashlib
import json
import shutil

from filelock import FileLock

import surefoot as sf
from surefoot.common.files import array_folder

#: The shapes of a test's run, where it does not matter which: programs are then shared, too.
TINY = {"num_envs": 4, "horizon": 32, "hidden": (8,)}
BATCH = 4 * 32


class SharedRuns:
    """Finished runs, each made by the first test that asks for it, whichever process that is in."""

    def __init__(self, root):
        self._root, self._used = root, {}

    def __call__(self, algorithm="trpo", env="CartPole-v1", **options):
        """The folder of a run of five iterations of the shapes of `TINY`, unless `options` say
        otherwise, with its last checkpoints. It is only read: who wants to change it takes a copy.
        """
        options = {**TINY, "checkpoint_every": 0, **options}
        options.setdefault("steps", 5 * options["num_envs"] * options["horizon"])
        name = json.dumps([algorithm, env, options], sort_keys=True)
        folder = self._root / f"{algorithm}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        contents = folder.with_suffix(".json")
        self._root.mkdir(exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not contents.exists():
                shutil.rmtree(folder, ignore_errors=True)  # Of one that failed.
                sf.train(algorithm, env, out=folder, **options)
                contents.write_text(json.dumps(_contents(folder)))
        self._used[folder] = json.loads(contents.read_text())
        return folder

    def check(self):
        """Fails if a run that this process used is no longer as it was made."""
        for folder, contents in self._used.items():
            assert _contents(folder) == contents, f"a test changed {folder}: it takes a copy"


def _contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def lines(path):
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(folder):
    """A run's metrics."""
    return lines(folder / "metrics.jsonl")


def untimed(folder):
    """Those without what differs between two runs of the same seed."""
    return [{k: v for k, v in row.items() if k != "timing"} for row in rows(folder)]


def arrays(folder, agent="agent"):
    """The parameters of a run's agent."""
    return array_folder.load(folder / agent)[0]
