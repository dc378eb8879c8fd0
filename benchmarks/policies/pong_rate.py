"""Steps a second of whole training loops on Pong: surefoot's and Stable-Baselines3's PPO, with the
same networks, numbers and wrappers, at work in turn.

A row has every share of every contestant, so that its ratios can be computed again."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning.rows import write
from benchmarks.speed.cases import SCRIPTS
from benchmarks.speed.runner import code_version, machine
from benchmarks.speed.turns import Entrant, compare, table, take_turns
from surefoot.common.errors import UsageError

#: (name, program, options). The first is what the others are compared with.
CONTESTANTS = (
    ("surefoot-sync", "pong_surefoot.py", "--vec sync"),
    ("surefoot-async", "pong_surefoot.py", "--vec async"),
    ("sb3-dummy-1", "pong_sb3.py", "--vec dummy --threads 1"),
    ("sb3-dummy-2", "pong_sb3.py", "--vec dummy --threads 2"),
    ("sb3-subproc-1", "pong_sb3.py", "--vec subproc --threads 1"),
    ("sb3-subproc-2", "pong_sb3.py", "--vec subproc --threads 2"),
)


def entrants(names: Sequence[str], peers: Path) -> list[Entrant]:
    """Those of these names. Raises `UsageError` where the peers' environment is not there."""
    chosen = [row for row in CONTESTANTS if row[0] in names]
    if any(program == "pong_sb3.py" for _, program, _ in chosen) and not peers.exists():
        raise UsageError(
            f"{peers} is no Python; accepted is that of an environment with "
            "benchmarks/speed/requirements-peers.txt: make .venv-peers/.done, or pass --peers"
        )
    pythons = {"pong_surefoot.py": sys.executable, "pong_sb3.py": str(peers)}
    return [
        Entrant(name, (pythons[program], str(SCRIPTS / program), *options.split()), None)
        for name, program, options in chosen
    ]


def measure(names: Sequence[str], peers: Path, *, cycles: int, seconds: float) -> dict[str, Any]:
    """A row: every share, and what was compared."""
    shares = take_turns(entrants(names, peers), cycles=cycles, seconds=seconds)
    compared = compare(shares)
    print(table(compared), end="")
    return {
        "benchmark": "pong-rate",
        "code": code_version(),
        "machine": machine(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "cycles": cycles,
        "seconds": seconds,
        "compared": {name: one._asdict() for name, one in compared.items()},
        "shares": {name: [list(one) for one in mine] for name, mine in shares.items()},
    }


def run(names: Sequence[str], results: Path, peers: Path, *, cycles: int, seconds: float) -> int:
    """Measure, and leave a row beside those of before."""
    row = measure(names, peers, cycles=cycles, seconds=seconds)
    write(results / f"pong-rate-{time.strftime('%Y%m%d-%H%M%S')}.json", row)
    return 0
