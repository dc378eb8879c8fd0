"""How close K-FAC's direction comes to the natural gradient, and what its step costs.

    python -m benchmarks.kfac

The first table: the cosine between K-FAC's direction and (F + λI)⁻¹g, and between the raw gradient
and it, on CartPole-v1 in double precision; 2,048 states an iteration, factors averaged over 20
iterations. The second: seconds of a complete step (gradient, direction, length) by K-FAC and by ten
iterations of conjugate gradient on the same batch of 2,048 rows, medians of alternating calls.
"""

from __future__ import annotations

import statistics
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from surefoot.core.data.advantages import gae, standardize
from surefoot.core.data.normalization import NoNormalizer
from surefoot.core.data.types import Batch
from surefoot.core.geometry import CG, KFAC, Fisher
from surefoot.core.local_model import LocalModel
from surefoot.core.networks import GaussianHead, Policy, mlp_policy
from surefoot.core.objectives import Surrogate
from surefoot.core.step_size import KLBall
from surefoot.core.updates import Step
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.actions import action_map
from surefoot.training.rollout import DeviceStanding, device_rollout

ROWS = 2048
DAMPINGS = (0.1, 0.01, 0.001)


def cartpole_batches(policy: Policy, batches: int, *, num_envs: int = 16) -> list[Batch]:
    """Consecutive batches of 2,048 states that the policy meets, with Monte-Carlo advantages."""
    env = DEVICE_ENVS["CartPole-v1"]
    to_env = action_map(env.action_space)
    horizon = ROWS // num_envs

    @eqx.filter_jit
    def collect(state, key):
        state, t, _ = device_rollout(env, horizon, to_env, state, policy, NoNormalizer(), key)
        zeros = jnp.zeros_like(t.reward)
        advantage = gae(
            t.reward, zeros, zeros, t.terminated, t.truncated, t.valid, discount=0.99, gae_lambda=1
        ).reshape(-1)
        weight = jnp.ones_like(advantage)
        rows = jax.tree.map(lambda x: x.reshape(ROWS, *x.shape[2:]), (t.obs, t.action, t.old))
        return state, Batch(*rows, standardize(advantage, weight), weight, jnp.zeros(()))

    state = DeviceStanding(eqx.filter_jit(env.init)(jax.random.key(1), num_envs))
    collected = []
    for key in jax.random.split(jax.random.key(2), batches):
        state, batch = collect(state, key)
        collected.append(batch)
    return collected


def vector(tree) -> np.ndarray:
    """A direction as one vector."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])


def natural_direction(policy: Policy, batch: Batch, g: np.ndarray, damping: float) -> np.ndarray:
    """(F + λI)⁻¹g for two actions: F = RᵀR/B with one row √(p₀p₁)·∇(logit₀ − logit₁) a state, so
    that by Woodbury's identity the system has the size of the batch."""

    def difference(policy, obs):
        logits = policy(obs).logits
        return logits[0] - logits[1]

    @eqx.filter_jit
    def rows_and_probabilities(policy, obs):
        rows = jax.vmap(jax.grad(difference), in_axes=(None, 0))(policy, obs)
        return rows, jax.nn.softmax(policy(obs).logits)

    rows, p = jax.tree.map(np.asarray, rows_and_probabilities(policy, batch.obs))
    r = np.concatenate([leaf.reshape(ROWS, -1) for leaf in jax.tree.leaves(rows)], 1)
    r *= np.sqrt(p[:, :1] * p[:, 1:] / ROWS)
    inner = np.linalg.solve(r @ r.T + damping * np.eye(ROWS), r @ g)
    return (g - r.T @ inner) / damping


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two vectors."""
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def cosines(policy: Policy, batches: list[Batch]) -> list[tuple[float, float, float]]:
    """(λ, cosine of K-FAC's direction, cosine of the gradient) with the natural one on the last
    batch, factors averaged over all of them."""
    kfac = KFAC()

    @eqx.filter_jit
    def observe(key, state, batch, damping):
        kfac = KFAC(damping)
        local = LocalModel(Surrogate(), policy, batch)
        direction, state, _ = kfac.direction(key, local, state)
        return direction, state, local.grad

    state = eqx.filter_jit(kfac.init)(policy)
    keys = jax.random.split(jax.random.key(3), len(batches))
    for key, batch in zip(keys[:-1], batches[:-1], strict=True):
        _, state, _ = observe(key, state, batch, jnp.asarray(0.1))
    found = []
    for damping in DAMPINGS:
        direction, _, grad = observe(keys[-1], state, batches[-1], jnp.asarray(damping))
        g = vector(grad)
        natural = natural_direction(policy, batches[-1], g, damping)
        found.append((damping, cosine(vector(direction), natural), cosine(g, natural)))
    return found


def step_seconds(repeats: int) -> dict[str, float]:
    """Median seconds of a complete step on one batch with HalfCheetah's sizes (17 observations, 6
    actions, 64 × 64), K-FAC and CG-10 alternating."""
    policy = mlp_policy(jax.random.key(0), 17, GaussianHead(6))
    obs = jax.random.normal(jax.random.key(1), (ROWS, 17))
    old = policy(obs)
    weight = jnp.ones(ROWS)
    advantage = jax.random.normal(jax.random.key(2), (ROWS,))
    batch = Batch(obs, old.sample(jax.random.key(3)), old, advantage, weight, jnp.zeros(()))

    def move(geometry, key, policy, state, batch):
        return Step(Surrogate(), geometry, KLBall(0.01)).move(key, policy, state, batch)

    steps = {"K-FAC": KFAC(), "CG-10": Fisher(CG(10))}
    compiled = {
        name: (eqx.filter_jit(eqx.Partial(move, geometry)), geometry.init(policy))
        for name, geometry in steps.items()
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(repeats + 1):
        for name, (step, state) in compiled.items():
            key = jax.random.key(i)
            begin = time.perf_counter()
            jax.block_until_ready(step(key, policy, state, batch))
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def main() -> int:
    """Print both tables."""
    with jax.enable_x64(True):
        env = DEVICE_ENVS["CartPole-v1"]
        policy = mlp_policy(jax.random.key(0), 4, action_head(env.action_space))
        print("| λ | K-FAC | gradient |\n|---|---|---|")
        for damping, kfac, gradient in cosines(policy, cartpole_batches(policy, 20)):
            print(f"| {damping:g} | {kfac:.3f} | {gradient:.3f} |")
    seconds = step_seconds(200)
    ratio = seconds["K-FAC"] / seconds["CG-10"]
    print("\n| step | ms |\n|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value * 1e3:.2f} |")
    print(f"\nK-FAC/CG-10: {ratio:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
