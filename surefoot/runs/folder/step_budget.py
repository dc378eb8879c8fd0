"""How many environment steps a run is to have at most: what its configuration says, or its newest
checkpoint, for a run that was made longer says so there alone."""

from __future__ import annotations

from pathlib import Path

from surefoot.common.files.json_reading import document, finite, integer


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run's folder, by its name, if there is one."""
    return next(iter(_checkpoints(folder)), None)


def made_longer(folder: Path, planned: int) -> int:
    """Environment steps at most of a run that was planned with so many: those of its newest
    checkpoint that can be read, or `planned` if there is none, or it has fewer."""
    for path in _checkpoints(folder):
        try:
            told = integer(document(path / "manifest.json").get("budget"))
        except (OSError, ValueError):
            continue
        # What is no number of steps is more than a floating-point number can be.
        if told is not None and finite(told) is not None:
            return max(planned, told)
    return planned


def stretched(folder: Path) -> bool:
    """Whether a run that was made longer had its schedule spread over all of its steps, at its
    newest checkpoint that can be read."""
    for path in _checkpoints(folder):
        try:
            return bool(document(path / "manifest.json").get("stretched_at"))
        except (OSError, ValueError):
            continue
    return False


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first; names are of digits, of which there may be more later."""
    try:
        found = [path for path in (folder / "checkpoints").iterdir() if path.name.isdecimal()]
    except OSError:
        return []
    return sorted(found, key=lambda path: int(path.name), reverse=True)
