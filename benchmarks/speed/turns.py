"""Few contestants, all alive at once, each at work for some seconds in turn while the others wait.

Rates of a shared machine drift by a third within minutes, and so do ratios of measurements made one
after the other. Here each turn of a contestant is seconds away from one of every other, and what
drifts cancels: after some minutes, ratios of two loops are known to a few percent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from benchmarks.speed.cases import CONTESTANTS
from benchmarks.speed.runner import child_environment, kill, two_cores
from benchmarks.speed.table import markdown
from surefoot.errors import UsageError


class Turn(NamedTuple):
    """What a contestant did in one turn."""

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
        """What it says at the end of its warm-up or turn. Raises `RuntimeError` if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            said: dict[str, float] = json.loads(line)
            return said
        self.process.wait()
        self.errors.seek(0)
        said_last = self.errors.read().strip()[-2000:]
        raise RuntimeError(f"{self.entrant.text}: exit code {self.process.returncode}\n{said_last}")


def take_turns(
    entrants: Sequence[Entrant], *, cycles: int, seconds: float
) -> dict[str, list[Turn]]:
    """`cycles` turns of at least `seconds` of each, in one order and then in the other. Raises
    `RuntimeError` where one fails."""
    two_cores()
    turns: dict[str, list[Turn]] = {entrant.text: [] for entrant in entrants}
    with contextlib.ExitStack() as ending:
        every = []
        for entrant in entrants:
            running = ending.enter_context(_started(entrant, seconds))
            running.told()
            every.append(running)
        for cycle in range(cycles):
            for running in every if cycle % 2 == 0 else every[::-1]:
                running.go()
                turns[running.entrant.text].append(Turn(**running.told()))
    return turns


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
    """Its rate over the first's, both over all turns."""
    low: float
    high: float
    """Where 95% of the ratios lie if cycles are drawn again with replacement."""


def compare(turns: dict[str, list[Turn]], *, draws: int = 2000) -> dict[str, Comparison]:
    """Every contestant beside the first of them."""
    steps = np.array([[turn.steps for turn in mine] for mine in turns.values()], float)
    seconds = np.array([[turn.seconds for turn in mine] for mine in turns.values()])
    cycles = steps.shape[1]
    drawn = np.random.default_rng(0).integers(cycles, size=(draws, cycles))

    def rates(chosen: np.ndarray) -> np.ndarray:
        return np.asarray(steps[:, chosen].sum(-1) / seconds[:, chosen].sum(-1))

    rate, again = rates(np.arange(cycles)), rates(drawn)
    low, high = np.percentile(again / again[0], (2.5, 97.5), axis=1)
    return {
        text: Comparison(float(rate[i]), float(rate[i] / rate[0]), float(low[i]), float(high[i]))
        for i, text in enumerate(turns)
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
