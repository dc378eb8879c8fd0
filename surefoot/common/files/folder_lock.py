"""The lock of a run's folder.

The process that writes the folder holds it until it ends, in whatever way, so that there is one
writer at a time, and others see whether there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from surefoot.common.errors import UsageError

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
        file = os.open(folder / _NAME, os.O_RDONLY)
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
