"""One worker process, as the process that started it sees it: requests go out, and an answer, an
exception from the environment, or the loss of the process comes back."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import multiprocessing.util
import pickle
import signal
import socket
import sys
import time
import types
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import cloudpickle

from surefoot.envs.workers.channel import Channel
from surefoot.envs.workers.worker import EnvInfo, WorkerError, work

#: Seconds that an answer may come late: a computer that slept, or a run that was stopped by Ctrl-Z,
#: finds all deadlines past.
_GRACE = 0.25


_alive: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


@atexit.register  # After multiprocessing's own, so before it: that one asks by SIGTERM, and waits.
def _kill_all() -> None:
    for worker in list(_alive):
        with contextlib.suppress(ValueError):  # It has been ended before.
            worker.kill()


class LostWorkerError(Exception):
    """The process died, or gave no answer in time; says which, and there is no process any more."""


class Deadline(NamedTuple):
    """When an answer must have come."""

    at: float
    """By `time.monotonic`."""
    seconds: float
    """What that gave."""

    @classmethod
    def after(cls, seconds: float) -> Deadline | None:
        """So many seconds from now; `None` for 0, which is never."""
        return cls(time.monotonic() + seconds, seconds) if seconds else None


class WorkerProcess:
    """A process with one environment; the first answer is an `EnvInfo`. It never is a fork of this
    process, whose threads a fork would leave in an unknown state, and ends with it."""

    def __init__(self, program: bytes) -> None:
        context = multiprocessing.get_context("forkserver")
        # Imported once, where every worker is forked from.
        context.set_forkserver_preload(["surefoot.envs.workers.worker"])
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        self._process = context.Process(
            target=work, args=(theirs, program), name="environment", daemon=True
        )
        with _without_main():
            self._process.start()
        _alive.add(self)
        # With this end open, the death of the process would not be seen.
        theirs.close()

    @property
    def pid(self) -> int:
        """The operating system's number of the process."""
        assert self._process.pid is not None, "the process was started"
        return self._process.pid

    def send(self, request: str, argument: Any) -> None:
        """Ask for something; a process that is lost is found out when the answer is received."""
        with contextlib.suppress(OSError):
            self._channel.send(pickle.dumps((request, argument), pickle.HIGHEST_PROTOCOL))

    def made(self, deadline: Deadline | None) -> EnvInfo | WorkerError:
        """The first answer."""
        made: EnvInfo | WorkerError = cloudpickle.loads(self._answer(deadline))
        return made

    def receive(self, deadline: Deadline | None) -> Any:
        """The answer to what was asked for, a `WorkerError` if the environment raised an exception.
        If the process dies or the deadline passes, the process is ended and `LostWorkerError` is
        raised."""
        return pickle.loads(self._answer(deadline))

    def _answer(self, deadline: Deadline | None) -> memoryview:
        try:
            if deadline is None:
                return self._channel.receive(None)
            with contextlib.suppress(TimeoutError):
                return self._channel.receive(max(0.001, deadline.at - time.monotonic()))
            return self._channel.receive(_GRACE)
        except TimeoutError:
            assert deadline is not None, "only a deadline passes"
            self.kill()
            raise LostWorkerError(f"gave no answer within {deadline.seconds:g} s") from None
        except (EOFError, OSError):
            self._process.join(_GRACE)
            code = self._process.exitcode
            self.kill()
            how = (
                "" if code is None else f" ({_signal(-code) if code < 0 else f'exit code {code}'})"
            )
            raise LostWorkerError(f"lost its worker process{how}") from None

    def ask_to_end(self) -> None:
        """Let the environment close and the process end."""
        self._channel.close()

    def end(self, deadline: Deadline) -> None:
        """Wait for the end, and force it at the deadline."""
        with contextlib.suppress(ValueError):  # It has been ended before.
            self._process.join(max(0.0, deadline.at - time.monotonic()))
            self.kill()

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._channel.close()
        self._process.kill()
        self._process.join()
        self._process.close()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Multiprocessing runs the main script again in what it starts. A worker needs nothing of it,
    since cloudpickle sends what a script defines along; it would import JAX, and train, if
    the script has no guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
