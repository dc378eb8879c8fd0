"""Run entries of the matrix, each in a process of its own, several of them side by side.

The processes end with this one, however it ends, and a row is there whole or not at all: `run` may
be stopped at any moment and started again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.learning.matrix import Entry
from benchmarks.learning.rows import ROOT

Command = Callable[[Entry, int | None], list[str]]


def command(entry: Entry, core: int | None) -> list[str]:
    """The command line that makes an entry's row, on one core if one is given."""
    parts = [sys.executable, "-m", "benchmarks.learning", "one", entry.recipe, entry.task]
    parts += [str(entry.seed), str(entry.steps), str(entry.folder)]
    parts += [] if core is None else ["--core", str(core)]
    parts += ["--set", *(f"{name}={value!r}" for name, value in entry.options.items())]
    return parts


def run(todo: list[Entry], *, jobs: int, command: Command = command) -> int:
    """Run the entries, `jobs` at a time, and say how each ended. The exit code: 1 if one failed."""
    # A core a run: a run that shares cores loses several times the length of every small call to
    # its way from thread to thread.
    allowed: list[int | None] = [None]
    if hasattr(os, "sched_getaffinity"):
        allowed = [*sorted(os.sched_getaffinity(0))]
    free = [allowed[number % len(allowed)] for number in range(jobs)]
    waiting = todo[::-1]
    running: dict[subprocess.Popen[bytes], tuple[Entry, int | None, float]] = {}
    failed = 0
    handlers = {s: signal.signal(s, _stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        while waiting or running:
            while waiting and free:
                entry, core = waiting.pop(), free.pop(0)
                # A session of its own: the terminal's Ctrl-C reaches this process only. Its
                # standard input stays open as long as this process lives.
                process = subprocess.Popen(
                    command(entry, core), cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True
                )
                running[process] = entry, core, time.monotonic()
            for process in [p for p in running if p.poll() is not None]:
                entry, core, begin = running.pop(process)
                process.communicate()
                free.append(core)
                how = f"done in {time.monotonic() - begin:,.0f} s"
                if process.returncode:
                    failed += 1
                    how = f"failed with exit code {process.returncode}"
                print(f"{entry.path.name}: {how}", flush=True)
            time.sleep(0.1)
    finally:
        for process in running:
            process.terminate()
        for process, (entry, _, _) in running.items():
            process.communicate()
            for part in entry.folder.glob(f"*.{process.pid}.part"):
                part.unlink()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return int(failed > 0)


def _stop(number: int, _frame: object) -> None:
    print("stopped; the same command goes on from here", file=sys.stderr)
    raise SystemExit(128 + number)


def follow_parent() -> None:
    """End this process when its parent, which holds the other end of its standard input, is gone:
    killed, a parent can stop nothing itself."""
    import threading

    def wait() -> None:
        # Not sys.stdin, whose lock a blocked thread would hold when the interpreter ends.
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
