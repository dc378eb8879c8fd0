"""Small problems of learners: critics, trajectories of random rows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from support.problems import KEY, OBS, drawn, forward, stream
from surefoot.core.data.types import Trajectory
from surefoot.core.networks import mlp_critic


def make_critic(seed=0):
    rng = np.random.default_rng(seed)
    blank = eqx.filter_eval_shape(lambda: mlp_critic(KEY, OBS, hidden=(4,)))
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), blank)


def make_trajectory(policy, seed=0):
    """Random rows, some of them no transition."""
    rng = np.random.default_rng([seed, 2])
    reward, _, _, terminated, truncated, valid = stream(seed)
    obs, next_obs = rng.normal(size=(2, *reward.shape, OBS))
    old = forward(policy, jnp.asarray(obs))
    return Trajectory(
        obs=jnp.asarray(obs),
        action=drawn(old, rng),
        old=old,
        reward=jnp.asarray(np.where(valid, reward, 0.0)),
        next_obs=jnp.asarray(next_obs),
        terminated=jnp.asarray(terminated & valid),
        truncated=jnp.asarray(truncated & valid),
        valid=jnp.asarray(valid),
        episode_return=jnp.asarray(np.zeros(reward.shape)),
        episode_length=jnp.asarray(np.zeros(reward.shape, np.int32)),
    )


def flags(trajectory):
    return tuple(map(np.asarray, (trajectory.terminated, trajectory.truncated, trajectory.valid)))
