"""What, beside arrays, defines an agent's networks, and what an agent can be played on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from jaxtyping import PRNGKeyArray

from surefoot.core.data.normalization import NoNormalizer, Normalizer, observation_normalizer
from surefoot.core.networks import Policy
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.actions import ActionMapName
from surefoot.envs.spaces.observations import check_observation_space, observation_size
from surefoot.envs.spaces.space_json import check_restorable

#: What an agent can be evaluated on: a Gymnasium id, a callable that makes an environment, a vector
#: environment, or a device environment.
EnvLike = str | Callable[[], gymnasium.Env] | VectorEnv | DeviceEnv


@dataclasses.dataclass(frozen=True)
class PolicySpec:
    """What, beside arrays, defines an agent's networks; kept in the manifest. Raises
    `UsageError` for a space that could not be read from there."""

    observation_space: spaces.Space
    action_space: spaces.Space
    hidden: tuple[int, ...]
    log_std: float
    state_dependent_std: bool
    action_map: ActionMapName
    normalize_observations: bool

    def __post_init__(self) -> None:
        check_observation_space(self.observation_space)
        action_head(self.action_space)
        check_restorable(self.observation_space, "observation")
        check_restorable(self.action_space, "action")

    def policy(self, key: PRNGKeyArray) -> Policy:
        """A policy with initial weights."""
        head = action_head(
            self.action_space,
            log_std=self.log_std,
            state_dependent_std=self.state_dependent_std,
        )
        return Policy(key, observation_size(self.observation_space), head, hidden=self.hidden)

    def normalizer(self) -> Normalizer:
        """A normalizer that has seen nothing."""
        if self.normalize_observations:
            return observation_normalizer(observation_size(self.observation_space))
        return NoNormalizer()


def unknown_environment(provenance: Mapping[str, Any]) -> str:
    """Why an agent of this provenance can be played on nothing unless it is told, for a user."""
    name = provenance.get("environment")
    if name is None:
        why = "knows no environment"
    elif name in gymnasium.registry:
        why = f"was trained on {name} as a callable of one's own made it"
    else:
        why = f"was trained on {name}, which is no Gymnasium id"
    return f"{why}: pass --env ID or MODULE:NAME, or env= in Python"
