"""What can be got out of a batch.

One gradient step a batch; ten on the same batch, where r = π_θ/π_old corrects for the policy that
has moved; or one step on the last four batches together, each weighted by r against the policy
that collected it. Adam on the surrogate, CartPole, and the same number of environment steps.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import page

import surefoot as sf
from surefoot.methods.families.actor_critic import regression


class Reuse(sf.Update):
    """An update on this batch and the ones before it, `batches` of them in all."""

    update: sf.Update
    rows: int
    batches: int
    obs_size: int

    def init(self, params):
        empty = jnp.zeros((self.rows * (self.batches - 1), self.obs_size))
        old = params(empty)
        zeros = jnp.zeros(len(empty))
        action = jnp.zeros_like(old.sample(jax.random.key(0)))
        before = sf.Batch(empty, action, old, zeros, zeros, jnp.zeros(()))
        return self.update.init(params), before

    def __call__(self, key, params, state, batch) -> tuple[Any, Any, Any]:
        inner, before = state
        together = jax.tree.map(
            lambda new, old: jnp.concatenate([new, old]) if new.ndim else new, batch, before
        )
        params, inner, info = self.update(key, params, inner, together)
        kept = jax.tree.map(lambda x: x[: len(before.weight)] if x.ndim else x, together)
        return params, (inner, kept), info


def main(out="18_data_reuse.svg", steps=60_000, seeds=5, horizon=128, rate=3e-3):
    def climb(objective):
        return sf.Step(objective, sf.Optax(optax.adam(1.0)), sf.Fixed(rate))

    rows_in_batch = 8 * horizon
    updates = {
        "one step": climb(sf.Surrogate()),
        "ten steps": sf.Epochs(climb(sf.Surrogate()), epochs=10, minibatch_size=rows_in_batch),
        "one step, four batches": Reuse(climb(sf.Surrogate()), rows_in_batch, 4, 4),
        "ten steps, clipped": sf.Epochs(
            climb(sf.Clipped(0.2)), epochs=10, minibatch_size=rows_in_batch
        ),
    }
    figure, axis = page.figure(xlabel="iteration", ylabel="return, median of seeds")
    rows = []
    for name, update in updates.items():
        algorithm = sf.Algorithm(update, regression(1e-3, 20, 128))
        # Normalized by statistics that move, an old observation would not be what its policy saw.
        options = {"num_envs": 8, "horizon": horizon, "normalize_observations": False}
        runs = page.trained(algorithm, "CartPole-v1", steps=steps, seeds=seeds, **options)
        curve, kl = page.returns(runs), page.column(runs, "kl_mean")
        rows.append((name, curve.mean(), curve[:, -5:].mean(), np.median(kl), kl.max()))
        axis.plot(np.median(curve, axis=0), label=name)
    page.table(("update", "mean return", "last return", "median KL", "largest KL"), rows)
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
