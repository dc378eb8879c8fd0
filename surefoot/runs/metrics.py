"""The metrics sink: `metrics.jsonl`, one JSON object an iteration."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from surefoot.loop import Iteration


def as_row(iteration: Iteration) -> dict[str, Any]:
    """An iteration as JSON: every diagnostic, the ended episodes, and `timing`, which alone differs
    between two runs of the same seed. Numbers that are not finite become strings ("nan", "inf"),
    which JSON can hold and a reader can see."""
    return {
        "iteration": iteration.number,
        "steps": iteration.steps,
        **{name: _finite(value) for name, value in iteration.metrics.items()},
        "episode_returns": [_finite(float(x)) for x in iteration.episode_returns],
        "episode_lengths": [int(x) for x in iteration.episode_lengths],
        "env_restarts": len(iteration.notices),
        "timing": iteration.timing._asdict(),
    }


def _finite(value: float | bool | int) -> float | bool | int | str:
    return value if math.isfinite(value) else str(value)


class JsonLines:
    """Appends one row an iteration to a file, whole lines at a time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("x", encoding="utf-8")

    def write(self, iteration: Iteration) -> None:
        """Append the iteration's row and hand it to the operating system."""
        self._file.write(json.dumps(as_row(iteration), allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
