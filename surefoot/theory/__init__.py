"""The theory of policy optimization, made measurable.

What is computed on tables needs no JAX. `estimate` and `interpolation`, for trained agents, do, and
are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from surefoot.theory import estimate as estimate
    from surefoot.theory import interpolation as interpolation

_MODULES = ("estimate", "interpolation")

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
    return importlib.import_module(f"surefoot.theory.{name}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
