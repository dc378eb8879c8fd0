"""What is kept of a run's folder: everything that its seed alone decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

#: Of `config.json`: what differs between two checkouts or machines.
_LEFT_OUT = ("versions", "command")


def outcome(run: Path) -> dict[str, Any]:
    """Rows, configuration and the agents' parameters."""
    config = json.loads((run / "config.json").read_text())
    found: dict[str, Any] = {
        "config": {name: value for name, value in config.items() if name not in _LEFT_OUT},
        "rows": rows(run / "metrics.jsonl"),
        "agent": arrays(run / "agent"),
    }
    if (run / "evaluations.jsonl").exists():
        found["evaluations"] = rows(run / "evaluations.jsonl")
        found["best"] = arrays(run / "best")
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines, without their seconds."""
    told = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "timing"} for row in told]


def arrays(agent: Path) -> dict[str, Any]:
    """Every array in an agent's folder: type, shape and numbers."""
    return {
        name: {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "values": array.reshape(-1).tolist(),
        }
        for path in sorted(agent.glob("*.safetensors"))
        for name, array in sorted(load_file(path).items())
    }
