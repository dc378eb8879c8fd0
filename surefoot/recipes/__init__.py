"""Recipes: named methods, each a dataclass of hyperparameters and the line that composes the parts.

The dataclasses import no JAX, so that the command line can show its help at once; `build` imports
the parts it composes.
"""

from surefoot.errors import UsageError, closest
from surefoot.recipes.actor_critic import A2C, A2CTrustRegion
from surefoot.recipes.base import Recipe, Row
from surefoot.recipes.cem import CEM
from surefoot.recipes.cloning import BC
from surefoot.recipes.critic import ActorCritic
from surefoot.recipes.kfac import ACKTR, KFACTRPO
from surefoot.recipes.natural import NPG, NPGPenalty
from surefoot.recipes.policy_gradient import Reinforce, VPGAdaptive
from surefoot.recipes.ppo import PPOClip
from surefoot.recipes.ppo_kl import PPOKL, PPOFixedKL
from surefoot.recipes.trpo import TRPO

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
    "cem": CEM,
    "bc": BC,
}


def find_recipe(name: str) -> type[Recipe]:
    """The recipe of that name; `UsageError` with the closest match if there is none."""
    if name not in RECIPES:
        raise UsageError(
            f"unknown algorithm {name!r}; accepted are {', '.join(RECIPES)}."
            f"{closest(name, RECIPES)}"
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
    "TRPO",
    "A2CTrustRegion",
    "ActorCritic",
    "NPGPenalty",
    "PPOClip",
    "PPOFixedKL",
    "Recipe",
    "Reinforce",
    "Row",
    "VPGAdaptive",
    "find_recipe",
]
