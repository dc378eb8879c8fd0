"""What a run's method is like, as its recipe says it; of a method that is no recipe, nothing is
known."""

from __future__ import annotations

from typing import Any, NamedTuple

from surefoot.common.files.json_reading import fields, finite
from surefoot.methods.families.base import Offline
from surefoot.methods.registry import RECIPES

_WORDS = {"max_kl": "trust region δ", "target_kl": "target of the KL"}


class StepKL(NamedTuple):
    """The mean KL(old‖new) that a step may have, or should have."""

    words: str
    """What it is called."""
    value: float
    """In nats."""


def step_kl(config: dict[str, Any]) -> StepKL | None:
    """What the steps of a run's method are held to, if to anything."""
    name = getattr(RECIPES.get(_name(config)), "step_kl", None)
    if name is None:
        return None
    given = fields(config.get("hyperparameters"))
    if name == "max_kl" and given.get("kl_direction") == "new_old":
        # It bounds the other KL, which no row has.
        return None
    told = given.get(name)
    value = None if isinstance(told, bool) else finite(told)
    return None if value is None or value <= 0 else StepKL(_WORDS[name], value)


def learns_offline(config: dict[str, Any]) -> bool:
    """Whether a run's method learns from what was recorded, and has no episodes of its own."""
    return issubclass(RECIPES.get(_name(config), object), Offline)


def _name(config: dict[str, Any]) -> str:
    return str(config.get("algorithm"))
