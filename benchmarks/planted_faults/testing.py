"""A checkout's tests, run by pytest in a process of its own on a copy of the package."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.planted_faults.fault import Fault
from surefoot.common.errors import UsageError

RECORDER = Path(__file__).parent / "inside" / "planted_faults_recorder.py"
#: Options of pytest for each suite; those of the project's own settings come before them.
SUITES: dict[str, tuple[str, ...]] = {"fast": (), "thorough": ("-m", "")}
#: Seconds that one run of the tests gets by default; a fault may make one wait for ever.
LIMIT = 3600.0


class Failure(NamedTuple):
    """A test that failed."""

    test: str
    """Its node id."""
    when: str
    """"call", "setup" or "teardown", or "collect" for a file of tests."""
    kinds: list[str]
    """Names of the exception's class and of those that it is derived from."""
    message: str
    """Its first line."""


class Outcome(NamedTuple):
    """What came of running tests."""

    exit_code: int | None
    """pytest's; `None` where the time was up."""
    failures: list[Failure]


class Suite:
    """A suite of a checkout's tests, for a `with` statement, at whose end no process is left."""

    def __init__(self, checkout: Path, cache: Path, *, name: str, limit: float = LIMIT) -> None:
        """Compiled programs are kept in the folder `cache`, whatever faults they were made with."""
        self.checkout, self.cache, self.name, self.limit = checkout, cache, name, limit
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(self, scratch: Path, chosen: Sequence[str], *, stop: bool = True) -> Outcome:
        """Run the chosen tests on the package in the folder `scratch`, to the first failure unless
        `stop` is false. Raises `UsageError` where they ran with another package."""
        shutil.copy(RECORDER, scratch)
        record = scratch / "record.json"
        record.unlink(missing_ok=True)
        options = ["-q", *["-x"] * stop, "-p", "no:cacheprovider", "-p", RECORDER.stem]
        command = [sys.executable, "-m", "pytest", *options, *SUITES[self.name], *chosen]
        log = scratch / "output.txt"
        with log.open("wb") as output:
            code = self._call(command, self._environment(scratch, record), output)
        if code is None:
            return Outcome(None, [])
        if not record.exists():
            lines = log.read_text(errors="replace").strip().splitlines() or ["nothing was said"]
            return Outcome(code, [Failure("", "collect", [], lines[-1][:300])])
        told: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        package = told["package"]
        if package is None or not Path(package).resolve().is_relative_to(scratch.resolve()):
            raise UsageError(
                f"the tests of {self.checkout} run with the package in {package} and not with the "
                "copy that has the fault; accepted are tests that import the first on PYTHONPATH"
            )
        return Outcome(code, [Failure(**failure) for failure in told["failures"]])

    def find(self, fault: Fault) -> list[str]:
        """The fault's own tests as node ids of this checkout. Raises `UsageError` where one is in
        no file or in several."""
        return [self._find(fault, name) for name in fault.tests]

    def rest(self, fault: Fault) -> list[str]:
        """pytest's arguments for all other tests, those of the fault's room first."""
        folder = self.checkout / "tests"
        found = [path for path in folder.iterdir() if path.is_dir() or path.match("test_*.py")]
        tests = [path for path in found if path.is_file() or any(path.rglob("test_*.py"))]
        tests.sort(key=lambda path: (path.name != fault.room, path.name))
        done = [f"--{'deselect' if '::' in one else 'ignore'}={one}" for one in self.find(fault)]
        return [path.relative_to(self.checkout).as_posix() for path in tests] + done

    def _find(self, fault: Fault, name: str) -> str:
        file, _, test = name.partition("::")
        found = [*(self.checkout / "tests").rglob(file)]
        if len(found) != 1:
            raise UsageError(
                f"{fault.name} names {file}, of which there are {len(found)} below tests; accepted "
                "is the name of one file"
            )
        path = found[0].relative_to(self.checkout).as_posix()
        return f"{path}::{test}" if test else path

    def _environment(self, scratch: Path, record: Path) -> dict[str, str]:
        before = os.environ.get("PYTHONPATH", "")
        return {
            **os.environ,
            # The checkout is the working folder, and its package would come first, also in the
            # processes that tests start.
            "PYTHONSAFEPATH": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(scratch), before, str(self.checkout)])),
            "PLANTED_FAULTS_RECORD": str(record),
            "SUREFOOT_TEST_CACHE": str(self.cache),
            # What a user adds to pytest's options is not for these.
            "PYTEST_ADDOPTS": "",
            # An example that a fault makes fail is none of the checkout's.
            "HYPOTHESIS_STORAGE_DIRECTORY": str(scratch / "hypothesis"),
        }

    def _call(self, command: list[str], environment: dict[str, str], output: Any) -> int | None:
        process = subprocess.Popen(
            command,
            cwd=self.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # With all that tests start, so that nothing of it is left.
            start_new_session=True,
        )
        self._running.add(process)
        try:
            code = None if self._closed else process.wait(self.limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
            self._running.discard(process)
        if self._closed:
            raise InterruptedError("the tests were ended")
        return code

    def close(self) -> None:
        """End what runs; whoever waits for it gets an `InterruptedError`."""
        self._closed = True
        for process in [*self._running]:
            _end(process)

    def __enter__(self) -> Suite:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
