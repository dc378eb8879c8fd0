"""The theory of policy optimization, made measurable.

What is computed on tables needs no JAX. `estimate` and `interpolation`, for trained agents, do, and
are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from surefoot.theory.tabular.bounds import (
    Bound,
    Identity,
    kl_bound,
    max_kl_bound,
    performance_difference,
    surrogate,
    tv_bound,
)
from surefoot.theory.tabular.conservative import ConservativeIteration
from surefoot.theory.tabular.exact_trpo import TRPO
from surefoot.theory.tabular.garnet import garnet
from surefoot.theory.tabular.gymnasium_table import from_gymnasium
from surefoot.theory.tabular.improvement import Improvement, improve
from surefoot.theory.tabular.mdp import PolicyEvaluation, TabularMDP
from surefoot.theory.tabular.penalized import FixedPenalized, Penalized
from surefoot.theory.tabular.softmax import NaturalGradient, PolicyGradient

if TYPE_CHECKING:
    from surefoot.theory import interpolation as interpolation
    from surefoot.theory.sampled import estimate as estimate

_MODULES = {
    "estimate": "surefoot.theory.sampled.estimate",
    "interpolation": "surefoot.theory.interpolation",
}

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


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'surefoot.theory' has no attribute {name!r}")
    return importlib.import_module(_MODULES[name])


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
