"""What, beside arrays, defines an agent's networks, and what an agent can be played on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from jaxtyping import PRNGKeyArray

from surefoot.common.errors import UsageError
from surefoot.common.settings import ActionMasks
from surefoot.core.data.normalization import NoNormalizer, Normalizer, observation_normalizer
from surefoot.core.networks import Critic, Head, Network, Policy
from surefoot.core.networks.architecture import Architecture
from surefoot.core.networks.policy_and_critic import CRITIC_GAIN, POLICY_GAIN
from surefoot.core.networks.selecting import Selecting
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.env_ids import preprocessed
from surefoot.envs.host.atari import DEFAULT, Preprocessing
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.actions import (
    ActionMap,
    ActionMapName,
    DistributionName,
    action_map,
)
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.masks import (
    ACTION_MASK,
    OBSERVATION,
    any_valid,
    check_mask,
    flat_mask,
    has_mask,
    mask_size,
    with_mask,
)
from surefoot.envs.spaces.observations import check_observation_space, leading_dimensions
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
    network: Architecture
    log_std: float
    state_dependent_std: bool
    action_map: ActionMapName
    normalize_observations: bool
    action_distribution: DistributionName = "gaussian"
    """That of Box actions."""
    action_masks: ActionMasks = "none"
    """Which masks of valid actions the environment's observations were given."""
    policy_keys: tuple[str, ...] = ()
    """Parts of a Dict observation that the policy sees; of none, all."""
    preprocessing: Preprocessing = DEFAULT
    """What becomes of the frames of Atari games."""

    def __post_init__(self) -> None:
        check_observation_space(self.observation_space)
        self.head()
        self.to_environment()
        check_mask(self.observation_space, self.action_space)
        check_restorable(self.observation_space, "observation")
        check_restorable(self.action_space, "action")

    @property
    def masked_outside(self) -> bool:
        """Whether the environment gives its masks beside its observations."""
        return self.action_masks != "none" and has_mask(self.observation_space)

    def with_masks(self, observation: Any, masks: Any) -> Any:
        """An observation, or a batch of them, as the environment gives it, with a mask for each;
        without, every action is valid. One that has its mask stays as it is. Raises `UsageError`
        where actions have no masks, or these do not fit."""
        size = mask_size(self.action_space)
        space = self.observation_space
        if size is None or not isinstance(space, spaces.Dict) or not has_mask(space):
            raise UsageError(
                "action_masks was given; accepted by this agent is None: it was trained without"
            )
        own = isinstance(observation, dict) and ACTION_MASK in observation
        if own and masks is None:
            return observation
        inner = dict(observation) if isinstance(observation, dict) else {OBSERVATION: observation}
        inner.pop(ACTION_MASK, None)
        seen = spaces.Dict({k: v for k, v in space.items() if k != ACTION_MASK})
        leading = leading_dimensions(seen, inner)
        if leading is None:
            return with_mask(inner, np.ones(size, np.int8))
        if masks is None:
            given = np.ones((*leading, size), bool)
        else:
            given = flat_mask(masks) if not leading else np.asarray([*map(flat_mask, masks)])
        if given.size != np.prod((*leading, size)):
            raise UsageError(
                f"action_masks has the shape {given.shape}; accepted is {(*leading, size)}: a flag "
                "for each value of each choice"
            )
        if not any_valid(given.reshape(*leading, size).astype(bool), self.action_space).all():
            raise UsageError(
                "action_masks has no valid action; accepted is one valid value of each choice, or "
                "more"
            )
        shape = (*leading, *(space[ACTION_MASK].shape or ()))
        return with_mask(inner, given.reshape(shape).astype(bool).astype(np.int8))

    def source(self, env: EnvLike) -> EnvLike:
        """What makes the environment as the policy sees it, from what it is called by."""
        made: EnvLike = preprocessed(env, self.preprocessing)
        return made

    def policy(self, key: PRNGKeyArray) -> Policy:
        """A policy with initial weights."""
        head = self.head()
        return Policy(self._network(key, self.policy_keys, head.size, POLICY_GAIN), head)

    def head(self) -> Head:
        """What reads the network's output as a distribution."""
        return action_head(
            self.action_space,
            log_std=self.log_std,
            state_dependent_std=self.state_dependent_std,
            distribution=self.action_distribution,
        )

    def to_environment(self) -> ActionMap:
        """What makes the environment's actions of raw ones."""
        return action_map(self.action_space, self.action_map, self.action_distribution)

    def critic(self, key: PRNGKeyArray, network: Architecture, keys: tuple[str, ...]) -> Critic:
        """A critic of that architecture with initial weights, which sees these parts."""
        spec = dataclasses.replace(self, network=network)
        return Critic(spec._network(key, keys, 1, CRITIC_GAIN))

    def _network(
        self, key: PRNGKeyArray, keys: tuple[str, ...], outputs: int, gain: float
    ) -> Network:
        encoding = Encoding(self.observation_space)
        if not keys:
            return self.network.build(key, encoding.spec, outputs, gain=gain)
        selection = encoding.selection(keys)
        inner = self.network.build(key, selection.spec(encoding.spec), outputs, gain=gain)
        return Selecting(inner, selection)

    def normalizer(self) -> Normalizer:
        """A normalizer that has seen nothing."""
        size = Encoding(self.observation_space).size
        return (
            observation_normalizer(size) if self.normalize_observations and size else NoNormalizer()
        )


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
