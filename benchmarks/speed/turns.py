"""Few contestants, all alive at once, each at work for some seconds in turn while the others wait.

Rates of a shared machine drift by a third within minutes, and ratios of measurements made one
after the other with them. Here each share of a contestant is seconds away from one of every other,
and what slows them alike cancels: after some minutes, ratios of two versions of a loop are known to
a few percent. Loops that load the cores differently are slowed differently, and known less well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from benchmarks.speed.cases import CONTESTANTS
from benchmarks.speed.runner import TIMEOUT, child_environment, kill, two_cores
from benchmarks.speed.table import markdown
from surefoot.common.errors import UsageError

#: The program that runs a checkout's surefoot.
SUREFOOT = "with_surefoot.py"


class Share(NamedTuple):
    """What a contestant did in one turn at work."""

    steps: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Entrant:
    """A contestant as it is asked for."""

    text: str
    """`NAME`, `NAME OPTIONS` or either with `NAME@FOLDER`."""
    command: tuple[str, ...]
    folder: Path | None
    """The checkout whose surefoot it runs; this one by default."""

    @classmethod
    def of(cls, text: str) -> Entrant:
        """What a user wrote."""
        try:
            called, *more = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"contestant {text!r} ({error}); accepted is NAME OPTIONS") from None
        name, _, folder = called.partition("@")
        found = [x for x in CONTESTANTS if x.name == name and not x.is_command]
        if not found:
            accepted = ", ".join(sorted(x.name for x in CONTESTANTS if not x.is_command))
            raise UsageError(f"contestant {name!r}; accepted are {accepted}")
        if folder and found[0].program != SUREFOOT:
            raise UsageError(f"contestant {name!r} of folder {folder!r}; it runs no surefoot")
        if folder and not (Path(folder) / "surefoot" / "__init__.py").exists():
            raise UsageError(f"folder {folder!r}; accepted is a checkout of surefoot")
        checkout = Path(folder).resolve() if folder else None
        return cls(text, (*found[0].command(()), *more), checkout)


class Running(NamedTuple):
    """A contestant at work or waiting."""

    entrant: Entrant
    process: subprocess.Popen[str]
    errors: TextIO

    def go(self) -> None:
        """Let it work for a turn."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # Its end is told where it is listened to.
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def told(self) -> dict[str, float]:
        """What it says at the end of its warm-up or turn. Raises `RuntimeError` if it has ended, or
        says anything else, or nothing for `TIMEOUT` seconds."""
        assert self.process.stdout is not None
        timer = threading.Timer(TIMEOUT, kill, (self.process.pid,))
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            errors = self.errors.read().strip()[-2000:]
            raise RuntimeError(
                f"{self.entrant.text}: exit code {self.process.returncode}\n{errors}"
            )
        try:
            said: dict[str, float] = json.loads(line)
            share = said.keys() <= {"steps", "seconds"}
        except (ValueError, AttributeError):
            share = False
        if not share:
            raise RuntimeError(f"{self.entrant.text}: its training is over, or it said {line!r}")
        return said


def take_turns(
    entrants: Sequence[Entrant], *, cycles: int, seconds: float
) -> dict[str, list[Share]]:
    """`cycles` shares of at least `seconds` of each, in one order and then in the other. Raises
    `RuntimeError` where one fails."""
    two_cores()
    shares: dict[str, list[Share]] = {entrant.text: [] for entrant in entrants}
    with contextlib.ExitStack() as ending:
        every = []
        for entrant in entrants:
            running = ending.enter_context(_started(entrant, seconds))
            running.told()
            every.append(running)
        for cycle in range(cycles):
            for running in every if cycle % 2 == 0 else every[::-1]:
                running.go()
                shares[running.entrant.text].append(Share(**running.told()))
    return shares


@contextlib.contextmanager
def _started(entrant: Entrant, seconds: float) -> Iterator[Running]:
    """The contestant, which is ended with all that it started."""
    environment = child_environment()
    if entrant.folder is not None:
        environment["PYTHONPATH"] = str(entrant.folder)
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/errors", "w+") as errors:
        process = subprocess.Popen(
            [*entrant.command, "--share", f"{seconds:g}"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            yield Running(entrant, process, errors)
        finally:
            kill(process.pid)
            process.communicate()


class Comparison(NamedTuple):
    """A contestant beside the first."""

    steps_per_s: float
    ratio: float
    """Its rate over the first's, both over all shares."""
    low: float
    high: float
    """Where 95% of the ratios lie if cycles are drawn again with replacement, each by itself."""


def compare(shares: dict[str, list[Share]], *, draws: int = 2000) -> dict[str, Comparison]:
    """Every contestant beside the first of them."""
    steps = np.array([[share.steps for share in mine] for mine in shares.values()], float)
    seconds = np.array([[share.seconds for share in mine] for mine in shares.values()])
    cycles = steps.shape[1]
    drawn = np.random.default_rng(0).integers(cycles, size=(draws, cycles))

    def rates(chosen: np.ndarray) -> np.ndarray:
        return np.asarray(steps[:, chosen].sum(-1) / seconds[:, chosen].sum(-1))

    rate, again = rates(np.arange(cycles)), rates(drawn)
    low, high = np.percentile(again / again[0], (2.5, 97.5), axis=1)
    return {
        text: Comparison(float(rate[i]), float(rate[i] / rate[0]), float(low[i]), float(high[i]))
        for i, text in enumerate(shares)
    }


def table(compared: dict[str, Comparison]) -> str:
    """The comparison as Markdown."""
    return markdown(
        ("contestant", "steps/s", "ratio to the first", "95% of it"),
        [
            (
                f"`{text}`",
                f"{x.steps_per_s:,.0f}",
                f"**{x.ratio:.3f}**",
                f"{x.low:.3f} – {x.high:.3f}",
            )
            for text, x in compared.items()
        ],
    )
