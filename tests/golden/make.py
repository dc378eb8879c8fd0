"""Makes the runs in this folder, `NAME-FORMAT`. They are kept: every later version must go on with
them. A new format gets new runs beside the old ones.

    python tests/golden/make.py FOLDER
"""

import platform
import shutil
import sys
from pathlib import Path

import surefoot as sf
from surefoot.runs.checkpoints import FORMAT_VERSION

SMALL = {"num_envs": 2, "horizon": 16, "hidden": (4,), "steps": 96, "checkpoint_every": 0}
RUNS = {"host": ("trpo", {}), "device": ("acktr", {"backend": "device"})}


def main(folder: Path) -> None:
    platform.platform = lambda: "anywhere"
    for name, (algorithm, options) in RUNS.items():
        run = folder / f"{name}-{FORMAT_VERSION}"
        sys.argv = ["surefoot", "train", algorithm, "CartPole-v1"]
        sf.train(algorithm, "CartPole-v1", out=run, **SMALL, **options)
        for path in sorted((run / "checkpoints").iterdir())[:-1]:
            shutil.rmtree(path)
        (run / ".lock").unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
