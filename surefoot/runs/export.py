"""`export`: an agent's policy as a file, with what the folder of its run says about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surefoot.agents.agent import Agent
from surefoot.agents.export.formats.provenance import Origin, encodable
from surefoot.agents.export.write import Exported, check_export, write
from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common.errors import UsageError, in_short
from surefoot.common.files.json_reading import fields, finite, integer, number, row
from surefoot.common.files.regular_file import lines, open_to_read
from surefoot.common.parameters import check_integer, check_path, check_seed
from surefoot.common.settings import MAX_EPISODE_STEPS
from surefoot.common.version import __version__
from surefoot.runs.display.summary import WINDOW
from surefoot.runs.folder import command_line, config_file


def export(
    agent: Agent,
    path: str | Path,
    *,
    format: str = "onnx",  # noqa: A002
    episodes: int = 20,
    seed: int = 1,
    env: EnvLike | None = None,
    run: str | Path | None = None,
    max_episode_steps: int = MAX_EPISODE_STEPS,
) -> Exported:
    """Write an agent's most probable actions as a file that runs without surefoot, and `card.md`
    beside it.

    Args:
        agent: the agent whose policy is written.
        path: a new file that ends in .onnx or .stablehlo.
        format: "onnx" or "stablehlo".
        episodes: how many are played for the card; none if the agent knows no environment.
        seed: of these episodes.
        env: what they are played on, if not what the agent was trained on.
        run: the run's folder, for the command and the returns of training.
        max_episode_steps: steps after which an episode on the host that has not ended is cut.

    Raises:
        UsageError: the file cannot be written there, or the policy has no such form; nothing has
            been written then.
    """
    if not isinstance(agent, Agent):
        raise UsageError(f"agent is {in_short(agent)}; accepted is an Agent: sf.load(path)")
    path, seed = check_path("path", path), check_seed(seed)
    episodes = check_integer("episodes", episodes, 0)
    check_export(path, format, episodes)
    origin = origin_of(agent, None if run is None else check_path("run", run))
    return write(
        agent,
        path,
        origin,
        kind=format,
        episodes=episodes,
        seed=seed,
        env=env,
        max_episode_steps=max_episode_steps,
    )


def origin_of(agent: Agent, run: Path | None) -> Origin:
    """What an agent's provenance tells, and the folder of its run if that is given. Raises
    `UsageError` if the folder's files cannot be read."""
    told = agent.provenance
    settings = fields(told.get("setup"))
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
        seed=integer(settings.get("seed")),
        planned=integer(told.get("steps")),
        steps=steps,
        run_steps=run_steps,
        hyperparameters=fields(told.get("hyperparameters")),
        settings=settings,
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
        with open_to_read(path) as file:
            for line in lines(file):
                if line.endswith(b"\n"):
                    after, ended = _progress(line)
                    if upto is not None and after > upto:
                        break
                    steps = after
                    returns += ended
                    del returns[:-WINDOW]
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
        there = (folder / config_file.NAME).is_file()
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from None
    return command_line.made_by(config_file.read(folder)) if there else []


def _text(value: Any) -> str | None:
    return encodable(value) if isinstance(value, str) else None
