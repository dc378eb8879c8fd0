"""Recording: the transitions of whole episodes that an agent plays."""

from __future__ import annotations

import gymnasium
import numpy as np

from surefoot.agents.demonstrations.demonstrations import Demonstrations
from surefoot.agents.playing.episodes import Actor, play_on_device, play_on_host
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv


def record(actor: Actor, env: HostEnv | DeviceEnv, *, episodes: int, seed: int) -> Demonstrations:
    """Play `episodes` episodes and keep every transition: on the host episode after episode in the
    order in which they end, on the device in that of the copies. Raises `UsageError` if an
    observation or action is not finite."""
    if isinstance(env, DeviceEnv):
        counts, kept = play_on_device(
            actor,
            env,
            lambda state, action, row: (
                state.obs,
                action,
                row.reward,
                row.terminated,
                row.truncated,
            ),
            episodes=episodes,
            seed=seed,
        )
        columns = [array.swapaxes(0, 1)[counts.T] for array in kept]
    else:
        playing: list[list[tuple]] = [[] for _ in range(env.num_envs)]
        rows: list[tuple] = []
        for step in play_on_host(actor, env, episodes=episodes, seed=seed):
            for i in np.flatnonzero(step.counts):
                playing[i].append(tuple(array[i] for array in step[:5]))
                if step.terminated[i] or step.truncated[i]:
                    rows += playing[i]
                    playing[i] = []
        columns = [np.array(column) for column in zip(*rows, strict=True)]

    obs, action, reward, terminated, truncated = columns
    if isinstance(env, HostEnv) and env.offset is not None:
        obs = obs + env.offset
    return Demonstrations(
        obs=obs,
        action=action,
        reward=reward,
        terminated=terminated,
        truncated=truncated,
        observation_space=env.observation_space,
        action_space=env.action_space,
        environment=env.name if env.name in gymnasium.registry else None,
    )
