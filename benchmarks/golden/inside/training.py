"""Runs from beginning to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cases import TINY, Training
from command import done
from outcomes import outcome
from safetensors.numpy import load_file
from tasks import KINDS, task

import surefoot as sf

DATA = "demonstrations.safetensors"


def trained(case: Training) -> dict[str, Any]:
    """What becomes of a run, or of several at once."""
    train(case, Path("run"))
    if case.seeds:
        return {f"seed-{seed}": outcome(Path("run") / f"seed-{seed}") for seed in case.seeds}
    return outcome(Path("run"))


def train(case: Training, out: Path, **more: Any) -> None:
    """Train, in the working folder; `bc` learns from a recording that is made if it is missing."""
    arguments = case.arguments()
    if case.recipe == "bc":
        arguments |= {"data": DATA, "steps": recorded(case.env) * case.iterations}
    env = task(case.env, case.backend)
    if case.seeds:
        sf.train_seeds(case.recipe, env, case.seeds, out=out, **arguments, **more)
    else:
        sf.train(case.recipe, env, out=out, **arguments, **more)


def recorded(env: str) -> int:
    """Transitions in the recording of an agent that has learned a little. The command records."""
    if not Path(DATA).exists():
        sf.train("trpo", task(env, "host"), out=Path("expert"), **TINY, steps=64)
        named = ["--env", f"tasks:{env}"] if env in KINDS else []
        done("record", "expert", "--episodes", "4", "--stochastic", "--out", DATA, *named)
    return len(load_file(DATA)["reward"])
