"""The step within a ball and limits, against SLSQP, the source's closed form, and the conditions of
optimality."""

import jax
import numpy as np
import pytest
from scipy import optimize

from surefoot.core.updates.lqclp import (
    ABOVE,
    BINDING,
    FREE,
    RECOVERY,
    STUCK,
    constrained_step,
)

solve = jax.jit(constrained_step)
solve_all = jax.jit(jax.vmap(constrained_step))


def problem(rng, directions, limits):
    """(p, u, c, G, δ) of size one; costs from far below to far above their limits."""
    root = rng.normal(size=(directions, directions))
    gram = root @ root.T + 1e-2 * np.eye(directions)
    p, u = rng.normal(size=directions), rng.normal(size=(limits, directions))
    max_kl = 10 ** rng.uniform(-3, 0)
    reach = np.sqrt(2 * max_kl * np.einsum("ki,ij,kj->k", u, np.linalg.inv(gram), u))
    return p, u, reach * rng.uniform(-1.6, 1.2, size=limits), gram, max_kl


def by_slsqp(p, u, c, gram, max_kl, start):
    """The best point that SLSQP finds in coordinates in which the ball is the unit ball, and
    whether it is feasible."""
    root = np.linalg.cholesky(np.linalg.inv(gram) * 2 * max_kl)
    q, v = root.T @ p, u @ root
    scale = np.linalg.norm(q)
    sizes = np.linalg.norm(v, axis=1)
    constraints = [
        {"type": "ineq", "fun": lambda y: 1 - y @ y, "jac": lambda y: -2 * y},
        {
            "type": "ineq",
            "fun": lambda y: -(c + v @ y) / sizes,
            "jac": lambda y: -v / sizes[:, None],
        },
    ]
    found = optimize.minimize(
        lambda y: -q @ y / scale,
        np.linalg.solve(root, start),
        jac=lambda y: -q / scale,
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    )
    y = found.x
    feasible = y @ y <= 1 + 1e-9 and (c + v @ y <= 1e-9 * sizes).all()
    return -found.fun * scale, feasible


@pytest.mark.parametrize("limits", [1, 2, 3])
def test_no_point_that_slsqp_finds_is_better(limits, x64):
    """10,000 problems with one limit, 2,000 with several, all cases among them."""
    rng = np.random.default_rng(limits)
    number = 10_000 if limits == 1 else 2_000
    problems = [problem(rng, limits + 1, limits) for _ in range(number)]
    found = jax.device_get(solve_all(*(np.stack(x) for x in zip(*problems, strict=True))))
    assert {*np.unique(found.case)} >= {RECOVERY, ABOVE, BINDING, FREE}
    checked = 0
    for i, (p, u, c, gram, max_kl) in enumerate(problems):
        x, case = found.coefficients[i], found.case[i]
        assert x @ gram @ x / 2 <= max_kl * (1 + 1e-9)
        start = -np.linalg.solve(gram, u.T @ np.ones(limits)) * 0.1
        if case == RECOVERY:
            # No point of the ball meets all limits: their least worst violation is positive.
            if limits == 1:
                reach = np.sqrt(2 * max_kl * u[0] @ np.linalg.solve(gram, u[0]))
                assert c[0] - reach > -1e-9
                np.testing.assert_allclose(u[0] @ x, -reach, rtol=1e-9)
            continue
        size = np.sqrt(2 * max_kl * np.einsum("ki,ij,kj->k", u, np.linalg.inv(gram), u))
        assert (c + u @ x <= 1e-9 * size).all()
        # The optimum of a convex problem is where its conditions hold.
        nu = found.multipliers[i]
        assert (nu >= 0).all()
        np.testing.assert_allclose(nu * (c + u @ x), 0, atol=1e-7 * np.linalg.norm(p))
        left = p - u.T @ nu
        trust = left @ x / (2 * max_kl)
        assert trust >= -1e-9
        np.testing.assert_allclose(left, trust * gram @ x, atol=1e-7 * np.linalg.norm(p))
        if i < 1000:
            value, feasible = by_slsqp(p, u, c, gram, max_kl, start)
            if feasible:
                checked += 1
                assert p @ x >= value - 1e-6 * np.linalg.norm(p)
    assert checked > 300


def closed_form(q, r, s, c, max_kl):
    """Achiam et al. 2017, Theorem 2, our signs: (λ, ν), or `None` where nothing is feasible."""
    a, b = q - r**2 / s, 2 * max_kl - c**2 / s
    if b < 0:
        return None if c > 0 else (np.sqrt(q / (2 * max_kl)), 0.0)
    candidates = []
    # Where ν > 0: r + λ c > 0.
    for la, inside in ((np.sqrt(a / b), lambda la: r + la * c > 0),):
        if inside(la):
            candidates.append((0.5 * (a / la + b * la) - r * c / s, la, (r + la * c) / s))
    lb = np.sqrt(q / (2 * max_kl))
    if r + lb * c <= 0:
        candidates.append((0.5 * (q / lb + 2 * max_kl * lb), lb, 0.0))
    if not candidates:
        return "border"
    _, la, nu = min(candidates)
    return la, nu


