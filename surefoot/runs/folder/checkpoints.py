"""Checkpoints: a run between two iterations, on the disk, the last few of them.

Each is an `array_folder`, written whole or not at all and named by its iterations. What is wrong
with one is found when it is read, and the one before is taken.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.agents.earlier_formats import from_format_1
from surefoot.common.arrays import Snapshot
from surefoot.common.errors import UsageError
from surefoot.common.files import array_folder
from surefoot.common.files.regular_file import check_folder
from surefoot.runs.folder import metrics_file
from surefoot.runs.folder.metrics_file import FilePosition

FORMAT = "surefoot checkpoint"
FORMAT_VERSION = 2
#: How many are kept.
KEPT = 3


class Checkpoint(NamedTuple):
    """A run between two iterations."""

    config: dict[str, Any]
    """What the run is."""
    iterations: int
    """Those that lie behind."""
    steps: int
    """Their environment steps."""
    budget: int
    """Environment steps at most of the whole run."""
    metrics: FilePosition
    """How far `metrics.jsonl` goes."""
    env_restarts_at: list[int]
    """Iterations before which the run was resumed and its environments began episodes anew, for
    they could not be put back where they were."""
    state: dict[str, Any]
    """The learner's arrays, by name."""
    env_snapshot: Snapshot
    """Where the environments stand."""
    stretched_at: Sequence[int] = ()
    """Iterations before which the run was resumed with its schedule spread over more steps."""
    best: Snapshot | None = None
    """The agent of the best evaluation so far, if there was one: its arrays by name, its steps and
    its mean return."""


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and take off those that are older than the last few. Raises `OSError` if
    it cannot be written; those of before are there then."""
    # It may have become a link since the run began.
    check_folder(folder)
    path = folder / f"{checkpoint.iterations:08d}"
    snapshot, best = checkpoint.env_snapshot, checkpoint.best
    arrays = {f"state.{name}": value for name, value in checkpoint.state.items()}
    arrays |= {f"place.{name}": value for name, value in snapshot.arrays.items()}
    # The keys are those of formats 1 and 2, whatever the fields are called.
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "config": checkpoint.config,
        "iterations": checkpoint.iterations,
        "steps": checkpoint.steps,
        "budget": checkpoint.budget,
        "metrics": checkpoint.metrics._asdict(),
        "began_anew": checkpoint.env_restarts_at,
        "stretched_at": list(checkpoint.stretched_at),
        "place": snapshot.metadata,
    }
    if best is not None:
        arrays |= {f"best.{name}": value for name, value in best.arrays.items()}
        manifest["best"] = best.metadata
    array_folder.save(path, arrays, manifest)
    for old in paths(folder)[:-KEPT]:
        remove(old)
    return path


def read(path: Path) -> Checkpoint:
    """A checkpoint. Raises `UsageError` if it is none, or is damaged."""
    arrays, manifest = array_folder.load(path, what="checkpoint")
    try:
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}")
        if manifest["format_version"] > FORMAT_VERSION:
            raise ValueError("it was written by a newer version of surefoot")
        parts: dict[str, dict[str, Any]] = {"state": {}, "place": {}, "best": {}}
        for name, value in arrays.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        if manifest["format_version"] == 1:
            parts = {part: from_format_1(its) for part, its in parts.items()}
        return Checkpoint(
            **{name: manifest[name] for name in ("config", "iterations", "steps", "budget")},
            metrics=FilePosition(**manifest["metrics"]),
            env_restarts_at=manifest["began_anew"],
            # Checkpoints of before there was this option lack it.
            stretched_at=manifest.get("stretched_at", []),
            state=parts["state"],
            env_snapshot=Snapshot(parts["place"], manifest["place"]),
            best=Snapshot(parts["best"], manifest["best"]) if "best" in manifest else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is no intact checkpoint: {error!r}") from None


def newest(folder: Path, rows: Path, *, upto: int | None = None) -> tuple[Checkpoint, list[str]]:
    """The newest checkpoint, of `upto` iterations at most, that is intact with the metrics file
    that it goes with, and what is wrong with those that are newer. Raises `UsageError` if there is
    none."""
    wrong: list[str] = []
    for path in reversed(paths(folder)):
        if upto is not None and int(path.name) > upto:
            continue
        try:
            checkpoint = read(path)
            metrics_file.check(rows, checkpoint.metrics)
        except UsageError as error:
            wrong.append(str(error))
        except (OSError, ValueError) as error:
            wrong.append(f"{path} cannot be gone on from: {error}")
        else:
            return checkpoint, wrong
    reasons = "; ".join(wrong) or "it has none"
    raise UsageError(f"{folder} has no intact checkpoint ({reasons}): train anew")


def nearest(folder: Path, rows: Path, *, upto: int) -> Checkpoint | None:
    """`newest` of a run that may go on meanwhile; `None` if there is none."""
    there = paths(folder)
    try:
        return newest(folder, rows, upto=upto)[0]
    except UsageError:
        if all(path.exists() for path in there):
            return None
    # One was taken off while it was read; what is there now stays for longer than that.
    with contextlib.suppress(UsageError):
        return newest(folder, rows, upto=upto)[0]
    return None


def env_restarts_at(folder: Path) -> list[int]:
    """`Checkpoint.env_restarts_at` of the newest one whose manifest can be read; arrays are not."""
    return list(_newest_manifest(folder).get("began_anew", []))


def stretched_at(folder: Path) -> list[int]:
    """`Checkpoint.stretched_at` of the same."""
    return list(_newest_manifest(folder).get("stretched_at", []))


def _newest_manifest(folder: Path) -> dict[str, Any]:
    for path in reversed(paths(folder)):
        with contextlib.suppress(UsageError):
            return array_folder.manifest(path)
    return {}


def paths(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    names = sorted(p for p in folder.iterdir() if p.name.isdecimal()) if folder.is_dir() else []
    return sorted(names, key=lambda path: int(path.name))


def remove(path: Path) -> None:
    """Take a checkpoint off, at once and then its files: what has its name is whole."""
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    path.rename(aside / path.name)
    shutil.rmtree(aside)


def tidy(folder: Path, *, after: int) -> None:
    """Take off the checkpoints after that many iterations, and what a process left that was ended
    while it wrote."""
    for path in paths(folder):
        if int(path.name) > after:
            remove(path)
    sweep(folder)


def sweep(folder: Path) -> None:
    """Take off the folders beside which `array_folder` and `remove` work."""
    for left in folder.glob(".*-*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
