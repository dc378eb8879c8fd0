"""Who runs, with which settings, and what is compared with what.

A contestant is a program and its options; its hyperparameters stand in its file in `contestants/`.
A case is a ratio of two rates with the least it should be, a limit is a number with the most it
should be.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "contestants"

Environment = Literal["surefoot", "peers", "rejax"]
INTERPRETERS: dict[Environment, Path] = {
    "surefoot": Path(sys.executable),
    "peers": ROOT / ".venv-peers" / "bin" / "python",
    "rejax": ROOT / ".venv-rejax" / "bin" / "python",
}


@dataclasses.dataclass(frozen=True)
class Contestant:
    """What is measured as a process of its own."""

    name: str
    environment: Environment
    """The virtual environment it runs in."""
    program: str
    """A file in `contestants/`, or the command `surefoot`, which is timed as a whole."""
    options: tuple[str, ...]
    rounds: int | None = None
    """Rounds of the run that it takes part in; by default all."""

    @property
    def is_command(self) -> bool:
        """Whether the whole command is measured, with its start and compilation."""
        return self.program == "surefoot"

    def command(self, clock: tuple[str, ...]) -> list[str]:
        """Its command line."""
        interpreter = INTERPRETERS[self.environment]
        if self.is_command:
            return [str(interpreter.with_name("surefoot")), *self.options]
        return [str(interpreter), str(SCRIPTS / self.program), *self.options, *clock]

    def settings(self, clock: tuple[str, ...]) -> list[str]:
        """What tells its measurements from others of the same name."""
        return [self.program, *self.options, *(() if self.is_command else clock)]


def _surefoot(name: str, options: str) -> Contestant:
    return Contestant(f"surefoot-{name}", "surefoot", "with_surefoot.py", tuple(options.split()))


def _sb3(name: str, options: str) -> Contestant:
    return Contestant(f"sb3-{name}", "peers", "with_sb3.py", tuple(options.split()))


def _tianshou(name: str, options: str) -> Contestant:
    return Contestant(f"tianshou-{name}", "peers", "with_tianshou.py", tuple(options.split()))


def _stepping(name: str, options: str) -> Contestant:
    return Contestant(f"stepping-{name}", "surefoot", "stepping.py", tuple(options.split()))


def _command(name: str, options: str, rounds: int | None = None) -> Contestant:
    return Contestant(f"command-{name}", "surefoot", "surefoot", tuple(options.split()), rounds)


VARIANTS = [(vec, threads) for vec in ("dummy", "subproc") for threads in (1, 2)]
DEVICE = "--algorithm ppo_clip --env CartPole-v1 --backend device --num-envs 8 --horizon 256"

CONTESTANTS = [
    *(
        contestant
        for name in ("trpo", "ppo_clip")
        for contestant in (
            _surefoot(f"{name}-gymnasium", f"--algorithm {name} --num-envs 8 --horizon 256"),
            *(
                _sb3(
                    f"{name}-{vec}-{threads}",
                    f"--algorithm {name} --vec {vec} --threads {threads} --num-envs 8 "
                    "--horizon 256",
                )
                for vec, threads in VARIANTS
            ),
            _sb3(
                f"{name}-dummy-64x32",
                f"--algorithm {name} --vec dummy --threads 1 --num-envs 64 --horizon 32",
            ),
            _surefoot(
                f"{name}-envpool-64x32",
                f"--algorithm {name} --backend envpool --num-envs 64 --horizon 32",
            ),
            _surefoot(
                f"{name}-envpool-8x256",
                f"--algorithm {name} --backend envpool --num-envs 8 --horizon 256",
            ),
            _tianshou(f"{name}", f"--algorithm {name} --vec dummy --threads 1"),
        )
    ),
    _stepping("gymnasium-8", "--kind gymnasium --num-envs 8"),
    _stepping("envpool-64", "--kind envpool --num-envs 64"),
    _stepping("two-pools-64", "--kind two-pools --num-envs 64"),
    _stepping("envpool-8", "--kind envpool --num-envs 8"),
    _stepping("device-8", "--kind device --env CartPole-v1 --num-envs 8"),
    _surefoot("ppo_clip-device", DEVICE),
    _surefoot("ppo_clip-device-16-seeds", f"{DEVICE} --seeds 16"),
    Contestant("rejax-ppo", "rejax", "with_rejax.py", ("--num-envs", "8", "--horizon", "256")),
    _sb3("ppo_clip-cartpole", "--algorithm ppo_clip --env CartPole-v1 --vec dummy --threads 1"),
    _command("cartpole", "train trpo CartPole-v1 --steps 4096"),
    _command("cheetah", "train trpo HalfCheetah-v5", rounds=1),
]


@dataclasses.dataclass(frozen=True)
class Case:
    """A ratio of two medians: of `ours`, and of the fastest of `theirs`."""

    text: str
    ours: str
    whose: str
    """What `theirs` are called."""
    theirs: tuple[str, ...]
    stepping: str
    """Who tells the raw rate of the same environments."""
    at_least: float | None
    """`None`: for information."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """A number that is no rate."""

    text: str
    contestant: str
    quantity: Literal["seconds", "peak_mb"]
    unit: str
    at_most: float


def _best(algorithm: str) -> tuple[str, ...]:
    return tuple(f"sb3-{algorithm}-{vec}-{threads}" for vec, threads in VARIANTS)


SYNC = "sb3-{}-dummy-1", "sb3-{}-dummy-2"
CASES = [
    case
    for name, title, peer, least in (
        ("trpo", "TRPO", "SB3-contrib", (2.2, 5.0, 0.62, 3.5)),
        ("ppo_clip", "PPO-Clip", "SB3", (4.0, 8.0, 0.55, 6.0)),
    )
    for case in (
        Case(
            f"{title}, Gymnasium in this process, 8 × 256",
            f"surefoot-{name}-gymnasium",
            f"{peer} in its process",
            tuple(text.format(name) for text in SYNC),
            "stepping-gymnasium-8",
            least[0],
        ),
        Case(
            f"{title}, EnvPool, 64 × 32",
            f"surefoot-{name}-envpool-64x32",
            f"{peer}'s best",
            _best(name),
            "stepping-envpool-64",
            least[1],
        ),
        Case(
            f"{title}, EnvPool, 64 × 32",
            f"surefoot-{name}-envpool-64x32",
            f"{peer} with 64 environments in its process",
            (f"sb3-{name}-dummy-64x32",),
            "stepping-envpool-64",
            None,
        ),
        Case(
            f"{title}, EnvPool, 64 × 32",
            f"surefoot-{name}-envpool-64x32",
            "the environments alone",
            ("stepping-envpool-64",),
            "stepping-envpool-64",
            least[2],
        ),
        Case(
            f"{title}, EnvPool, 8 × 256",
            f"surefoot-{name}-envpool-8x256",
            f"{peer}'s best",
            _best(name),
            "stepping-envpool-8",
            least[3],
        ),
        Case(
            f"{title}, Gymnasium in this process, 8 × 256",
            f"surefoot-{name}-gymnasium",
            "Tianshou",
            (f"tianshou-{name}",),
            "stepping-gymnasium-8",
            None,
        ),
    )
] + [
    Case(
        "PPO-Clip, CartPole-v1 on the device, 8 × 256",
        "surefoot-ppo_clip-device",
        "rejax",
        ("rejax-ppo",),
        "stepping-device-8",
        1.2,
    ),
    Case(
        "the same, 16 seeds at once",
        "surefoot-ppo_clip-device-16-seeds",
        "one seed",
        ("surefoot-ppo_clip-device",),
        "stepping-device-8",
        1.5,
    ),
]

LIMITS = [
    Limit("`surefoot train trpo HalfCheetah-v5`", "command-cheetah", "peak_mb", "MB", 900),
    Limit(
        "`surefoot train trpo CartPole-v1 --steps 4096`, compiled before",
        "command-cartpole",
        "seconds",
        "s",
        6,
    ),
]
