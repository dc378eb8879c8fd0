"""What a method does once its schedule has come to its end."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from surefoot.core.step_size import Fixed, KLBall, schedules
from surefoot.methods.learners.cross_entropy import CrossEntropy
from surefoot.methods.learners.learner import Learner


def schedule_end(learner: Learner) -> str | None:
    """What is left of a learner's schedule at its end, in words; `None` for one without any."""
    match learner:
        case CrossEntropy():
            return "no added variance" if float(learner.extra_std) > 0 else None
        case _:
            kinds = Fixed | KLBall
            parts = jax.tree.leaves(learner, is_leaf=lambda part: isinstance(part, kinds))
            for part in parts:
                if isinstance(part, kinds) and part.schedule is not schedules.constant:
                    left = part.schedule(jnp.ones(()))
                    if isinstance(part, Fixed):
                        return f"a rate of {float(part.rate * left):g}"
                    return f"a radius of {float(part.max_kl * left):g}"
            return None
