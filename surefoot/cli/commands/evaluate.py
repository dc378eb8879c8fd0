"""`surefoot evaluate`: how good an agent is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.cli.arguments import parse
from surefoot.cli.commands.episode_options import Play
from surefoot.cli.commands.messages import say
from surefoot.common.fields import at_least

if TYPE_CHECKING:
    from surefoot.agents.playing.evaluation import Evaluation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(Play):
    """Play whole episodes with a trained agent and print their returns."""

    video: Path | None = None
    """A new .mp4 file that shows the first of them."""
    video_episodes: int = at_least(1, 1)
    """Episodes that the video shows, one after another."""
    render: bool = False
    """Show the episodes in a window, one after another."""


def main(arguments: Sequence[str]) -> int:
    """Evaluate an agent, and return the exit code."""
    options = parse(Evaluate, arguments, prog="surefoot evaluate", positionals=["run"])
    from surefoot.agents.video import UnfilmedError
    from surefoot.envs.lookup import find_env
    from surefoot.runs.train import load

    agent = load(options.run)
    try:
        result = agent.evaluate(
            options.episodes,
            options.seed,
            env=options.env and find_env(options.env),
            deterministic=not options.stochastic,
            max_episode_steps=options.max_episode_steps,
            video=options.video,
            video_episodes=options.video_episodes,
            render=options.render,
        )
    except UnfilmedError as error:
        _tell(error.evaluation)
        raise
    _tell(result)
    if options.video is not None:
        say(f"video: {options.video}")
    return 0


def _tell(result: Evaluation) -> None:
    say(str(result))  # Before what is said of the video.
