"""Equal steps in θ, unequal steps of the policy.

π_θ(a=1) = σ(θ). The same Δθ = 1 changes the policy much around θ = 0 and hardly at all where it
has made up its mind; the same KL(old‖new) asks for a very different Δθ.
"""

import jax
import jax.numpy as jnp
import page

import surefoot as sf

DELTA = 0.01
BALL = sf.Step(
    sf.Surrogate(),
    sf.Euclidean(),
    sf.Backtrack(sf.KLBall(DELTA), max_kl=DELTA, shorten=sf.Decay(0.98), tries=400),
)


@jax.jit
@jax.vmap
def at(theta):
    """π, π and KL after Δθ = 1; Δθ, π and KL after a step of KL ≤ δ."""
    policy = page.Logistic(theta[None])
    batch = page.exact_batch(policy, [[1.0]], [1.0], jnp.array([[0.0, 1.0]]))
    local = sf.LocalModel(sf.Surrogate(), policy, batch)
    one = local.evaluate(page.Logistic(policy.theta + 1.0))
    ball, _, info = BALL(jax.random.key(0), policy, None, batch)
    moved = ball.theta[0] - theta
    after = info.objective_after, info.kl_mean
    return jnp.stack([theta, local.value, one.objective, one.kl, moved, *after])


def main(out="02_parameters_and_policies.svg"):
    with jax.enable_x64(True):
        rows = at(jnp.array([-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0])).tolist()
    page.table(("θ", "π", "π: Δθ = 1", "KL", "Δθ: KL ≤ 0.01", "π", "KL"), rows)
    theta, before, step, _, _, ball, _ = zip(*rows, strict=True)
    figure, axis = page.figure(xlabel="θ", ylabel="π(a=1)", title="one step from each θ")
    axis.plot(theta, before, "k.-", label="before")
    axis.plot(theta, step, "o", label="Δθ = 1")
    axis.plot(theta, ball, "s", label="KL ≤ 0.01")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
