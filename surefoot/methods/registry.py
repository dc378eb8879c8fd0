"""The recipes by their names."""

from surefoot.common.errors import UsageError
from surefoot.common.foreign_names import algorithm_hint
from surefoot.methods.families.base import Recipe
from surefoot.methods.recipes.a2c import A2C, A2CTrustRegion
from surefoot.methods.recipes.acktr import ACKTR, KFACTRPO
from surefoot.methods.recipes.bc import BC
from surefoot.methods.recipes.cem import CEM, CMAES
from surefoot.methods.recipes.cpo import CPO
from surefoot.methods.recipes.geppo import GePPO
from surefoot.methods.recipes.multipliers import PPOLagrangian, TRPOLagrangian
from surefoot.methods.recipes.npg import NAC, NPG, NPGPenalty
from surefoot.methods.recipes.ppo import SPO, PPOAdaptiveLR, PPOClip
from surefoot.methods.recipes.ppo_kl import PPOKL, PPOFixedKL
from surefoot.methods.recipes.reinforce import Reinforce, VPGAdaptive
from surefoot.methods.recipes.trpo import TRPO
from surefoot.methods.recipes.v_mpo import VMPO
from surefoot.methods.recipes.weighted import AWR, REPS, RWR

RECIPES: dict[str, type[Recipe]] = {
    "reinforce": Reinforce,
    "a2c": A2C,
    "vpg_adaptive": VPGAdaptive,
    "a2c_trust_region": A2CTrustRegion,
    "npg": NPG,
    "npg_penalty": NPGPenalty,
    "nac": NAC,
    "trpo": TRPO,
    "acktr": ACKTR,
    "kfac_trpo": KFACTRPO,
    "ppo_clip": PPOClip,
    "ppo_kl": PPOKL,
    "ppo_fixed_kl": PPOFixedKL,
    "ppo_adaptive_lr": PPOAdaptiveLR,
    "spo": SPO,
    "geppo": GePPO,
    "rwr": RWR,
    "reps": REPS,
    "awr": AWR,
    "v_mpo": VMPO,
    "cpo": CPO,
    "ppo_lagrangian": PPOLagrangian,
    "trpo_lagrangian": TRPOLagrangian,
    "cem": CEM,
    "cma_es": CMAES,
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
