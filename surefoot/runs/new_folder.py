"""Where a run goes: a new folder, which nothing is written to before the run begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from surefoot.common.errors import UsageError

#: Characters of an environment's name that are in the name of its run's folder.
_LONGEST_NAME = 48


def seed_folders(folder: Path | None, seeds: Sequence[int]) -> list[Path | None]:
    """Where the runs of these seeds go."""
    return [folder and folder / f"seed-{seed}" for seed in seeds]


def check_new(folder: Path) -> Path:
    """The path, if nothing is there yet and a folder can be made there."""
    try:
        if folder.exists():
            raise UsageError(f"{folder} exists; accepted is a new path for the run's folder")
        above = next(parent for parent in folder.absolute().parents if parent.exists())
    except OSError as error:
        raise UsageError(f"{folder} can be no folder: {error.strerror}") from None
    if not above.is_dir():
        raise UsageError(f"{folder} lies below {above}, which is a file; accepted is a new path")
    if not os.access(above, os.W_OK):
        raise UsageError(f"{folder} cannot be made: {above} is not writable; pass another path")
    return folder


def default_run_folder(algorithm: str, env: str, seed: int) -> Path:
    """runs/ALGORITHM-ENV-SEED-TIME, with characters that a folder name cannot hold replaced."""
    # A file system takes 255 bytes, of which a character may be four.
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in env[:_LONGEST_NAME])
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path("runs") / f"{algorithm}-{safe}-{seed}-{stamp}"
    # Two runs may be started in the same second.
    return folder.with_name(f"{folder.name}-{os.getpid()}") if folder.exists() else folder
