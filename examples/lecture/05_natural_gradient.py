"""The natural gradient does not see how the policy is written down.

The same policies σ(θᵀs), with the second feature in another unit: s₂ ↦ c s₂. Steps of the same
length √(2δ/dᵀFd) along d = g and along d = F⁻¹g: the gradient's path depends on c, the natural
gradient's does not. J(θ) = E_s[π(right action|s)].
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import page

import surefoot as sf

GEOMETRIES = {"gradient": sf.Euclidean(), "natural": sf.Fisher(sf.Cholesky(), damping=1e-12)}


@eqx.filter_jit
def climb(geometry, scale, iterations, states):
    """J after every iteration, from the uniform policy."""
    features = jax.random.normal(jax.random.key(0), (states, 2))
    right = features[:, 0] + features[:, 1] > 0
    reward = jnp.stack([~right, right], axis=-1).astype(float)
    obs = features * jnp.array([1.0, scale])
    step = sf.Step(sf.Surrogate(), geometry, sf.KLBall(0.01))

    def iteration(policy, key):
        batch = page.exact_batch(policy, obs, jnp.full(states, 1 / states), reward)
        policy, _, info = step(key, policy, None, batch)
        return policy, info.objective_after

    keys = jax.random.split(jax.random.key(1), iterations)
    return jax.lax.scan(iteration, page.Logistic(jnp.zeros(2)), keys)[1]


def main(out="05_natural_gradient.svg", iterations=40, states=100):
    figure, *axes = page.figure(2, xlabel="iteration", ylabel="J")
    rows = []
    with jax.enable_x64(True):
        for axis, (name, geometry) in zip(axes, GEOMETRIES.items(), strict=True):
            for scale in (1.0, 10.0, 100.0):
                J = np.array(climb(geometry, jnp.array(scale), iterations, states))
                rows.append((name, scale, J[4], J[iterations // 2], J[-1]))
                axis.plot(J, label=f"c = {scale:g}")
            axis.set(title=name, ylim=(0.5, 1.0))
    page.table(("direction", "c", "J after 5", f"after {iterations // 2 + 1}", "at the end"), rows)
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
