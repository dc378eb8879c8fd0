"""How good a policy is: undiscounted returns of whole episodes.

On the host, every sub-environment plays a fixed share of the episodes, so that short episodes are
not favored as they would be by taking the first to finish. On the device, every copy plays one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from surefoot.envs.device import DeviceEnv
from surefoot.envs.host import HostEnv
from surefoot.envs.spaces import ActionMap
from surefoot.errors import UsageError
from surefoot.networks import Policy
from surefoot.normalize import Normalizer


class Evaluation(NamedTuple):
    """Returns and lengths of evaluated episodes."""

    returns: Float[np.ndarray, " episodes"]
    """Sum of raw rewards of each episode."""
    lengths: Int[np.ndarray, " episodes"]
    """Steps of each episode."""

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns over episodes (not of their mean)."""
        return float(self.returns.std())


def act(
    policy: Policy,
    normalizer: Normalizer,
    to_env: ActionMap,
    obs: Any,
    key: PRNGKeyArray,
    *,
    deterministic: bool,
) -> Any:
    """Environment actions for a batch of encoded observations: the mode, or a sample."""
    dist = policy(normalizer(obs))
    return to_env(dist.mode() if deterministic else dist.sample(key))


def evaluate_on_host(act_fn: Any, env: HostEnv, *, episodes: int, seed: int) -> Evaluation:
    """Play `episodes` episodes, shared among the sub-environments. `act_fn` maps encoded
    observations [N, obs] and the step's number to environment actions."""
    n = env.num_envs
    share = np.array([(episodes + i) // n for i in range(n)])
    played = np.zeros(n, int)
    total, length = np.zeros(n), np.zeros(n, int)
    returns: list[float] = []
    lengths: list[int] = []
    obs, t = env.reset(seed), 0
    while (played < share).any():
        step = env.step(np.asarray(act_fn(obs, t)))
        total += np.where(step.valid, step.reward, 0.0)
        length += step.valid
        for i in np.flatnonzero((step.terminated | step.truncated) & step.valid):
            if played[i] < share[i]:
                returns.append(float(total[i]))
                lengths.append(int(length[i]))
                played[i] += 1
            total[i], length[i] = 0.0, 0
        obs, t = step.obs, t + 1
    return Evaluation(np.array(returns), np.array(lengths))


def evaluate_on_device(act_fn: Any, env: DeviceEnv, *, episodes: int, seed: int) -> Evaluation:
    """Play one episode in each of `episodes` copies, all in one compiled program. `act_fn` maps
    encoded observations and a key to environment actions."""
    limit = env.time_limit
    if limit is None:
        raise UsageError(
            f"{env.name}: evaluating on the device needs a time limit: pass time_limit=STEPS"
        )

    def step(state: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
        act_key, env_key = jax.random.split(key)
        state, row = env.step(state, act_fn(state.obs, act_key), env_key)
        return state, (row.terminated | row.truncated, row.episode_return, row.episode_length)

    @jax.jit
    def play(key: PRNGKeyArray) -> Any:
        start, steps = jax.random.split(key)
        keys = jax.random.split(steps, limit)
        return jax.lax.scan(step, env.init(start, episodes), keys)[1]

    done, returns, lengths = (np.asarray(x) for x in play(jax.random.key(seed)))
    first = done.argmax(axis=0)
    copies = np.arange(episodes)
    return Evaluation(returns[first, copies].astype(float), lengths[first, copies].astype(int))
