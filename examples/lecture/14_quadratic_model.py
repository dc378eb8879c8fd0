"""Why L is taken to first order and the KL to second.

max L(θ) − β KL(old‖new): L's Hessian H is indefinite, F is positive semi-definite; and in the step
that is taken, ½ΔᵀHΔ is small beside gᵀΔ and the penalty, the more so the shorter the step. The KL
has no first-order term at all: ½ΔᵀFΔ is its first. One update of `npg` on CartPole, a small
network, float64.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import page
from jax.flatten_util import ravel_pytree

import surefoot as sf


def main(out="14_quadratic_model.svg", steps=10_240):
    update = page.last_update("npg", "CartPole-v1", steps=steps, hidden=(8,))
    with jax.enable_x64(True):
        old, batch = jax.tree.map(
            lambda x: x.astype(float) if eqx.is_inexact_array(x) else x, (update.old, update.batch)
        )
        batch = batch._replace(old=old(batch.obs))
        theta, static = eqx.partition(old, eqx.is_inexact_array)
        start, unravel = ravel_pytree(theta)
        local = sf.LocalModel(sf.Surrogate(), old, batch)
        g = ravel_pytree(local.grad)[0]
        F = jax.vmap(lambda v: ravel_pytree(local.fvp(unravel(v)))[0])(jnp.eye(start.size))
        H = jax.hessian(lambda x: local.evaluate(eqx.combine(unravel(x), static)).objective)(start)
        spectra = {"H of L": np.linalg.eigvalsh(H), "F of KL": np.linalg.eigvalsh((F + F.T) / 2)}
        page.table(
            ("matrix", "least eigenvalue", "largest"),
            [(n, s[0], s[-1]) for n, s in spectra.items()],
        )
        print()
        rows = []
        direction = sf.Fisher(sf.Cholesky(), damping=0.1).direction(jax.random.key(0), local, None)
        for delta in (0.001, 0.01, 0.1):
            new, info = sf.KLBall(delta)(local, direction[0])
            step = ravel_pytree(eqx.filter(new, eqx.is_inexact_array))[0] - start
            parts = g @ step, 0.5 * step @ H @ step, 0.5 * info.beta * step @ F @ step
            rows.append((delta, *map(float, parts), float(jnp.abs(parts[1] / parts[2]))))
        page.table(("δ", "gᵀΔ", "½ ΔᵀHΔ", "β/2 ΔᵀFΔ", "|H part / F part|"), rows)
    figure, axis = page.figure(xlabel="number", ylabel="eigenvalue", title="two spectra")
    for name, spectrum in spectra.items():
        axis.plot(spectrum, ".-", label=name)
    axis.set_yscale("symlog", linthresh=1e-3)
    axis.axhline(0.0, color="black", lw=0.5)
    page.save(figure, out)
    return spectra, rows


if __name__ == "__main__":
    page.run(main)
