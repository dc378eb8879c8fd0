"""What a method does once its schedule has come to its end."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from surefoot.core.step_size import Fixed, schedules
from surefoot.methods.learners.cross_entropy import CrossEntropy
from surefoot.methods.learners.learner import Learner


def schedule_end(learner: Learner) -> str | None:
    """What is left of a learner's schedule at its end, in words; `None` for one without any."""
    match learner:
        case CrossEntropy():
            return "no added variance" if float(learner.extra_std) > 0 else None
        case _:
            parts = jax.tree.leaves(learner, is_leaf=lambda part: isinstance(part, Fixed))
            for part in parts:
                if isinstance(part, Fixed) and part.schedule is not schedules.constant:
                    return f"a rate of {float(part.rate * part.schedule(jnp.ones(()))):g}"
            return None
