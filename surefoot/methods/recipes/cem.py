"""Searches over policy parameters that know no gradient: the cross-entropy method, CMA-ES."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from surefoot.common.fields import at_least, fraction, nonnegative, positive
from surefoot.methods.families.base import Composition, OnPolicy

if TYPE_CHECKING:
    from surefoot.methods.learners.covariance_adaptation import CovarianceAdaptation
    from surefoot.methods.learners.cross_entropy import CrossEntropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class CEM(OnPolicy):
    """Cross-entropy method: one parameter vector an environment, mean and standard deviation
    refitted to the best of them."""

    parts = Composition("–", "–", "–", "CrossEntropy", "Szita & Lőrincz 2006")

    num_envs: int = at_least(2, 20)
    """Parameter vectors a generation, each in an environment of its own."""
    horizon: int = at_least(1, 1000)
    """Steps of each environment in a generation, which starts with fresh episodes."""
    elite_fraction: float = fraction(0.2, zero=False)
    """Fraction of the parameter vectors that the search is refitted to."""
    initial_std: float = positive(0.1)
    """Standard deviation of every parameter at the start."""
    extra_std: float = nonnegative(0.05)
    """Standard deviation whose square is added to the variance at every refit; falls linearly to 0
    over the run."""

    def build(self) -> CrossEntropy:
        from surefoot.methods.learners.cross_entropy import CrossEntropy

        return CrossEntropy(
            self.num_envs,
            elite_fraction=self.elite_fraction,
            initial_std=self.initial_std,
            extra_std=self.extra_std,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CMAES(OnPolicy):
    """CMA-ES: one parameter vector an environment; mean, step length and covariance adapt to the
    ranks of the better half. For small policies, linear ones above all: --hidden without a
    number."""

    parts = Composition("–", "–", "–", "CovarianceAdaptation", "Hansen 2016")

    num_envs: int = at_least(4, 20)
    """Parameter vectors a generation, each in an environment of its own."""
    horizon: int = at_least(1, 1000)
    """Steps of each environment in a generation, which starts with fresh episodes."""
    initial_std: float = positive(0.1)
    """Standard deviation of every parameter at the start."""
    covariance: Literal["diagonal", "full"] = "diagonal"
    """diagonal: a variance for each parameter; full: all covariances, too, whose n × n matrix is
    factorized every generation."""

    def build(self) -> CovarianceAdaptation:
        from surefoot.methods.learners.covariance_adaptation import CovarianceAdaptation

        return CovarianceAdaptation(
            self.num_envs, initial_std=self.initial_std, covariance=self.covariance
        )
