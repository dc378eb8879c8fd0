"""The lock of a run's folder.

The process that writes the folder holds it until it ends, in whatever way, so that there is one
writer at a time, and others see whether there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from surefoot.common.errors import UsageError
from surefoot.common.files.regular_file import check_file, descriptor

if sys.platform != "win32":
    import fcntl

_NAME = ".lock"
# Probing the lock takes it for an instant.
_PATIENCE = 0.5


def acquire_lock(folder: Path) -> BaseFileLock:
    """The lock, taken; `release` gives it back. Raises `UsageError` where another process has it,
    or it cannot be taken."""
    lock = FileLock(folder / _NAME)
    try:
        # The lock itself follows no link, and neither knows a second name nor a pipe.
        check_file(folder / _NAME)
        lock.acquire(timeout=_PATIENCE, poll_interval=0.01)
    except Timeout:
        raise UsageError(f"{folder} is being written by another process; wait for it") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
    return lock


def is_held(folder: Path) -> bool | None:
    """Whether a process has it; `None` where that cannot be known."""
    if sys.platform == "win32":
        return None
    try:
        file = descriptor(folder / _NAME)
    except OSError:
        return None
    try:
        # Shared, so that any number may look at once.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(file)
    return False
