"""Minari's datasets as demonstrations.

Minari keeps, for an episode of T actions, T + 1 observations: the last answers to no action, and is
left out.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from surefoot.agents.demonstrations.demonstrations import Demonstrations
from surefoot.common.errors import UsageError
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.observations import check_observation_space


def read_minari(dataset_id: str) -> Demonstrations:
    """All episodes of a dataset that is in Minari's local folder. Raises `UsageError` if Minari is
    not installed or the dataset is unknown, damaged, or of a space that is not supported."""
    source = f"minari:{dataset_id}"
    try:
        import minari

        dataset = minari.load_dataset(dataset_id)
    except ImportError as error:
        raise UsageError(
            f"{source} needs a package that is not installed ({error}): "
            "pip install 'surefoot[minari]'"
        ) from None
    except FileNotFoundError:
        raise UsageError(
            f"{source} is not among the local datasets; accepted are those that 'minari list "
            f"local' shows: get it with 'minari download {dataset_id}'"
        ) from None
    except _DAMAGED as error:
        raise UsageError(f"{source} is no intact Minari dataset: {error!r}") from None
    try:
        return _demonstrations(dataset)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    except _DAMAGED as error:
        raise UsageError(f"{source} is no intact Minari dataset: {error!r}") from None


_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError)


def _demonstrations(dataset: Any) -> Demonstrations:
    check_observation_space(dataset.observation_space)
    action_head(dataset.action_space)
    encoding = Encoding(dataset.observation_space)
    episodes = [
        (
            jax.tree.map(lambda x: x[:-1], encoding(episode.observations)),
            episode.actions,
            episode.rewards,
            episode.terminations,
            episode.truncations,
        )
        for episode in dataset.iterate_episodes()
    ]
    if not episodes:
        raise UsageError("the dataset is empty; accepted is one with an episode or more")
    obs, action, reward, terminated, truncated = jax.tree.map(
        lambda *parts: np.concatenate(parts), *episodes
    )
    return Demonstrations(
        obs=obs,
        action=action,
        reward=reward,
        terminated=terminated,
        truncated=truncated,
        observation_space=dataset.observation_space,
        action_space=dataset.action_space,
        environment=None if dataset.env_spec is None else dataset.env_spec.id,
    )
