"""Action distributions, each with its own Fisher metric."""

from surefoot.core.distributions.base import Distribution
from surefoot.core.distributions.categorical import Bernoulli, Categorical, MultiCategorical
from surefoot.core.distributions.deterministic import Deterministic
from surefoot.core.distributions.gaussian import DiagGaussian

__all__ = [
    "Bernoulli",
    "Categorical",
    "Deterministic",
    "DiagGaussian",
    "Distribution",
    "MultiCategorical",
]
