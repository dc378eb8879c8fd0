"""The Fisher matrix is the Hessian of the KL.

F = E[∇log π ∇log πᵀ] = ∇²_θ′ KL(π_θ‖π_θ′) at θ′ = θ = E[Jᵀ M J]: three ways to the same matrix.
The library takes products with the last one (`LocalModel.fvp`), which needs no second derivative.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import page
from jax.flatten_util import ravel_pytree

import surefoot as sf
from surefoot.core.networks import CategoricalHead, mlp_policy


@partial(jax.jit, static_argnames="states")
def compare(states, lengths):
    """E[Jᵀ M J], the other ways to it, and along a direction Δ: the KL and ½ ΔᵀFΔ."""
    keys = jax.random.split(jax.random.key(0), 4)
    policy = mlp_policy(keys[0], 3, CategoricalHead(4), hidden=(5,))
    theta, static = eqx.partition(policy, eqx.is_inexact_array)
    start, unravel = ravel_pytree(theta)
    start = start + 0.3 * jax.random.normal(keys[1], start.shape)
    policy = eqx.combine(unravel(start), static)
    obs = jax.random.normal(keys[2], (states, 3))
    batch = page.exact_batch(policy, obs, jnp.full(states, 1 / states), jnp.zeros((states, 4)))
    local = sf.LocalModel(sf.Surrogate(), policy, batch)

    def kl(vector):
        return local.evaluate(eqx.combine(unravel(vector), static)).kl

    def log_probs(vector):
        return eqx.combine(unravel(vector), static)(batch.obs).log_prob(batch.action)

    basis, h = jnp.eye(start.size), 1e-3
    product = jax.vmap(lambda v: ravel_pytree(local.fvp(unravel(v)))[0])(basis)
    scores = jax.jacobian(log_probs)(start)
    slope = jax.vmap(jax.grad(kl))
    ways = {
        "E[∇log π ∇log πᵀ]": (scores.T * batch.weight) @ scores,
        "∇² KL, automatic": jax.hessian(kl)(start),
        "∇² KL, finite differences": (slope(start + h * basis) - slope(start - h * basis))
        / (2 * h),
    }
    direction = jax.random.normal(keys[3], start.shape)
    step = direction / jnp.linalg.norm(direction)
    measured = jax.vmap(lambda x: kl(start + x * step))(lengths)
    return product, ways, measured, 0.5 * lengths**2 * (step @ product @ step)


def main(out="04_fisher_is_hessian.svg", states=50):
    lengths = np.geomspace(1e-2, 10.0, 40)
    with jax.enable_x64(True):
        product, ways, measured, model = jax.tree.map(np.asarray, compare(states, lengths))
    norm = np.linalg.norm(product)
    rows = [(name, np.linalg.norm(F - product) / norm) for name, F in ways.items()]
    page.table(("against E[Jᵀ M J]", "relative difference"), rows)
    figure, axis = page.figure(xlabel="length of Δ", ylabel="nats", title="KL and ½ ΔᵀFΔ")
    axis.loglog(lengths, measured, label="KL(old‖new)")
    axis.loglog(lengths, model, "--", label="½ ΔᵀFΔ")
    page.save(figure, out)
    return rows, measured, model


if __name__ == "__main__":
    page.run(main)
