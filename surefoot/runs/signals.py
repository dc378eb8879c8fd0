"""Ending a run from outside: the first SIGINT or SIGTERM asks, the second ends at once.

Python runs a signal's handler between two of its own instructions, and a run may be in one call of
a compiled program for long. A thread therefore sees the signals when they come. It ends the process
where what was asked for is not done in time; a checkpoint is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from surefoot.runs.folder import checkpoints

#: Seconds from the first signal to the end of the process.
PATIENCE = 9.0
#: Seconds within which a second signal is the first one's echo: GNU's `timeout` signals a process,
#: and then the group that it is in.
ECHO = 0.1


class Signals:
    """While it is entered, signals ask instead of interrupting. In a thread that is not the main
    one, which gets no signals, nothing is changed."""

    def __init__(self, folders: Sequence[Path | None] = ()) -> None:
        """For runs with these folders."""
        self._folders = folders
        self.received: int | None = None
        """The first signal."""
        self._before: dict[int, Any] = {}
        self._over = threading.Event()

    def __enter__(self) -> Signals:
        self._main = threading.current_thread() is threading.main_thread()
        if not self._main:
            return self
        self._read, self._written = socket.socketpair()
        self._written.setblocking(False)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, lambda *_: None)
        self._wakeup = signal.set_wakeup_fd(self._written.fileno())
        threading.Thread(target=self._watch, name="signals", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._main:
            return
        self._over.set()
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._written.close()

    def _watch(self) -> None:
        first = 0.0
        while received := self._read.recv(1):
            number = received[0]
            if number not in self._before:
                continue
            if self.received is not None:
                if time.monotonic() - first < ECHO:
                    continue
                self._end(number, "ended at once")
            self.received, first = number, time.monotonic()
            threading.Thread(target=self._wait, args=(number,), daemon=True).start()
            name = signal.Signals(number).name
            _say(f"\nsurefoot: {name}: finishing the iteration; once more ends at once")
        self._read.close()

    def _wait(self, number: int) -> None:
        if not self._over.wait(PATIENCE):
            self._end(number, f"the iteration did not end within {PATIENCE:g} s")

    def _end(self, number: int, why: str) -> None:
        # A progress bar hides the cursor, and nobody will show it again.
        cursor = "\x1b[?25h" if os.isatty(2) else ""
        text = f"{cursor}surefoot: {why}; {what_is_left(self._folders)}"
        threading.Thread(target=_say, args=(text,), daemon=True).start()
        # A terminal that takes nothing must not hold the end up.
        time.sleep(0.1)
        os._exit(128 + number)

    def asked(self) -> bool:
        """Whether a signal came."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """What a process that a signal ended returns."""
        assert self.received is not None
        return 128 + self.received


def what_is_left(folders: Sequence[Path | None]) -> str:
    """What of the runs with these folders an end at once leaves, in words."""
    there = [folder for folder in folders if folder is not None]
    if not there:
        return "nothing was to be written"
    if not any(folder.exists() for folder in there):
        return "nothing was written"
    if all(checkpoints.paths(folder / "checkpoints") for folder in there):
        return "the last checkpoint stands"
    return f"there was no checkpoint yet: {there[0]} cannot be gone on with"


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode())
