"""What makes the natural gradient natural: its step is the same in other coordinates."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support.oracles import dense_fisher
from support.problems import KEY, forward, make_batch, make_policy, unraveled, vector
from surefoot.core.geometry import Cholesky, Euclidean, Fisher
from surefoot.core.objectives import Surrogate
from surefoot.core.step_size import KLBall
from surefoot.core.updates import Step


class Reparameterized(eqx.Module):
    """A policy whose parameters are a function of ψ, its only parameter."""

    psi: jax.Array
    policy_at: Callable = eqx.field(static=True)

    def __call__(self, obs):
        return self.policy_at(self.psi)(obs)


def reparameterized(policy, seed=0):
    """The same policy at θ = Aψ + b, with a random well-conditioned A."""
    theta = vector(policy)
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(theta.size, theta.size)))
    matrix = rotation * np.exp(rng.uniform(-1, 1, theta.size))
    offset = rng.normal(size=theta.size)
    psi = np.linalg.solve(matrix, theta - offset)
    return Reparameterized(jnp.asarray(psi), lambda psi: unraveled(policy, matrix @ psi + offset))


@eqx.filter_jit
def step(geometry, policy, batch):
    update = Step(Surrogate(), geometry, KLBall(0.01))
    return update(KEY, policy, None, batch)[0]


def worst_difference(a, b, obs):
    pairs = zip(jax.tree.leaves(forward(a, obs)), jax.tree.leaves(forward(b, obs)), strict=True)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)


@pytest.mark.parametrize(
    ("geometry", "invariant"), [(Fisher(Cholesky(), damping=0.0), True), (Euclidean(), False)]
)
def test_only_the_natural_step_is_the_same_in_other_coordinates(geometry, invariant, x64):
    policy = make_policy("gaussian", hidden=(3,))
    batch = make_batch(policy, rows=60)
    eigenvalues = np.linalg.eigvalsh(dense_fisher(policy, batch))
    assert eigenvalues[0] > 1e-6 * eigenvalues[-1], "this test needs a nonsingular Fisher matrix"
    other = reparameterized(policy)
    assert worst_difference(policy, other, batch.obs) < 1e-12

    here, there = step(geometry, policy, batch), step(geometry, other, batch)
    moved = worst_difference(policy, here, batch.obs)
    assert moved > 1e-2
    difference = worst_difference(here, there, batch.obs)
    assert difference <= 1e-6 if invariant else difference > 0.1 * moved
