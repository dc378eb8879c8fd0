"""What the theory speaks of, estimated for any agent from samples, with standard errors.

All is estimated from a `Trajectory` whose columns are independent: `play` makes one of an agent's
episodes. A standard error is that of the mean over columns, by linearization where an estimate is
no mean; the rows of an episode are not taken for independent. Sums are in float64.

**Truncation.** An episode ends where it ended, whether it terminated, met its time limit or was cut
at the horizon, and nothing is earned after. All quantities are those of the problem with that limit
(in which the time is a part of the state, and the advantage depends on it); for it, the identities
and bounds hold exactly. `Performance.omitted` says how far that is from the problem without.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from surefoot.agents.agent import Agent
from surefoot.common.errors import UsageError
from surefoot.common.fields import Interval
from surefoot.common.parameters import check_number
from surefoot.core.data.types import Trajectory
from surefoot.theory.sampled.play import play
from surefoot.theory.sampled.sampling import (
    Estimate,
    compared,
    discounts,
    error,
    mean,
    unless_missed,
    whole,
)

__all__ = [
    "Estimate",
    "Gap",
    "Performance",
    "WeightVariance",
    "effective_sample_size",
    "gap",
    "mean_kl",
    "performance",
    "play",
    "weight_variance",
]


class Performance(NamedTuple):
    """J(π) = E[Σ_t γ^t r_t] from the start states, raw rewards."""

    value: float
    standard_error: float
    omitted: float
    """E[γ^T·(truncated after T steps)]: times a bound on |V| it bounds what J lacks of the return
    that goes on after a truncation."""


class WeightVariance(NamedTuple):
    """Variances of importance weights, by the number t of the step, from 0. The mean of a weight is
    1, so that they are E[(weight − 1)²], no unit."""

    one_step: Float[np.ndarray, " T"]
    """Of π′(a_t|s_t)/π(a_t|s_t); once an episode has ended, that is 1."""
    one_step_error: Float[np.ndarray, " T"]
    """Its standard error; infinite where the mean of the weights, which is 1, is not met within its
    own error, so that the sample lacks the columns that would carry it."""
    trajectory: Float[np.ndarray, " T"]
    """Of the product of those up to and with step t."""
    trajectory_error: Float[np.ndarray, " T"]
    """The same of the product; where few columns carry that, too small itself."""


class Gap(NamedTuple):
    """How far the surrogate is from the truth, in discounted reward from the start states."""

    gain: Estimate
    """J(π′) − J(π)."""
    surrogate: Estimate
    """L = E_π[Σ_t γ^t (π′/π) A_t]: the gain that importance sampling predicts."""
    gap: Estimate
    """J(π′) − J(π) − L."""
    bound: Estimate
    """C √(E_{s~d^π} KL(π′‖π)), C = √2 γ ε/(1 − γ)², which |gap| does not exceed if ε is what it is
    to be (Achiam et al. 2017); d^π is discounted. The error is that of the KL alone."""
    epsilon: float
    """ε ≥ max_s |E_{a~π′} A(s, a)|: as given, or the largest |Â| of the samples, which is most
    often far larger, but no certainty."""


def performance(trajectory: Trajectory, *, discount: float) -> Performance:
    """J of the agent that played these whole episodes. Raises `UsageError` where `discount` is not
    in [0, 1] or columns are no whole episodes."""
    valid = whole(trajectory)
    weights = discounts(valid, discount)
    earned = mean((weights * _rewards(trajectory, valid)).sum(axis=0))
    cut = np.asarray(trajectory.truncated) & ~np.asarray(trajectory.terminated)
    omitted = (discount * weights * cut).sum(axis=0).mean()
    return Performance(earned.value, earned.standard_error, float(omitted))


def mean_kl(trajectory: Trajectory, other: Agent, *, discount: float = 1.0) -> Estimate:
    """KL(π‖π′) in nats, averaged over the states that π visits, for the agent π that collected the
    trajectory and `other`, π′. At discount 1 every visit counts the same, as in training; below,
    the one at row t counts γ^t. Raises `UsageError` where `discount` is not in [0, 1] or π′ has
    other spaces."""
    weights = discounts(np.asarray(trajectory.valid), discount)
    total = (weights * compared(trajectory, other).kl).sum(axis=0)
    count = weights.sum(axis=0)
    value = total.sum() / count.sum()
    return Estimate(float(value), float(error((total - value * count) / count.sum())))


def effective_sample_size(trajectory: Trajectory, other: Agent) -> Estimate:
    """(Σ w)²/(n Σ w²) of the one-step weights w = π′(a|s)/π(a|s) of the n transitions, in (0, 1]:
    the share of them that an average with these weights is worth (Kish 1965). The error is infinite
    where the weights' mean, which is 1, is not met within its own error: the sample lacks the rows
    that would carry it. Raises `UsageError` where π′, `other`, has other spaces."""
    log_w = compared(trajectory, other).log_ratio
    valid = np.asarray(trajectory.valid)
    # Relative to the largest: a factor on all weights changes nothing, and none overflows.
    largest = log_w[valid].max()
    w = np.exp(np.where(valid, log_w - largest, -np.inf))
    first, second, count = (x.sum(axis=0) for x in (w, w**2, valid))
    value = first.sum() ** 2 / (second.sum() * count.sum())
    relative = 2 * first / first.sum() - second / second.sum() - count / count.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        share = first * np.exp(largest) / count.sum()
        spread = unless_missed(error(value * relative), share)
    return Estimate(float(value), float(spread))


def weight_variance(trajectory: Trajectory, other: Agent) -> WeightVariance:
    """Variance of importance weights from π, which collected the trajectory, to `other`, π′, as the
    horizon grows from the trajectory's first row to its last: of one step's, and of the product
    over all steps so far. Raises `UsageError` where π′ has other spaces."""
    log_w = compared(trajectory, other).log_ratio
    one_step, one_step_error = _variance(log_w)
    product, product_error = _variance(np.cumsum(log_w, axis=0))
    return WeightVariance(one_step, one_step_error, product, product_error)


def _variance(
    log_w: Float[np.ndarray, "T N"],
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """E[(w − 1)²] and its standard error, at each step."""
    n = log_w.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        w = np.exp(log_w.T)
        square = (w - 1.0) ** 2
        return square.mean(axis=0), unless_missed(error(square / n), w / n)


def gap(
    before: Trajectory,
    after: Trajectory,
    other: Agent,
    *,
    discount: float,
    epsilon: float | None = None,
) -> Gap:
    """What moving from π to π′ gained, what the surrogate predicts, and what bounds the difference.

    The advantage in the surrogate is the return-to-go less the mean of the other episodes' at the
    same step: no critic is needed, and its expectation is exact.

    Args:
        before: whole episodes of π.
        after: whole episodes of π′.
        other: π′.
        discount: γ, in [0, 1).
        epsilon: ε, where it is known.

    Raises:
        UsageError: `discount` or `epsilon` is out of range, columns are no whole episodes, or π′
            has other spaces.
    """
    if check_number("discount", discount, Interval(0.0, 1.0)) == 1.0:
        raise UsageError(f"discount is {discount:g}; accepted for a bound is >= 0 and < 1")
    if epsilon is not None:
        epsilon = check_number("epsilon", epsilon, Interval(0.0))
    valid = whole(before)
    weights, reward = discounts(valid, discount), _rewards(before, valid)
    advantage = _advantages(reward, valid, discount)
    new = compared(before, other)
    earned = (weights * reward).sum(axis=0)
    predicted = (weights * np.expm1(new.log_ratio) * advantage).sum(axis=0)
    theirs, ours = performance(after, discount=discount), mean(earned)
    # π's episodes give both J and L, which go together.
    explained = mean(earned + predicted)

    distance = mean((1.0 - discount) * (weights * new.reverse_kl).sum(axis=0))
    epsilon = float(np.abs(advantage).max()) if epsilon is None else float(epsilon)
    constant = math.sqrt(2.0) * discount * epsilon / (1.0 - discount) ** 2
    root = math.sqrt(max(distance.value, 0.0))
    slope = constant / (2.0 * root) if root > 0.0 else 0.0
    return Gap(
        gain=_less(theirs, ours),
        surrogate=mean(predicted),
        gap=_less(theirs, explained),
        bound=Estimate(constant * root, slope * distance.standard_error),
        epsilon=epsilon,
    )


def _less(one: Performance, other: Estimate) -> Estimate:
    """The difference of two independent estimates."""
    return Estimate(one.value - other.value, math.hypot(one.standard_error, other.standard_error))


def _rewards(trajectory: Trajectory, valid: Bool[np.ndarray, "T N"]) -> Float[np.ndarray, "T N"]:
    return np.where(valid, np.asarray(trajectory.reward, np.float64), 0.0)


def _advantages(
    reward: Float[np.ndarray, "T N"], valid: Bool[np.ndarray, "T N"], discount: float
) -> Float[np.ndarray, "T N"]:
    """Returns-to-go less their mean over the other columns, which no action of this one moves."""
    to_go = np.zeros_like(reward)
    after = np.zeros(reward.shape[1])
    for t in reversed(range(len(reward))):
        after = to_go[t] = reward[t] + discount * after
    to_go *= valid
    others = valid.sum(axis=1, keepdims=True) - valid
    baseline = (to_go.sum(axis=1, keepdims=True) - to_go) / np.maximum(others, 1)
    return np.where(valid, to_go - baseline, 0.0)
