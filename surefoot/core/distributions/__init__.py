"""Action distributions, each with its own Fisher metric."""

from surefoot.core.distributions.base import Action, Distribution
from surefoot.core.distributions.beta import Beta
from surefoot.core.distributions.categorical import Bernoulli, Categorical, MultiCategorical
from surefoot.core.distributions.deterministic import Deterministic
from surefoot.core.distributions.gaussian import DiagGaussian
from surefoot.core.distributions.masked import Masked
from surefoot.core.distributions.product import Product
from surefoot.core.distributions.tanh_gaussian import TanhGaussian

__all__ = [
    "Action",
    "Bernoulli",
    "Beta",
    "Categorical",
    "Deterministic",
    "DiagGaussian",
    "Distribution",
    "Masked",
    "MultiCategorical",
    "Product",
    "TanhGaussian",
]
