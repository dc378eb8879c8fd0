"""What a run writes in its folder, and that all of it is the folder's own.

A folder of another hand may have links where a run writes: through them it would empty or overwrite
files that lie elsewhere.
"""

from __future__ import annotations

import errno
from pathlib import Path

from surefoot.common.errors import UsageError
from surefoot.common.files.regular_file import check_file, check_folder

_FILES = (".lock", "metrics.jsonl", "metrics.csv", "evaluations.jsonl", "wandb/id")
_FOLDERS = ("checkpoints", "agent", "best", "tensorboard", "wandb")
_COPY = (
    ", and a run writes in its own files alone: if you trust what is there, copy the folder by "
    "'cp -rL', and resume the copy"
)
_REMOVE = ", and a run writes in its own files alone: take it off"
_FIXES = {
    errno.ELOOP: _COPY,
    errno.EMLINK: _COPY,
    errno.EINVAL: _REMOVE,
    errno.ENOTDIR: _REMOVE,
}


def check_own(folder: Path, *, within: Path | None = None) -> None:
    """Raise `UsageError` if something that a run in this folder writes is no file or folder of its
    own: a link, a second name of another file, a pipe. So must the folder be, where it lies
    `within` another one that was given."""
    try:
        if within is not None and folder != within:
            check_folder(folder)
        for name in _FOLDERS:
            check_folder(folder / name)
        for name in _FILES:
            check_file(folder / name)
        checkpoints = folder / "checkpoints"
        for path in checkpoints.iterdir() if checkpoints.is_dir() else ():
            if path.is_symlink():
                check_folder(path)
    except OSError as error:
        raise UsageError(
            f"{error.filename} {error.strerror}{_FIXES.get(error.errno or 0, '')}"
        ) from None
