"""Recipes: named methods, each a dataclass of hyperparameters and the line that composes the parts.

The dataclasses import no JAX, so that the command line can show its help at once; `build` imports
the parts it composes.
"""

from surefoot.errors import UsageError, closest
from surefoot.recipes.base import Recipe, Row
from surefoot.recipes.policy_gradient import Reinforce
from surefoot.recipes.ppo import PPOClip
from surefoot.recipes.trpo import TRPO

RECIPES: dict[str, type[Recipe]] = {
    "reinforce": Reinforce,
    "trpo": TRPO,
    "ppo_clip": PPOClip,
}


def find_recipe(name: str) -> type[Recipe]:
    """The recipe of that name; `UsageError` with the closest match if there is none."""
    if name not in RECIPES:
        raise UsageError(
            f"unknown algorithm {name!r}; accepted are {', '.join(RECIPES)}."
            f"{closest(name, RECIPES)}"
        )
    return RECIPES[name]


__all__ = ["RECIPES", "TRPO", "PPOClip", "Recipe", "Reinforce", "Row", "find_recipe"]
