"""Recipes: named methods, each a dataclass of hyperparameters and the line that composes the parts.

The dataclasses import no JAX, so that the command line can show its help at once; `build` imports
the parts it composes.
"""

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

__all__ = [
    "A2C",
    "A2CTrustRegion",
    "ACKTR",
    "AWR",
    "BC",
    "CEM",
    "CMAES",
    "CPO",
    "GePPO",
    "KFACTRPO",
    "NAC",
    "NPG",
    "NPGPenalty",
    "PPOAdaptiveLR",
    "PPOClip",
    "PPOFixedKL",
    "PPOKL",
    "PPOLagrangian",
    "Reinforce",
    "REPS",
    "RWR",
    "SPO",
    "TRPO",
    "TRPOLagrangian",
    "VMPO",
    "VPGAdaptive",
]
