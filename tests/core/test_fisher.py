"""The natural gradient against dense matrices in double precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from support.oracles import dense_fisher, support
from support.problems import (
    FEW,
    KEY,
    KINDS,
    drawn,
    forward,
    make_batch,
    make_policy,
    normalized,
    unraveled,
    vector,
)
from support.suites import cases
from surefoot.core.geometry import CG, Cholesky, Fisher
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Surrogate


@eqx.filter_jit
def fvp_matrix(policy, batch):
    """The Fisher product applied to every basis vector."""
    local = LocalModel(Surrogate(), policy, batch)

    def column(v):
        product = local.fvp(unraveled(local.grad, v))
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(product)])

    size = sum(leaf.size for leaf in jax.tree.leaves(local.grad))
    return jax.vmap(column, out_axes=-1)(jnp.eye(size))


def frobenius(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@eqx.filter_jit
def solve(fisher, policy, batch):
    """(gradient, direction, info) of a natural-gradient geometry for the surrogate."""
    local = LocalModel(Surrogate(), policy, batch)
    direction, _, info = fisher.direction(KEY, local, None)
    return local.grad, direction, info


@pytest.mark.parametrize("kind", KINDS)
def test_fisher_product_is_jacobian_form_kl_hessian_and_expected_score_outer_product(kind, x64):
    policy = make_policy(kind)
    # The rows' own old distribution must not matter: F is that of the current parameters.
    batch = make_batch(policy, old=make_batch(make_policy(kind, 5)).old)
    weight = normalized(batch.weight)
    here = forward(policy, batch.obs)
    actions, mass = support(here)

    @jax.jit
    def hessian_and_scores(theta):
        def at(t):
            return unraveled(policy, t)(batch.obs)

        hessian = jax.hessian(lambda t: weight @ here.kl(at(t)))(theta)
        scores = jax.jacfwd(lambda t: jax.vmap(at(t).log_prob)(actions))(theta)
        return hessian, scores

    product = np.asarray(fvp_matrix(policy, batch))
    hessian, scores = map(np.asarray, hessian_and_scores(vector(policy)))
    outer = np.einsum("b,sb,sbp,sbq->pq", weight, mass, scores, scores, optimize=True)
    assert frobenius(product, dense_fisher(policy, batch)) <= 1e-6
    assert frobenius(product, hessian) <= 1e-6
    assert frobenius(product, outer) <= 1e-6

    assert frobenius(product, product.T) <= 1e-12
    eigenvalues = np.linalg.eigvalsh(product)
    assert eigenvalues[0] >= -1e-12 * eigenvalues[-1]
    assert eigenvalues[-1] > 0.1, "the policy must not be trivial"


def test_fisher_product_ignores_rows_without_weight(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    kept = np.flatnonzero(batch.weight)
    fewer = jax.tree.map(lambda x: np.asarray(x)[kept] if x.ndim else x, batch)
    full, part = fvp_matrix(policy, batch), fvp_matrix(policy, fewer)
    np.testing.assert_allclose(full, part, rtol=1e-12, atol=1e-14)


def check_solution(solver, kind):
    policy = make_policy(kind)
    batch = make_batch(policy)
    fisher, damping = dense_fisher(policy, batch), 0.05
    gradient, direction, info = solve(Fisher(solver, damping=damping), policy, batch)
    assert jax.tree.structure(direction) == jax.tree.structure(gradient)
    gradient, direction = vector(gradient), vector(direction)
    damped = fisher + damping * np.eye(gradient.size)
    expected = np.linalg.solve(damped, gradient)
    np.testing.assert_allclose(direction, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(info.grad_norm, np.linalg.norm(gradient), rtol=1e-12)
    assert float(info.relative_residual) <= 1e-10
    assert (int(info.cg_steps) == 0) == (solver == Cholesky())


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_cg_and_cholesky_solve_the_damped_system(kind, x64):
    for solver in (CG(500, tolerance=1e-12), Cholesky()):
        check_solution(solver, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_so_does_a_solver_of_lineaxs_own(kind, x64):
    check_solution(lx.GMRES(rtol=1e-13, atol=1e-13), kind)


def test_truncated_cg_is_the_textbook_iteration_and_reports_its_own_residual(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    steps, damping = 3, 0.05
    gradient, direction, info = solve(Fisher(CG(steps), damping=damping), policy, batch)
    gradient, direction = vector(gradient), vector(direction)

    damped = dense_fisher(policy, batch) + damping * np.eye(gradient.size)
    x, r, p = np.zeros_like(gradient), gradient, gradient
    for _ in range(steps):
        along = (r @ r) / (p @ damped @ p)
        x, after = x + along * p, r - along * damped @ p
        p, r = after + (after @ after) / (r @ r) * p, after
    np.testing.assert_allclose(direction, x, rtol=1e-8, atol=1e-10)
    assert int(info.cg_steps) == steps
    residual = np.linalg.norm(gradient - damped @ direction) / np.linalg.norm(gradient)
    np.testing.assert_allclose(info.relative_residual, residual, rtol=1e-8)
    assert residual > 1e-3, "the iteration must have been cut short"


def test_cg_stops_where_the_relative_residual_reaches_the_tolerance(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    tolerance = 1e-2
    infos = [
        solve(
            Fisher(CG(500, tolerance=tolerance)),
            policy,
            batch._replace(advantage=scale * np.asarray(batch.advantage)),
        )[2]
        for scale in (1e-6, 1.0, 1e6)
    ]
    steps = int(infos[0].cg_steps)
    assert {int(info.cg_steps) for info in infos} == {steps}, "whatever the gradient's size"
    assert all(float(info.relative_residual) <= tolerance for info in infos)
    shorter = solve(Fisher(CG(steps - 1, tolerance=0.0)), policy, batch)[2]
    assert float(shorter.relative_residual) > tolerance, "one iteration fewer would not have done"


@pytest.mark.parametrize(
    "solver", [CG(10), pytest.param(Cholesky(), marks=pytest.mark.slow)], ids=["cg", "cholesky"]
)
def test_zero_gradient_gives_a_zero_direction(solver):
    policy = make_policy("categorical")
    batch = make_batch(policy)
    for nothing in ("advantage", "weight"):
        empty = batch._replace(**{nothing: np.zeros(16, np.float32)})
        _, direction, info = solve(Fisher(solver), policy, empty)
        np.testing.assert_array_equal(vector(direction), 0.0)
        np.testing.assert_array_equal([float(x) for x in info], 0.0)


@pytest.mark.parametrize("kind", cases(FEW, fast=["gaussian"]))
def test_cg_stays_finite_in_single_precision_with_thousands_of_parameters(kind):
    # Lineax's CG answers NaN where pᵀAp <= 100·eps·n·rᵀr, which these problems reach.
    rng = np.random.default_rng(0)
    policy = make_policy(kind, hidden=(64, 64))
    assert vector(policy).size > 4500
    policy = jax.tree.map(
        lambda x: jnp.asarray(np.asarray(x) * np.float32(0.25 if x.shape[0] == 64 else 1.0)), policy
    )
    batch = make_batch(policy, rows=128)
    for distinct in (1, 4):
        obs = jnp.asarray(np.asarray(batch.obs)[rng.integers(distinct, size=128)])
        old = forward(policy, obs)
        repeated = batch._replace(obs=obs, old=old, action=drawn(old, rng))
        for damping in (0.1, 0.01):
            _, direction, info = solve(Fisher(CG(10), damping=damping), policy, repeated)
            assert np.isfinite(vector(direction)).all()
            assert float(info.relative_residual) <= 0.1
