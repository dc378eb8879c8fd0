"""Where an agent comes from, as far as it and its run's folder tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from surefoot import __version__
from surefoot.errors import UsageError
from surefoot.runs import configuration, repeating
from surefoot.runs.reading import fields, finite, integer, number, row
from surefoot.runs.summary import WINDOW as LAST

if TYPE_CHECKING:
    from surefoot.agent import Agent


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
    setup: dict[str, Any]
    versions: dict[str, Any]
    command: list[str]
    returns: list[float]
    """Raw returns of the last training episodes in these rows, at most `LAST`."""
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
        return {name: _encodable(str(value)) for name, value in found.items() if value is not None}


def origin_of(agent: Agent, run: Path | None) -> Origin:
    """What an agent's provenance tells, and the folder of its run if that is given. Raises
    `UsageError` if the folder's files cannot be read."""
    told = agent.provenance
    setup = fields(told.get("setup"))
    task = told.get("environment")
    if task is None and isinstance(agent.environment, str):
        task = agent.environment
    steps = integer(told.get("trained_steps"))
    if steps is None:
        # An older run's best agent has them there alone, and its last one nowhere.
        steps = integer(fields(told.get("evaluated")).get("steps"))
    run_steps, returns = (None, []) if run is None else _training(run / "metrics.jsonl", upto=steps)
    return Origin(
        task=_text(task),
        recipe=_text(told.get("algorithm")),
        seed=integer(setup.get("seed")),
        planned=integer(told.get("steps")),
        steps=steps,
        run_steps=run_steps,
        hyperparameters=fields(told.get("hyperparameters")),
        setup=setup,
        versions=fields(told.get("versions")),
        command=[] if run is None else _command(run),
        returns=returns,
        exported_by=__version__,
    )


def _training(path: Path, *, upto: int | None) -> tuple[int | None, list[float]]:
    """Steps and last returns of a run's metrics, of rows of at most `upto` steps if that is given;
    a last line that is not whole counts for nothing."""
    steps: int | None = None
    returns: list[float] = []
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    after, ended = _progress(line)
                    if upto is not None and after > upto:
                        break
                    steps = after
                    returns += ended
                    del returns[:-LAST]
    except FileNotFoundError:
        return None, []
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no intact file of metrics: {error!r}") from None
    return steps, returns


def _progress(line: bytes) -> tuple[int, list[float]]:
    """(steps, returns of the episodes that ended) of a row. Raises `ValueError` where it is
    none."""
    told = row(line) or {}
    steps, ended = finite(told.get("steps")), told.get("episode_returns")
    if steps is None or not isinstance(ended, list):
        raise ValueError(f"{line[:40]!r} is no row")
    returns = [x for x in map(number, ended) if x is not None]
    if len(returns) < len(ended):
        raise ValueError(f"episode_returns after {steps:,.0f} steps are no numbers")
    return int(steps), returns


def _command(folder: Path) -> list[str]:
    try:
        there = (folder / configuration.NAME).is_file()
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from None
    return repeating.made_by(configuration.read(folder)) if there else []


def _text(value: Any) -> str | None:
    return _encodable(value) if isinstance(value, str) else None


def _encodable(text: str) -> str:
    # JSON may hold half a character, which UTF-8 has none of.
    return text.encode(errors="replace").decode()
