"""How an exported policy was made, as sections of its card."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from collections.abc import Sequence
from typing import Any

from surefoot.agents.export.card.markdown import block, code, table
from surefoot.agents.export.formats.provenance import Origin

_WRITTEN_WITH = {"onnx": ("onnx",), "stablehlo": ("jax", "jaxlib")}


def training(origin: Origin) -> str:
    """By what, on what and how long it was trained, with the command that did it."""
    facts = [f"the recipe {code(origin.recipe)}"] if origin.recipe else []
    facts += [f"the task {code(origin.task)}"] if origin.task else []
    facts += [f"seed {origin.seed}"] if origin.seed is not None else []
    if origin.steps is not None:
        facts.append(f"{_of_planned(origin.steps, origin.planned)} environment steps")
    elif origin.run_steps is None and origin.planned is not None:
        facts.append(f"{origin.planned:,} environment steps planned")
    told = f"It was trained with {', '.join(facts)}." if facts else ""
    if origin.steps is None and origin.run_steps is not None:
        steps = _of_planned(origin.run_steps, origin.planned)
        told = f"{told} Its run tells of {steps} environment steps; which of them it was trained "
        told = f"{told}with is not known.".strip()
    if not told:
        return "Nothing is known of its training."
    command = block(shlex.join(origin.command), "sh") if origin.command else ""
    return "\n\n".join(part for part in (told, command) if part)


def _of_planned(steps: int, planned: int | None) -> str:
    # A run that was extended has more steps than were planned.
    more = planned is not None and steps < planned
    return f"{steps:,} of {planned:,} planned" if more else f"{steps:,}"


def settings(values: dict[str, Any]) -> str:
    """Hyperparameters by their names."""
    if not values:
        return "None are known."
    rows = [[code(name), code(_plain(value))] for name, value in values.items()]
    return table(["name", "value"], rows)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def versions(origin: Origin, kind: str) -> str:
    """Of the packages that it was trained and written with."""
    rows = [[code(name), code(version), "training"] for name, version in origin.versions.items()]
    rows.append([code("surefoot"), code(origin.exported_by), "export"])
    packages: Sequence[str] = _WRITTEN_WITH[kind]
    rows += [[code(name), code(importlib.metadata.version(name)), "export"] for name in packages]
    return table(["package", "version", "used for"], rows)
