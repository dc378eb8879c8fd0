"""Makes the runs in this folder, `NAME-FORMAT`. They are kept: every later version must go on with
them. A new format gets new runs beside the old ones, which are left alone.

    python tests/golden/make.py FOLDER

Those in `STOPPED` end after three of five iterations. `NAME-FORMAT.jsonl` has the rows of the run
that goes on to its end, without their seconds, and `machine.json` says where those of the newest
format were made.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import surefoot as sf

SMALL = {"num_envs": 2, "horizon": 16, "hidden": (4,), "checkpoint_every": 0}
RUNS = {
    "host": ("trpo", "CartPole-v1", {}),
    "device": ("acktr", "CartPole-v1", {"backend": "device"}),
}
STOPPED = {
    "trpo": ("trpo", "Pendulum-v1", {}),
    "ppo_clip": ("ppo_clip", "CartPole-v1", {"minibatch_size": 16, "epochs": 2}),
    "ppo_kl": ("ppo_kl", "Pendulum-v1", {"backend": "device", "minibatch_size": 16, "epochs": 2}),
    "cem": ("cem", "CartPole-v1", {"elite_fraction": 0.5}),
    "bc": ("bc", "CartPole-v1", {"data": "demonstrations.safetensors"}),
}
AFTER = 3
#: Of agents and checkpoints.
FORMAT = 2


def main(folder: Path) -> None:
    platform.platform = lambda: "anywhere"
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    for name, (algorithm, env, options) in RUNS.items():
        train(f"{name}-{FORMAT}", algorithm, env, {**SMALL, "steps": 96, **options})
    for name, (algorithm, env, options) in STOPPED.items():
        options = sized(algorithm, env, options)
        train(
            f"{name}-{FORMAT}",
            algorithm,
            env,
            options,
            stop=lambda row, _: row["iteration"] + 1 < AFTER,
        )
        if not Path(f"{name}-{FORMAT}.jsonl").exists():
            Path(f"{name}-{FORMAT}.jsonl").write_text(whole(algorithm, env, options))
            Path("machine.json").write_text(json.dumps(machine(), indent=2) + "\n")


def before_the_stop(row, agent):
    return row["iteration"] + 1 < AFTER


def train(run, algorithm, env, options, stop=None):
    """Make a run, and keep of its checkpoints the last one, and of a stopped run the one before,
    from where its last update can be replayed."""
    if Path(run).exists():
        return
    sf.train(algorithm, env, out=run, on_iteration=stop, **options)
    for path in sorted(Path(run, "checkpoints").iterdir())[: -1 if stop is None else -2]:
        shutil.rmtree(path)
    Path(run, ".lock").unlink()


def sized(algorithm, env, options):
    """The options of a run of five iterations."""
    if algorithm != "bc":
        return {**SMALL, "steps": 160, **options}
    file = Path(options["data"])
    if not file.exists():
        expert = sf.train("trpo", env, **SMALL, steps=64)
        sf.demonstrations.save(expert.record(4), file)
    steps = 5 * len(sf.demonstrations.load(file))
    return {"hidden": (4,), "checkpoint_every": 0, "steps": steps, **options}


def whole(algorithm, env, options):
    """The rows of the run without a stop."""
    with tempfile.TemporaryDirectory() as scratch:
        sf.train(algorithm, env, out=f"{scratch}/run", **options)
        rows = map(json.loads, Path(scratch, "run", "metrics.jsonl").read_text().splitlines())
        kept = [{key: value for key, value in row.items() if key != "timing"} for row in rows]
    return "".join(json.dumps(row) + "\n" for row in kept)


def machine():
    """What the last digits depend on: versions, and what the processor is and can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.processor()]
    found = {x for x in lines if x.startswith(("model name", "flags", "Features"))} or lines
    text = "\n".join([platform.machine(), *sorted(found)])
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return {**versions, "processor": hashlib.sha256(text.encode()).hexdigest()[:16]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
