"""A penalty and a constraint find the same policy.

max L(θ) subject to KL(old‖new) ≤ δ, and max L(θ) − β KL(old‖new): for every δ there is a β
(Lagrange). The constrained optimum is found by search over the edge of the ball, the penalized one
by repeated natural steps on `KLPenalized`, β by bisection; beside it the β that `KLBall` reports
for its one step.
"""

import jax
import jax.numpy as jnp
import numpy as np
import page

import surefoot as sf

OBS, SEEN = jnp.eye(2), (0.7, 0.3)
REWARD = jnp.array([[0.0, 1.0], [0.5, 0.0]])
OLD = (0.5, 0.0)
ANGLES = jnp.linspace(0.0, 2 * jnp.pi, 20_001)
TURN = jnp.stack([jnp.cos(ANGLES), jnp.sin(ANGLES)], axis=-1)
NATURAL = sf.Fisher(sf.Cholesky(), damping=0.0)


def problem():
    old = page.Logistic(jnp.array(OLD))
    return old, page.exact_batch(old, OBS, SEEN, REWARD)


@jax.jit
def penalized(beta):
    """argmax L − β KL, and its KL: 100 steps of F⁻¹g/(2β) from where the last one ended."""
    old, batch = problem()
    step = sf.Step(sf.KLPenalized(sf.Surrogate(), beta), NATURAL, sf.Penalty(2 * beta))
    key = jax.random.key(0)
    new = jax.lax.fori_loop(0, 100, lambda _, p: step.move(key, p, None, batch)[0], old)
    return new.theta, sf.LocalModel(sf.Surrogate(), old, batch).evaluate(new).kl


@jax.jit
def constrained(delta):
    """argmax L on the edge KL = δ, over all directions."""
    old, batch = problem()
    change = jax.vmap(sf.LocalModel(sf.Surrogate(), old, batch).evaluate)
    low, high = jnp.zeros_like(ANGLES), jnp.full_like(ANGLES, 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        inside = change(page.Logistic(old.theta + middle[:, None] * TURN)).kl <= delta
        low, high = jnp.where(inside, middle, low), jnp.where(inside, high, middle)
    edge = old.theta + low[:, None] * TURN
    return edge[jnp.argmax(change(page.Logistic(edge)).objective)]


@jax.jit
def one_step_beta(delta):
    old, batch = problem()
    step = sf.Step(sf.Surrogate(), NATURAL, sf.KLBall(delta))
    return step(jax.random.key(0), old, None, batch)[2].move.length.beta


def main(out="06_penalty_and_constraint.svg"):
    rows = []
    with jax.enable_x64(True):
        for delta in (1e-4, 1e-3, 1e-2, 1e-1):
            low, high = np.log(1e-2), np.log(1e3)
            for _ in range(40):
                middle = (low + high) / 2
                far = penalized(np.exp(middle))[1] > delta
                low, high = (middle, high) if far else (low, middle)
            theta, edge = np.asarray(penalized(np.exp(high))[0]), np.asarray(constrained(delta))
            apart = np.linalg.norm(theta - edge) / np.linalg.norm(edge - OLD)
            numbers = (delta, np.exp(high), one_step_beta(delta), *theta, *edge, apart)
            rows.append(tuple(map(float, numbers)))
        names = "δ", "β found", "β of KLBall", "θ₁, penalty", "θ₂", "θ₁, constraint", "θ₂", "apart"
        page.table(names, rows)
    figure, axis = page.figure(xlabel="δ, nats", ylabel="β", title="the β of every δ")
    axis.loglog(*zip(*[row[:2] for row in rows], strict=True), "o-", label="found")
    axis.loglog(*zip(*[(r[0], r[2]) for r in rows], strict=True), "s--", label="√(gᵀF⁻¹g/2δ)")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
