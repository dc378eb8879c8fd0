"""What commands that play episodes accept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from surefoot.common.fields import at_least, validate
from surefoot.common.settings import MAX_EPISODE_STEPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Play:
    """Play whole episodes with a trained agent."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or a saved agent's."""
    episodes: int = at_least(1, 20)
    """Episodes to play."""
    seed: int = at_least(0, 1, high=2**31 - 1)
    """Seed of the environments."""
    env: str | None = None
    """Gymnasium id or MODULE:NAME to play on, if not the id that the agent was trained on."""
    max_episode_steps: int = at_least(1, MAX_EPISODE_STEPS)
    """Steps after which an episode on the host that has not ended is cut."""
    stochastic: bool = False
    """Sample actions instead of taking the most probable one."""

    def __post_init__(self) -> None:
        validate(self)
