"""Do the halves of a batch agree on the gradient?

    python -m benchmarks.learning.agreement TASK [--steps 600000] [--seed 0]

Trains `trpo` on EnvPool's environments and prints, for each eighth of the run, the mean over
batches of ρ = g₁ᵀF⁻¹g₂/√(g₁ᵀF⁻¹g₁ · g₂ᵀF⁻¹g₂): g₁ and g₂ are the policy gradients of the first and
of the second half of the environments, F the damped Fisher matrix of the whole batch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import surefoot as sf
from surefoot.core.data.types import Params
from surefoot.core.geometry.fisher import SolveInfo
from surefoot.core.local_model import dot
from surefoot.methods.recipes.trpo import TRPO

ENVS = TRPO.num_envs


class AgreementInfo(NamedTuple):
    """What the direction reports, and whether the halves agree."""

    solve: SolveInfo
    """The direction's."""
    agreement: Float[Array, ""]
    """ρ, of −1 to 1."""


class HalfModel(NamedTuple):
    """As much of a `LocalModel` as the Fisher geometry asks for."""

    grad: Params
    fvp: Callable[[Params], Params]


class WithAgreement(sf.Geometry):
    """The natural gradient, which also looks at the halves of the batch."""

    fisher: sf.Fisher

    def init(self, params: Params) -> Any:
        return self.fisher.init(params)

    def direction(
        self, key: PRNGKeyArray, local: sf.LocalModel, state: Any
    ) -> tuple[Params, Any, AgreementInfo]:
        weight = local.batch.weight
        first = (jnp.arange(weight.shape[0]) % ENVS < ENVS // 2).astype(weight.dtype)
        g, solved = [], []
        for half in (first, 1 - first):
            batch = local.batch._replace(weight=weight * half)
            of_half = sf.LocalModel(sf.Surrogate(), local.params, batch)
            g.append(of_half.grad)
            # The gradient of the half, and the whole batch's Fisher matrix.
            seen: Any = HalfModel(of_half.grad, local.fvp)
            solved.append(self.fisher.direction(key, seen, state)[0])
        norms = dot(g[0], solved[0]) * dot(g[1], solved[1])
        agreement = dot(g[0], solved[1]) / jnp.sqrt(jnp.maximum(norms, 1e-30))
        direction, state, info = self.fisher.direction(key, local, state)
        return direction, state, AgreementInfo(info, agreement)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--steps", type=int, default=600_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    learner = TRPO().build()
    step = learner.policy_update
    geometry = WithAgreement(step.geometry)
    learner = sf.Algorithm(
        sf.Step(step.objective, geometry, step.step_size),
        learner.critic_update,
        discount=TRPO.discount,
        gae_lambda=TRPO.gae_lambda,
    )
    rows: list[dict[str, Any]] = []
    sf.train(
        learner,
        args.task,
        num_envs=ENVS,
        horizon=TRPO.horizon,
        steps=args.steps,
        seed=args.seed,
        backend="envpool",
        on_iteration=lambda row, _: rows.append(row),
    )
    for number, part in enumerate(np.array_split(np.arange(len(rows)), 8), 1):
        found = [rows[i]["agreement"] for i in part]
        print(f"{number}/8: {np.mean(found):.3f} ± {np.std(found):.3f} from batch to batch")


if __name__ == "__main__":
    main()
