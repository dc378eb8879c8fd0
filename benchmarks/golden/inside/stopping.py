"""Runs that are stopped half-way, and what becomes of them when they are gone on with.

A stopped run lies in `GROUP/NAME/run`, with the file that it learns from beside it if there is one.
"""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from cases import STOPPED, STOPPED_AFTER
from command import done
from exports import observations
from outcomes import outcome
from pages import page_of

import surefoot as sf
from training import train

RUN = Path("run")
#: Lines that tell how fast it was.
_PROGRESS = re.compile(r"^compiled in | steps/s ")
#: These have no surrogate to look at.
_NOT_INSPECTED = ("cem", "bc")


def stopped(name: str, folder: Path) -> dict[str, Any]:
    """The run as it would be without the stop. The stopped one is kept in the folder."""
    case = STOPPED[name]
    train(case, RUN, on_iteration=lambda row, agent: row["iteration"] + 1 < STOPPED_AFTER)
    shutil.rmtree(Path("expert"), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(Path(), folder)
    train(case, Path("whole"))
    return outcome(Path("whole"))


def resumed(name: str, folder: Path) -> dict[str, Any]:
    """What the commands and `resume` make of a copy of a stopped run."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there: make the group 'stopped' first")
    case = STOPPED[name]
    shutil.copytree(folder, Path(), dirs_exist_ok=True)
    made: dict[str, Any] = {
        "resumed_from": hashlib.sha256((RUN / "metrics.jsonl").read_bytes()).hexdigest()[:16],
        "loaded": _loaded(case.env),
        "page": page_of(RUN),
        "inspected": {} if case.recipe in _NOT_INSPECTED else _inspected(),
    }
    sf.resume(RUN)
    return {**made, **outcome(RUN)}


def _loaded(env: str) -> dict[str, Any]:
    agent = sf.load(RUN)
    played = agent.evaluate(2)
    return {
        "actions": np.asarray(agent.predict(observations(env))[0]).tolist(),
        "returns": played.returns.tolist(),
        "lengths": played.lengths.tolist(),
        "said": done("evaluate", str(RUN), "--episodes", "2"),
    }


def _inspected() -> dict[str, Any]:
    """Every update so far: the first is replayed from the beginning, others from a checkpoint."""
    found = {}
    for iteration in range(STOPPED_AFTER):
        file = f"{iteration}.csv"
        said = done("inspect", str(RUN), "--iteration", str(iteration), "--out", file)
        with open(file, newline="") as curves:
            found[str(iteration)] = {
                "said": [line for line in said.splitlines() if not _PROGRESS.search(line)],
                "curves": [[*map(_number, row)] for row in csv.reader(curves)],
            }
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
