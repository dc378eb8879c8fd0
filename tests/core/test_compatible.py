"""The regression on the score: the Fisher matrix with every action, near it with some."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support.problems import KEY, forward, make_batch, make_policy, vector
from surefoot.core.geometry import CG, Cholesky, Compatible, Fisher
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Score


@eqx.filter_jit
def direction(geometry, policy, batch):
    local = LocalModel(Score(), policy, batch)
    return geometry.direction(KEY, local, geometry.init(policy))


def every_action(policy, batch):
    """A row for each action of each state, weighted by its probability."""
    probability = np.asarray(jax.nn.softmax(forward(policy, batch.obs).logits))
    states, actions = probability.shape
    advantage = np.random.default_rng(1).normal(size=(states, actions))
    advantage -= np.sum(probability * advantage, axis=1, keepdims=True)

    def each(x):
        return jnp.repeat(x, actions, axis=0)

    return batch._replace(
        obs=each(batch.obs),
        action=jnp.tile(jnp.arange(actions), states),
        old=jax.tree.map(each, batch.old),
        advantage=jnp.asarray(advantage.reshape(-1)),
        weight=jnp.asarray((np.asarray(batch.weight)[:, None] * probability).reshape(-1)),
    )


@pytest.mark.parametrize("damping", [1e-4, 0.1])
def test_with_every_action_it_is_the_natural_gradient(damping, x64):
    policy = make_policy("categorical")
    batch = every_action(policy, make_batch(policy))
    expected, _, _ = direction(Fisher(Cholesky(), damping), policy, batch)
    found, _, info = direction(Compatible(Cholesky(), damping), policy, batch)
    np.testing.assert_allclose(vector(found), vector(expected), rtol=1e-9, atol=1e-10)
    assert float(info.relative_residual) < 1e-9
    by_cg, _, info = direction(Compatible(CG(200, tolerance=1e-14), damping), policy, batch)
    np.testing.assert_allclose(vector(by_cg), vector(expected), rtol=1e-6, atol=1e-8)
    assert 5 < int(info.cg_steps) <= 200


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_it_is_the_ridge_regression_on_the_scores(kind, x64):
    """By the dense matrix of scores; without a ridge, what is left is orthogonal to all of them."""
    policy = make_policy(kind)
    batch = make_batch(policy)
    theta, static = eqx.partition(policy, eqx.is_inexact_array)

    def log_prob(theta):
        return eqx.combine(theta, static)(batch.obs).log_prob(batch.action)

    jacobian = jax.jit(jax.jacobian(log_prob))(theta)
    leaves = [np.asarray(x).reshape(len(batch.weight), -1) for x in jax.tree.leaves(jacobian)]
    psi, share = np.concatenate(leaves, axis=1), np.asarray(batch.weight / jnp.sum(batch.weight))
    matrix = psi.T @ (share[:, None] * psi) + 0.01 * np.eye(psi.shape[1])
    expected = np.linalg.solve(matrix, psi.T @ (share * np.asarray(batch.advantage)))
    found, _, info = direction(Compatible(Cholesky(), 0.01), policy, batch)
    np.testing.assert_allclose(vector(found), expected, rtol=1e-7, atol=1e-9)
    left = np.asarray(batch.advantage) - psi @ vector(found)
    np.testing.assert_allclose(psi.T @ (share * left), 0.01 * vector(found), atol=1e-9)
    norm = np.linalg.norm(psi.T @ (share * np.asarray(batch.advantage)))
    np.testing.assert_allclose(info.grad_norm, norm, rtol=1e-9)


def test_with_drawn_actions_the_difference_falls_as_the_root_of_their_number(x64):
    """The regression's matrix is F on average: sixteen times the rows, a quarter of the error."""
    policy = make_policy("categorical")
    one = make_batch(policy)
    exact = every_action(policy, one)
    expected = vector(direction(Fisher(Cholesky(), 0.1), policy, exact)[0])
    table = np.asarray(exact.advantage).reshape(len(one.weight), -1)
    errors = []
    for copies in (16, 256):
        found = []
        for seed in range(30):
            key = jax.random.key(seed)
            dist = jax.tree.map(lambda x, n=copies: jnp.repeat(x, n, axis=0), one.old)
            action = dist.sample(key)
            rows = np.repeat(np.arange(len(table)), copies)
            batch = one._replace(
                obs=jnp.repeat(one.obs, copies, axis=0),
                action=action,
                old=dist,
                advantage=jnp.asarray(table[rows, np.asarray(action)]),
                weight=jnp.repeat(one.weight, copies),
            )
            found.append(vector(direction(Compatible(Cholesky(), 0.1), policy, batch)[0]))
        errors.append(np.sqrt(np.mean(np.sum((np.asarray(found) - expected) ** 2, axis=1))))
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.3)


def test_without_advantages_it_leads_nowhere():
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    found, _, info = direction(
        Compatible(CG(10)), policy, batch._replace(advantage=0 * batch.advantage)
    )
    np.testing.assert_array_equal(vector(found), 0.0)
    assert float(info.relative_residual) == 0
