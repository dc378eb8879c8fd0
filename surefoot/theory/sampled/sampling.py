"""The columns of a trajectory as independent samples: sums over them, and their standard errors."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from surefoot.agents.agent import Agent
from surefoot.common.errors import UsageError
from surefoot.common.fields import Interval
from surefoot.common.parameters import check_number
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.segments import along_trajectory
from surefoot.core.data.types import Trajectory
from surefoot.core.distributions import Distribution
from surefoot.core.networks import Policy
from surefoot.core.observation import seen
from surefoot.envs.spaces.encoding import Encoding
from surefoot.theory.sampled.play import acting


class Estimate(NamedTuple):
    """An estimate, in the unit of what is estimated."""

    value: float
    standard_error: float


class Compared(NamedTuple):
    """Another policy π′ at the states of a trajectory of π, float64."""

    log_ratio: Float[np.ndarray, "T N"]
    """log π′(a|s)/π(a|s); 0 on rows that are no transition."""
    kl: Float[np.ndarray, "T N"]
    """KL(π‖π′), nats; 0 on rows that are no transition."""
    reverse_kl: Float[np.ndarray, "T N"]
    """KL(π′‖π), the same."""


def compared(trajectory: Trajectory, other: Agent) -> Compared:
    """π′, the policy of `other`, at the trajectory's states. Raises `UsageError` where it has other
    spaces than the agent that collected the trajectory, or its actions mean something else."""
    spec, seen_there = Encoding(other.observation_space).spec, seen(trajectory.obs)
    shapes = jax.tree.map(lambda x: x.shape, spec), jax.tree.map(lambda x: x.shape[2:], seen_there)
    dist: Any = None
    if shapes[0] == shapes[1]:
        dist = _act(other.policy, other.normalizer, trajectory)
    if _kind(dist) != _kind(trajectory.old):
        raise UsageError(
            f"the other agent sees {other.observation_space} and acts in {other.action_space}; "
            "accepted is one with the spaces of the agent that collected the trajectory"
        )
    if trajectory.acting not in (None, acting(other)):
        raise UsageError(
            f"the other agent acts in {other.action_space} with the action map "
            f"{other.spec.action_map!r}, and the trajectory's did otherwise: the same number is "
            "another action; accepted is an agent with the same bounds and map"
        )
    valid = np.asarray(trajectory.valid)
    log_ratio, kl, reverse_kl = (
        np.where(valid, np.asarray(x, np.float64), 0.0)
        for x in _compared(dist, trajectory.old, trajectory.action)
    )
    return Compared(log_ratio, kl, reverse_kl)


@eqx.filter_jit
def _act(policy: Policy, normalizer: Normalizer, trajectory: Trajectory) -> Distribution:
    # Every column is an episode from its start.
    initial = policy.initial(trajectory.reward.shape[1])
    begun = trajectory._replace(memory=jax.tree.map(lambda m: m[None], initial))
    return along_trajectory(policy, normalizer(trajectory.obs), begun)


@eqx.filter_jit
def _compared(new: Distribution, old: Distribution, action: Array) -> tuple[Array, ...]:
    return new.log_prob(action) - old.log_prob(action), old.kl(new), new.kl(old)


def _kind(dist: Any) -> Any:
    return jax.tree.structure(dist), [x.shape for x in jax.tree.leaves(dist)]


def discounts(valid: Bool[np.ndarray, "T N"], discount: float) -> Float[np.ndarray, "T N"]:
    """γ^t on valid rows, 0 elsewhere. Raises `UsageError` where γ is not in [0, 1]."""
    discount = check_number("discount", discount, Interval(0.0, 1.0))
    return np.where(valid, discount ** np.arange(len(valid), dtype=np.float64)[:, None], 0.0)


def whole(trajectory: Trajectory) -> Bool[np.ndarray, "T N"]:
    """`valid`, if every column is one episode from its start to its end; `UsageError`
    otherwise."""
    valid = np.asarray(trajectory.valid)
    done = np.asarray(trajectory.terminated | trajectory.truncated) & valid
    starts = valid[0] & (np.asarray(trajectory.episode_length)[0] == 1)
    goes_on = valid & ~done
    if not (starts.all() and (goes_on[:-1] == valid[1:]).all() and not goes_on[-1].any()):
        raise UsageError(
            "the trajectory's columns are no whole episodes; accepted is what estimate.play returns"
        )
    return valid


def mean(x: Float[np.ndarray, " N"]) -> Estimate:
    """Mean over the columns."""
    return Estimate(float(x.mean()), float(error(x / len(x))))


def error(parts: Float[np.ndarray, "N *shape"]) -> Float[np.ndarray, "*shape"]:
    """Standard error of the sum of `N` independent parts. Raises `UsageError` where there is but
    one."""
    n = len(parts)
    if n < 2:
        raise UsageError("one episode has no standard error; accepted are two or more columns")
    spread = ((parts - parts.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt(n / (n - 1) * spread))


def unless_missed(
    standard_error: Float[np.ndarray, "*shape"], weights: Float[np.ndarray, "N *shape"]
) -> Float[np.ndarray, "*shape"]:
    """A standard error, made infinite where these parts of the mean of importance weights do not
    sum to 1, which it is, within four standard errors of their own: the sample lacks the rows that
    carry it, or a weight is beyond what a number holds."""
    # Single precision's log-probabilities leave a mean that is not 1 to the last digit.
    missed = np.abs(weights.sum(axis=0) - 1.0) > 4.0 * error(weights) + 1e-4
    return np.where(missed | ~np.isfinite(standard_error), np.inf, standard_error)
