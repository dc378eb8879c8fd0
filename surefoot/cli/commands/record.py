"""`surefoot record`: an agent's episodes, to imitate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from surefoot.cli.arguments import parse
from surefoot.cli.commands.episode_options import Play
from surefoot.cli.commands.messages import say


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(Play):
    """Play whole episodes with a trained agent and keep every transition, in one file."""

    out: Path | None = None
    """The file to write, if not RUN/demonstrations.safetensors."""


def main(arguments: Sequence[str]) -> int:
    """Record episodes, and return the exit code."""
    options = parse(Record, arguments, prog="surefoot record", positionals=["run"])
    from surefoot.agents import demonstrations
    from surefoot.envs.lookup import find_env
    from surefoot.runs.train import load

    agent = load(options.run)
    out = demonstrations.check_new_file(options.out or options.run / "demonstrations.safetensors")
    recorded = agent.record(
        options.episodes,
        options.seed,
        env=options.env and find_env(options.env),
        deterministic=not options.stochastic,
        max_episode_steps=options.max_episode_steps,
    )
    demonstrations.save(recorded, out)
    say(
        f"{options.episodes} episodes, {len(recorded):,} transitions, "
        f"mean return {recorded.returns.mean():.1f}: {out}"
    )
    return 0