def test_with_exact_directions_it_is_the_source_s_dual(x64):
    """x = (1, −ν)/λ along v = F⁻¹g and w = F⁻¹b."""
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(2000):
        n = 6
        root = rng.normal(size=(n, n))
        fisher, g, b = root @ root.T + 0.1 * np.eye(n), rng.normal(size=n), rng.normal(size=n)
        v, w = np.linalg.solve(fisher, g), np.linalg.solve(fisher, b)
        max_kl = 10 ** rng.uniform(-3, 0)
        c = rng.uniform(-1.6, 1.2) * np.sqrt(2 * max_kl * b @ w)
        dual = closed_form(g @ v, g @ w, b @ w, c, max_kl)
        if dual in (None, "border"):
            continue
        directions = np.stack([v, w])
        gram = directions @ fisher @ directions.T
        found = solve(directions @ g, (directions @ b)[None], np.array([c]), gram, max_kl)
        step = np.asarray(found.coefficients) @ directions
        la, nu = dual
        np.testing.assert_allclose(step, (v - nu * w) / la, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.multipliers[0], nu, rtol=1e-6, atol=1e-9)
        compared += 1
    assert compared > 1200


def test_the_borders(x64):
    p, u, gram = np.array([1.0, 0.3]), np.array([[0.2, 0.9]]), np.array([[2.0, 0.1], [0.1, 1.0]])
    reach = np.sqrt(2 * 0.01 * u[0] @ np.linalg.solve(gram, u[0]))

    def case(c, p=p, u=u, gram=gram):
        found = solve(p, u, np.array([c]), gram, 0.01)
        assert np.isfinite(found.coefficients).all()
        return int(found.case), np.asarray(found.coefficients)

    # The cost exactly at its limit; the plane touches the ball from either side.
    assert case(0.0)[0] == BINDING
    assert case(reach * (1 + 1e-6))[0] == RECOVERY
    number, x = case(reach * (1 - 1e-9))
    assert number == ABOVE
    np.testing.assert_allclose(x, case(reach * (1 + 1e-6))[1], rtol=1e-3)
    free = np.sqrt(2 * 0.01 / (p @ np.linalg.solve(gram, p))) * np.linalg.solve(gram, p)
    np.testing.assert_allclose(case(-reach * (1 + 1e-6))[1], free, rtol=1e-9)
    # A cost that nothing changes.
    number, x = case(-0.1, u=np.zeros((1, 2)))
    assert number == FREE
    np.testing.assert_allclose(x, free, rtol=1e-9)
    number, x = case(0.1, u=np.zeros((1, 2)))
    assert number == STUCK
    np.testing.assert_array_equal(x, 0.0)
    # Both directions are one.
    one = np.ones((2, 2))
    number, x = case(-0.02, p=np.array([1.0, 1.0]), u=np.array([[1.0, 1.0]]), gram=one)
    assert number == BINDING
    np.testing.assert_allclose(x.sum(), 0.02, rtol=1e-6)
    number, x = case(0.02, p=np.array([1.0, 1.0]), u=np.array([[1.0, 1.0]]), gram=one)
    assert number == ABOVE
    np.testing.assert_allclose(x.sum(), -0.02, rtol=1e-6)
    # No gradient of the objective: nothing is gained, and the cost comes down to its limit.
    number, x = case(0.02, p=np.zeros(2))
    assert number == ABOVE
    np.testing.assert_allclose(u[0] @ x, -0.02, rtol=1e-6)


def test_a_recovery_lowers_the_furthest_cost_by_all_that_the_ball_allows(x64):
    rng = np.random.default_rng(3)
    p, u, _, gram, max_kl = problem(rng, 3, 2)
    reach = np.sqrt(2 * max_kl * np.einsum("ki,ij,kj->k", u, np.linalg.inv(gram), u))
    found = solve(p, u, reach * np.array([1.2, 3.0]), gram, max_kl)
    assert int(found.case) == RECOVERY
    np.testing.assert_allclose(u[1] @ found.coefficients, -reach[1], rtol=1e-9)
    np.testing.assert_array_equal(found.multipliers, 0.0)


def test_single_precision_stays_within_the_ball():
    rng = np.random.default_rng(5)
    problems = [problem(rng, 2, 1) for _ in range(2000)]
    stacked = [np.stack(x).astype(np.float32) for x in zip(*problems, strict=True)]
    found = jax.device_get(solve_all(*stacked))
    assert np.isfinite(found.coefficients).all()
    for x, (_, u, c, gram, max_kl), case in zip(
        found.coefficients, problems, found.case, strict=True
    ):
        assert x @ gram @ x / 2 <= max_kl * (1 + 1e-3)
        if case in (ABOVE, BINDING, FREE):
            size = np.sqrt(2 * max_kl * u[0] @ np.linalg.solve(gram, u[0]))
            assert (c + u @ x)[0] <= 1e-3 * size
