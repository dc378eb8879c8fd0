"""Recipes: named methods, each a dataclass of hyperparameters and the line that composes the parts.

The dataclasses import no JAX, so that the command line can show its help at once; `build` imports
the parts it composes.
"""

from surefoot.common.errors import UsageError
from surefoot.common.foreign_names import algorithm_hint
from surefoot.methods.recipes.a2c import A2C, A2CTrustRegion
from surefoot.methods.recipes.acktr import ACKTR, KFACTRPO
from surefoot.methods.recipes.actor_critic import ActorCritic
from surefoot.methods.recipes.base import Composition, Recipe
from surefoot.methods.recipes.bc import BC
from surefoot.methods.recipes.cem import CEM
from surefoot.methods.recipes.npg import NPG, NPGPenalty
from surefoot.methods.recipes.ppo import PPOClip
from surefoot.methods.recipes.ppo_kl import PPOKL, PPOFixedKL
from surefoot.methods.recipes.ppo_variants import SPO, PPOAdaptiveLR
from surefoot.methods.recipes.reinforce import Reinforce, VPGAdaptive
from surefoot.methods.recipes.trpo import TRPO

RECIPES: dict[str, type[Recipe]] = {
    "reinforce": Reinforce,
    "a2c": A2C,
    "vpg_adaptive": VPGAdaptive,
    "a2c_trust_region": A2CTrustRegion,
    "npg": NPG,
    "npg_penalty": NPGPenalty,
    "trpo": TRPO,
    "acktr": ACKTR,
    "kfac_trpo": KFACTRPO,
    "ppo_clip": PPOClip,
    "ppo_kl": PPOKL,
    "ppo_fixed_kl": PPOFixedKL,
    "ppo_adaptive_lr": PPOAdaptiveLR,
    "spo": SPO,
    "cem": CEM,
    "bc": BC,
}


def find_recipe(name: str) -> type[Recipe]:
    """The recipe of that name; `UsageError` with the closest match if there is none."""
    if name not in RECIPES:
        raise UsageError(
            f"unknown algorithm {name!r}; accepted are {', '.join(RECIPES)}."
            f"{algorithm_hint(name, RECIPES)}"
        )
    return RECIPES[name]


__all__ = [
    "A2C",
    "ACKTR",
    "BC",
    "CEM",
    "KFACTRPO",
    "NPG",
    "PPOKL",
    "RECIPES",
    "SPO",
    "TRPO",
    "A2CTrustRegion",
    "ActorCritic",
    "NPGPenalty",
    "PPOAdaptiveLR",
    "PPOClip",
    "PPOFixedKL",
    "Recipe",
    "Reinforce",
    "Composition",
    "VPGAdaptive",
    "find_recipe",
]
