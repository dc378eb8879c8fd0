"""Recording: the transitions of whole episodes that an agent plays."""

from __future__ import annotations

import warnings

import gymnasium
import jax
import numpy as np

from surefoot.agents.demonstrations.demonstrations import Demonstrations
from surefoot.agents.playing.episodes import Actor, play_on_device, play_on_host
from surefoot.agents.playing.evaluation import cut_episodes
from surefoot.common.errors import Notice
from surefoot.common.settings import MAX_EPISODE_STEPS
from surefoot.core.observation import with_vector
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv


def record(
    actor: Actor,
    env: HostEnv | DeviceEnv,
    *,
    episodes: int,
    seed: int,
    max_steps: int = MAX_EPISODE_STEPS,
) -> Demonstrations:
    """Play `episodes` episodes and keep every transition: on the host episode after episode in the
    order in which they end, of at most `max_steps` steps, on the device in that of the copies.
    Raises `UsageError` if an observation or action is not finite."""
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
        columns = jax.tree.map(lambda x: x.swapaxes(0, 1)[counts.T], kept)
    else:
        playing: list[list[tuple]] = [[] for _ in range(env.num_envs)]
        rows: list[tuple] = []
        cut = 0
        for step in play_on_host(actor, env, episodes=episodes, seed=seed, max_steps=max_steps):
            for i in np.flatnonzero(step.counts):
                playing[i].append(jax.tree.map(lambda x, i=i: x[i], tuple(step[:5])))
                if step.terminated[i] or step.truncated[i]:
                    cut += len(playing[i]) == max_steps and bool(step.truncated[i])
                    rows += playing[i]
                    playing[i] = []
        columns = jax.tree.map(lambda *column: np.array(column), *rows)
        if cut:
            warnings.warn(cut_episodes(cut, episodes, max_steps), Notice, stacklevel=3)

    obs, action, reward, terminated, truncated = columns
    offset = env.offset if isinstance(env, HostEnv) else None
    if offset is not None:
        obs = with_vector(obs, lambda vector: vector + offset)
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
