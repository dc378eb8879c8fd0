"""The theory of policy optimization, made measurable."""

from surefoot.theory.bounds import (
    Bound,
    Identity,
    kl_bound,
    max_kl_bound,
    performance_difference,
    surrogate,
    tv_bound,
)
from surefoot.theory.conservative import ConservativeIteration
from surefoot.theory.garnet import garnet
from surefoot.theory.gymnasium_table import from_gymnasium
from surefoot.theory.improvement import Improvement, improve
from surefoot.theory.mdp import PolicyEvaluation, TabularMDP
from surefoot.theory.penalized import FixedPenalized, Penalized
from surefoot.theory.softmax import NaturalGradient, PolicyGradient
from surefoot.theory.trust_region import TRPO

__all__ = [
    "Bound",
    "ConservativeIteration",
    "FixedPenalized",
    "Identity",
    "Improvement",
    "NaturalGradient",
    "Penalized",
    "PolicyEvaluation",
    "PolicyGradient",
    "TRPO",
    "TabularMDP",
    "from_gymnasium",
    "garnet",
    "improve",
    "kl_bound",
    "max_kl_bound",
    "performance_difference",
    "surrogate",
    "tv_bound",
]
