"""What can be set, as plain dataclasses that import no JAX: the command line's options are these
fields, and its help their docstrings.

A field says what it accepts in its metadata, `validate` checks a whole dataclass, and a mistake is
one line that names the value, what is accepted, and the mend.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import typing
from typing import Any, Literal

from surefoot.errors import UsageError, closest

Backend = Literal["host", "envpool", "device"]
Vectorization = Literal["sync", "thread", "async"]
Log = Literal["csv", "tensorboard", "wandb"]


@dataclasses.dataclass(frozen=True)
class Interval:
    """The numbers that a field accepts."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    integer: bool = False

    def __contains__(self, value: Any) -> bool:
        kind: Any = numbers.Integral if self.integer else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            return False
        above: bool = value > self.low if self.open_low else value >= self.low
        return above and value <= self.high and -math.inf < value < math.inf

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a finite number"
        digits = ",.0f" if self.integer else "g"
        bounds = []
        if self.low > -math.inf:
            bounds.append(f"{'>' if self.open_low else '>='} {self.low:{digits}}")
        if self.high < math.inf:
            bounds.append(f"<= {self.high:{digits}}")
        return f"{kind} {' and '.join(bounds)}".strip()


def positive(default: float) -> Any:
    """A field that takes any finite number above 0."""
    return _field(default, Interval(0.0, open_low=True))


def nonnegative(default: float) -> Any:
    """A field that takes 0 or any finite number above."""
    return _field(default, Interval(0.0))


def fraction(default: float, *, zero: bool = True) -> Any:
    """A field that takes a number in [0, 1], or in (0, 1]."""
    return _field(default, Interval(0.0, 1.0, open_low=not zero))


def at_least(low: int, default: int, *, high: float = math.inf) -> Any:
    """A field that takes an integer from `low` up, to `high` if given."""
    return _field(default, Interval(low, high, integer=True))


def number(default: float, low: float, high: float) -> Any:
    """A field that takes a number between two bounds."""
    return _field(default, Interval(low, high))


def _field(default: Any, accepts: Interval) -> Any:
    return dataclasses.field(default=default, metadata={"accepts": accepts})


def validate(config: Any) -> None:
    """Raise `UsageError` for the first field whose value is not accepted."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        accepts = field.metadata.get("accepts")
        if accepts is not None and value not in accepts:
            raise UsageError(f"{field.name} is {value!r}; accepted is {accepts}")
        if accepts is not None and not isinstance(value, int | float):
            # NumPy's numbers are welcome, but what is recorded is plain.
            plain = int(value) if accepts.integer else float(value)
            object.__setattr__(config, field.name, plain)
        hint = hints[field.name]
        if typing.get_origin(hint) is Literal and value not in typing.get_args(hint):
            choices = ", ".join(map(repr, typing.get_args(hint)))
            raise UsageError(f"{field.name} is {value!r}; accepted are {choices}")
        if hint is bool and not isinstance(value, bool):
            raise UsageError(f"{field.name} is {value!r}; accepted are True and False")
        if hint is str and isinstance(value, os.PathLike):
            object.__setattr__(config, field.name, os.fspath(value))
        elif hint is str and not isinstance(value, str):
            raise UsageError(
                f"{field.name} is a {type(value).__name__}; accepted is a path or text"
            )


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise `UsageError` where a field lies outside the bounds that two others give it."""
    if not low <= value <= high:
        raise UsageError(
            f"{name} is {value:g}; accepted is a number from min_{name} to max_{name}, here "
            f"{low:g} to {high:g}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What a run is, beside its method."""

    # The step counter is a 32-bit integer on every device.
    steps: int = at_least(1, 1_000_000, high=2**31 - 1)
    """Environment steps at most; rounded down to whole batches."""
    seed: int = at_least(0, 0, high=2**32 - 1)
    """Seed of everything random in the run."""
    backend: Backend = "host"
    """host: Gymnasium environments; envpool: EnvPool's, in C++; device: environments in JAX,
    compiled with the update."""
    vectorization: Vectorization = "sync"
    """sync: Gymnasium environments step in this process; thread: in two threads of it, one half
    while the policy acts for the other; async: in a worker process each."""
    env_timeout: float = nonnegative(60.0)
    """Seconds that a step in a worker process (async) may take before its environment is restarted;
    0: any time. A step in this process (sync, thread) cannot be interrupted."""
    max_env_restarts: int = at_least(0, 10)
    """Restarts of worker processes (async) that died or took too long, in the whole run."""
    env_threads: int = at_least(0, 0)
    """Threads of EnvPool's pool; 0: as many as there are cores."""
    devices: int = at_least(1, 1)
    """Devices that environments in JAX, and what is learned from them, are shared out over."""
    action_map: Literal["affine", "clip"] = "affine"
    """How a Box action's raw sample meets its bounds: [-1, 1] mapped to them, or clipped only."""
    checkpoint_every: float = nonnegative(60.0)
    """Seconds between two checkpoints of a run that has a folder; 0: after every iteration."""
    evaluate_every: int = at_least(0, 0, high=2**31 - 1)
    """Environment steps between two evaluations of a run that has a folder, by whole deterministic
    episodes on environments of their own; 0: none."""
    evaluation_episodes: int = at_least(1, 10)
    """Episodes of an evaluation."""
    log: tuple[Log, ...] = ()
    """Where rows go beside metrics.jsonl: csv, tensorboard, wandb."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of policy and critic."""
    log_std: float = number(-0.5, -5.0, 5.0)
    """Initial log standard deviation of Gaussian policies; bounds are at ±1 by the action map."""
    state_dependent_std: bool = False
    """Let the log standard deviation of Gaussian policies depend on the state."""
    normalize_observations: bool = True
    """Standardize observations by their running mean and deviation."""
    scale_rewards: bool = True
    """Divide the rewards that the learner sees by the running deviation of the return."""

    def __post_init__(self) -> None:
        validate(self)
        widths: Any = self.hidden
        if isinstance(widths, list):
            widths = tuple(widths)
            object.__setattr__(self, "hidden", widths)
        self._check_log()
        width = Interval(1, 65_536, integer=True)
        if not isinstance(widths, tuple) or any(w not in width for w in widths):
            raise UsageError(
                f"hidden is {self.hidden!r}; accepted is a tuple of integers from 1 to 65,536, "
                "(64, 64) for instance"
            )

    def _check_log(self) -> None:
        log: Any = self.log
        accepted = typing.get_args(Log)
        names = tuple(log) if isinstance(log, list | tuple) else (log,)
        for name in names:
            if name not in accepted:
                near = closest(name, accepted) if isinstance(name, str) else ""
                raise UsageError(
                    f"log is {name!r}; accepted are {', '.join(map(repr, accepted))}.{near}"
                )
        object.__setattr__(self, "log", tuple(dict.fromkeys(names)))
