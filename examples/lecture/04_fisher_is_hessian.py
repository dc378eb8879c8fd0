"""The Fisher matrix is the Hessian of the KL.

F = E[∇log π ∇log πᵀ] = ∇²_θ′ KL(π_θ‖π_θ′) at θ′ = θ = E[Jᵀ M J]: three ways to the same matrix.
The library takes products with the last one (`LocalModel.fvp`), which needs no second derivative.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import page
from jax.flatten_util import ravel_pytree

import surefoot as sf
from surefoot.core.networks import CategoricalHead, Policy


def main(out="04_fisher_is_hessian.svg", states=50):
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 4)
        policy = Policy(keys[0], 3, CategoricalHead(4), hidden=(5,))
        theta, static = eqx.partition(policy, eqx.is_inexact_array)
        start, unravel = ravel_pytree(theta)
        start = start + 0.3 * jax.random.normal(keys[1], start.shape)
        policy = eqx.combine(unravel(start), static)
        obs = jax.random.normal(keys[2], (states, 3))
        batch = page.exact_batch(policy, obs, jnp.full(states, 1 / states), jnp.zeros((states, 4)))
        local = sf.LocalModel(sf.Surrogate(), policy, batch)

        @jax.jit
        def kl(vector):
            return local.evaluate(eqx.combine(unravel(vector), static)).kl

        def log_probs(vector):
            return eqx.combine(unravel(vector), static)(batch.obs).log_prob(batch.action)

        product = jax.vmap(lambda v: ravel_pytree(local.fvp(unravel(v)))[0])(jnp.eye(start.size))
        scores = jax.jacobian(log_probs)(start)
        direction = jax.random.normal(keys[3], start.shape)
        step = direction / jnp.linalg.norm(direction)
        dFd = step @ product @ step
        h = 1e-3
        ways = {
            "E[∇log π ∇log πᵀ]": (scores.T * batch.weight) @ scores,
            "∇² KL, automatic": jax.hessian(kl)(start),
            "∇² KL, finite differences": jax.vmap(
                lambda e: (jax.grad(kl)(start + h * e) - jax.grad(kl)(start - h * e)) / (2 * h)
            )(jnp.eye(start.size)),
        }
        norm = jnp.linalg.norm(product)
        rows = [(n, float(jnp.linalg.norm(F - product) / norm)) for n, F in ways.items()]
        page.table(("against E[Jᵀ M J]", "relative difference"), rows)
        lengths = jnp.geomspace(1e-2, 10.0, 40)
        measured = jax.vmap(lambda x: kl(start + x * step))(lengths).tolist()
        model = (0.5 * lengths**2 * dFd).tolist()
    figure, axis = page.figure(xlabel="length of Δ", ylabel="nats", title="KL and ½ ΔᵀFΔ")
    axis.loglog(lengths, measured, label="KL(old‖new)")
    axis.loglog(lengths, model, "--", label="½ ΔᵀFΔ")
    page.save(figure, out)
    return rows, measured, model


if __name__ == "__main__":
    page.run(main)
