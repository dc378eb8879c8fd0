"""Where an exported policy comes from, as its file and its card say it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Origin(NamedTuple):
    """What is known of an agent's training; `None` or empty where it is not."""

    task: str | None
    """Name of the environment."""
    recipe: str | None
    seed: int | None
    planned: int | None
    """Environment steps that the run was to take."""
    steps: int | None
    """Environment steps that the agent was trained with, if its provenance tells them."""
    run_steps: int | None
    """Those that the last row of the run's metrics tells of, of rows that are not later than the
    agent."""
    hyperparameters: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, Any]
    command: list[str]
    returns: list[float]
    """Raw returns of the last training episodes in these rows, at most a hundred."""
    exported_by: str
    """Version of surefoot that writes the file."""

    def facts(self) -> dict[str, str]:
        """What is known, as text by name."""
        found = {
            "task": self.task,
            "recipe": self.recipe,
            "seed": self.seed,
            "steps": self.steps,
            "planned_steps": self.planned if self.steps is None else None,
            "surefoot_version": self.versions.get("surefoot"),
            "exported_by_surefoot": self.exported_by,
        }
        return {name: encodable(str(value)) for name, value in found.items() if value is not None}


def encodable(text: str) -> str:
    """The text as UTF-8 can hold it: JSON may have half a character in it."""
    return text.encode(errors="replace").decode()
