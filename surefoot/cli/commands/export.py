"""`surefoot export`: an agent's policy as a file that runs without surefoot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tyro

from surefoot.cli.arguments import parse
from surefoot.cli.commands.messages import make_console, print_line
from surefoot.common.errors import UsageError
from surefoot.common.fields import at_least, validate
from surefoot.common.settings import MAX_EPISODE_STEPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained agent's most probable actions as one file that takes the environment's
    observations and returns its actions, and a model card beside it."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or a saved agent's."""
    format: Literal["onnx", "stablehlo"] = "onnx"
    """onnx: for ONNX Runtime and others; stablehlo: for JAX."""
    out: Path | None = None
    """The new file, if not RUN/FORMAT/policy.FORMAT."""
    episodes: int = at_least(0, 20)
    """Episodes to play for the card; 0: none."""
    seed: int = at_least(0, 1, high=2**31 - 1)
    """Seed of these episodes."""
    max_episode_steps: int = at_least(1, MAX_EPISODE_STEPS)
    """Steps after which an episode on the host that has not ended is cut."""
    env: str | None = None
    """Gymnasium id or MODULE:NAME to play them on, if not the id that the agent was trained on."""

    def __post_init__(self) -> None:
        validate(self)


def main(arguments: Sequence[str]) -> int:
    """Export a policy, and return the exit code."""
    options = parse(Export, arguments, prog="surefoot export", positionals=["run"])
    from surefoot.agents.export.formats.ports import interface
    from surefoot.agents.export.write import check_export
    from surefoot.envs.lookup import find_env
    from surefoot.runs.export import export
    from surefoot.runs.train import load

    agent = load(options.run)
    out = options.out or _default(options.run, options.format)
    check_export(out, options.format, options.episodes)
    written = export(
        agent,
        out,
        format=options.format,
        episodes=options.episodes,
        seed=options.seed,
        env=options.env and find_env(options.env),
        run=_run_of(options.run),
        max_episode_steps=options.max_episode_steps,
    )
    found = interface(agent)
    taken, given = (", ".join(map(str, ports)) for ports in (found.inputs, found.outputs))
    console = make_console()
    print_line(console, f"policy: {written.policy}   ({taken} → {given})")
    played = f"{written.evaluated} episodes" if written.evaluated else "no episode"
    print_line(console, f"card: {written.card}   ({played} played for it)")
    return 0


def _default(run: Path, kind: str) -> Path:
    """Where the policy goes if nothing is said: in the run's folder, and never elsewhere."""
    folder = run / kind
    if folder.is_symlink():
        raise UsageError(f"{folder} is a link: pass --out and a new file")
    return folder / f"policy.{kind}"


def _run_of(agent: Path) -> Path:
    """The folder of the run that an agent is of: its own, or the one around RUN/best and
    RUN/agent."""
    from surefoot.runs.folder import config_file

    where = agent.absolute()
    inside = where.name in ("best", "agent") and (where.parent / config_file.NAME).is_file()
    return where.parent if inside else agent
