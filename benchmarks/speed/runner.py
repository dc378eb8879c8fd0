"""Measure what is missing, one process at a time, round after round of all contestants.

Contestants take turns so that a machine that slows down slows them all. A measurement is a process
of its own that inherits next to nothing of this one's environment, and leaves one row. Stopped at
any moment, the same command goes on with the first that is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning.rows import Row, write
from benchmarks.speed.cases import ROOT, Contestant

TIMEOUT = 900.0
CORES = 2
CODE = ("surefoot", ":(glob)benchmarks/speed/**/*.py", ":(glob)benchmarks/speed/*.txt")


def path_of(results: Path, contestant: Contestant, number: int) -> Path:
    """Where a measurement's row lies."""
    return results / f"{contestant.name}-{number}.json"


def read(path: Path) -> Row | None:
    """The row in a file, `None` if there is none or what is there is no row."""
    try:
        row: Row = json.loads(path.read_text())
        return row if {"name", "settings", "code", "seconds", "peak_mb"} <= row.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def is_done(path: Path, settings: Sequence[str], code: str | None) -> bool:
    """Whether there is a row of these settings and this code. Of code that is not committed there
    may be two versions under one name, so its rows count as none."""
    row = read(path)
    if row is None or code is None or code.endswith("-dirty"):
        return False
    return row["settings"] == list(settings) and row["code"] == code


def run(
    contestants: Sequence[Contestant],
    *,
    rounds: int,
    clock: tuple[str, ...],
    results: Path,
    measure: Callable[[Contestant, tuple[str, ...]], Row] | None = None,
) -> int:
    """Measure what is missing and say how it went. The exit code: 1 if something failed."""
    measure = measure or measured
    two_cores()
    code = code_version()
    failed = 0
    for number in range(rounds):
        for contestant in contestants:
            path = path_of(results, contestant, number)
            settings = contestant.settings(clock)
            in_this_round = contestant.rounds is None or number < contestant.rounds
            if not in_this_round or is_done(path, settings, code):
                continue
            try:
                row = measure(contestant, clock)
            except (OSError, RuntimeError) as error:
                failed += 1
                print(f"{path.name}: failed: {error}", flush=True)
                continue
            write(
                path,
                {
                    "name": contestant.name,
                    "round": number,
                    "settings": settings,
                    "code": code,
                    **row,
                },
            )
            rate = f"{row['steps_per_s']:,.0f} steps/s, " if "steps_per_s" in row else ""
            print(
                f"{path.name}: {rate}{row['seconds']:.1f} s, {row['peak_mb']:,.0f} MB", flush=True
            )
    return int(failed > 0)


def measured(contestant: Contestant, clock: tuple[str, ...]) -> Row:
    """One measurement: what the contestant says, the process's seconds and its largest memory. A
    command runs once before, so that what it compiles is there."""
    command = contestant.command(clock)
    if contestant.is_command and contestant.rounds is None:
        _process(command)
    others = busy_share()
    text, seconds, peak_mb = _process(command)
    said: dict[str, Any] = {}
    if not contestant.is_command:
        said = json.loads(text.strip().splitlines()[-1])
        said["measured_s"] = said.pop("seconds")
    return {
        **said,
        "seconds": round(seconds, 3),
        "peak_mb": round(peak_mb, 1),
        "busy_before": round(others, 3),
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine(),
    }


def _process(command: list[str]) -> tuple[str, float, float]:
    """Run it in an empty folder: (standard output, seconds, peak resident memory in 10⁶ bytes).
    Raises `RuntimeError` if it fails."""
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/errors", "w+b") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        timer = threading.Timer(TIMEOUT, kill, (process.pid,))
        timer.start()
        try:
            with process.stdout as output:
                text = output.read().decode(errors="replace")
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            kill(process.pid)
            process.wait()
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        # Workers may outlive what started them.
        kill(process.pid)
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-2000:]
            raise RuntimeError(f"exit code {process.returncode}\n{said}")
    unit = 1 if platform.system() == "Darwin" else 1024
    return text, seconds, usage.ru_maxrss * unit / 1e6


def kill(pid: int) -> None:
    """End the process's whole session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def child_environment() -> dict[str, str]:
    """All that a measurement inherits: where programs and the cache of compiled ones are, the code
    of this checkout, and no flood of XLA's remarks."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def busy_share(seconds: float = 0.5) -> float:
    """Share of all cores' time that others take, while this process sleeps; 0 if unknown."""

    def times() -> list[int]:
        return [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]

    try:
        before = times()
        time.sleep(seconds)
        spent = [b - a for a, b in zip(before, times(), strict=True)]
    except OSError:
        return 0.0
    idle = spent[3] + spent[4]
    return 1.0 - idle / max(1, sum(spent))


def two_cores() -> None:
    """Stay on two cores, this process and all that it starts, where there are more."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def machine() -> dict[str, Any]:
    """What the rates depend on beside the code."""
    model = platform.processor()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(x for x in lines if x.startswith("model name")).partition(":")[2].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": model, "cores": cores, "system": platform.platform()}


def code_version() -> str | None:
    """The last commit that changed the code that is measured, marked "-dirty" if it was changed
    since; `None` if this is no checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments, "--", *CODE]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    try:
        dirty = "-dirty" if git("status", "--porcelain") else ""
        return git("log", "-1", "--format=%H") + dirty
    except (OSError, subprocess.CalledProcessError):
        return None
