"""Which way is steepest? It depends on what a step's length is.

argmax of J(θ + d) over ‖d‖ ≤ ε, and over KL(π_θ‖π_θ+d) ≤ δ, by exact search over all directions.
J(θ) = Σ_s d(s) σ(θ_s): two states, one of them seen in 5 % of the steps. As the ball shrinks, the
optimum's direction is the gradient g in the one case and F⁻¹g in the other.
"""

import jax
import jax.numpy as jnp
import numpy as np
import page

import surefoot as sf

SEEN = (0.95, 0.05)
ANGLES = jnp.linspace(0.0, 2 * jnp.pi, 3601)
TURN = jnp.stack([jnp.cos(ANGLES), jnp.sin(ANGLES)], axis=-1)


def local_at(theta):
    policy = page.Logistic(theta)
    reward = jnp.array([[0.0, 1.0], [0.0, 1.0]])
    return sf.LocalModel(sf.Surrogate(), policy, page.exact_batch(policy, np.eye(2), SEEN, reward))


@jax.jit
def best_in_ball(theta, radius, in_kl):
    """The best point of the ball, which lies on its edge: J(θ + d) rises with the length of d."""
    change = jax.vmap(local_at(theta).evaluate)
    low, high = jnp.zeros_like(ANGLES), jnp.full_like(ANGLES, 50.0)
    for _ in range(60):
        middle = (low + high) / 2
        kl = change(page.Logistic(theta + middle[:, None] * TURN)).kl
        inside = jnp.where(in_kl, kl, middle) <= radius
        low, high = jnp.where(inside, middle, low), jnp.where(inside, high, middle)
    edge = theta + low[:, None] * TURN
    return edge[jnp.argmax(change(page.Logistic(edge)).objective)]


@jax.jit
def directions(theta):
    """g and F⁻¹g."""
    local, key = local_at(theta), jax.random.key(0)
    geometries = sf.Euclidean(), sf.Fisher(sf.Cholesky(), damping=0.0)
    return [geometry.direction(key, local, None)[0].theta for geometry in geometries]


def degrees(a, b):
    """The angle between two directions, by the sine, which tells small ones apart."""
    return float(np.degrees(np.arctan2(abs(a[0] * b[1] - a[1] * b[0]), a @ b)))


def main(out="03_steepest_ascent.svg", iterations=20):
    balls = {"‖d‖ ≤ 0.5": (0.5, False), "KL ≤ 0.01": (0.01, True)}
    with jax.enable_x64(True):
        start, rows, paths = np.array([-2.0, -1.0]), [], {}
        g, natural = map(np.asarray, directions(start))
        for radius in (1.0, 0.1, 0.01):
            in_theta = np.asarray(best_in_ball(start, radius, False)) - start
            in_kl = np.asarray(best_in_ball(start, radius**2 / 2, True)) - start
            angles = degrees(in_theta, g), degrees(in_kl, natural), degrees(in_theta, in_kl)
            rows.append((radius, *angles))
        for name, ball in balls.items():
            path = [start]
            for _ in range(iterations):
                path.append(best_in_ball(path[-1], *ball))
            paths[name] = np.array(path)
    names = "ε = √(2δ)", "‖d‖ ≤ ε to g", "KL ≤ δ to F⁻¹g", "between the two balls"
    page.table(names, rows)
    print()
    ends = [(name, *path[i], J(*path[i])) for name, path in paths.items() for i in (5, 10, -1)]
    page.table(("path, after 5, 10 and all steps", "θ₁", "θ₂ (rare)", "J"), ends)
    figure, axis = page.figure(xlabel="θ₁", ylabel="θ₂ (rare state)", title="paths over J")
    side = np.linspace(-3, 8, 100)
    axis.contour(side, side, J(*np.meshgrid(side, side)), 15, colors="lightgray")
    for name, path in paths.items():
        axis.plot(*path.T, "o-", label=name)
    axis.set(xlim=(-3, 8), ylim=(-3, 8))
    page.save(figure, out)
    return rows, ends


def J(often, rare):
    return SEEN[0] / (1 + np.exp(-often)) + SEEN[1] / (1 + np.exp(-rare))


if __name__ == "__main__":
    page.run(main)
