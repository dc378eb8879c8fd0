"""What helps conjugate gradient: stopping by progress, a diagonal, a start that is not zero."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from support.oracles import dense_fisher, jacobian
from support.problems import (
    FEW,
    KEY,
    KINDS,
    forward,
    make_batch,
    make_policy,
    normalized,
    unraveled,
    vector,
)
from support.suites import cases
from surefoot.common.errors import UsageError
from surefoot.core.geometry import CG, Cholesky, Fisher
from surefoot.core.geometry.hessian_free import diagonal_preconditioner, fisher_diagonal, refined_cg
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Surrogate
from surefoot.methods.recipes import NPG, TRPO

SIZE = 40


def system(spread, seed=0, size=SIZE):
    """A positive definite matrix whose diagonal, in a random order, spans that many powers of
    ten, and a right-hand side."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(size, size)) / size
    scale = 10 ** rng.uniform(-spread / 2, spread / 2, size)
    matrix = (np.eye(size) + mixed @ mixed.T) * np.outer(scale, scale)
    return matrix, rng.normal(size=size)


def textbook(matrix, b, steps, inverse=None, x=None):
    """All iterates of preconditioned conjugate gradient (Golub & Van Loan, algorithm 11.5.1)."""
    inverse = np.eye(len(b)) if inverse is None else inverse
    x = np.zeros_like(b) if x is None else x
    r = b - matrix @ x
    found, z = [x], inverse @ r
    p = z
    for _ in range(steps):
        alpha = r @ z / (p @ matrix @ p)
        x = x + alpha * p
        after = r - alpha * matrix @ p
        z_after = inverse @ after
        p = z_after + (after @ z_after) / (r @ z) * p
        r, z = after, z_after
        found.append(x)
    return found


def model(matrix, b, x):
    return 0.5 * x @ matrix @ x - b @ x


@eqx.filter_jit
def cg(matrix, b, steps, tolerance=0.0, progress=None, scale=None, y0=None):
    """`refined_cg` of a dense system, as a tree of two parts."""

    def halves(v):
        return v[:15], v[15:]

    def product(v):
        return halves(matrix @ jnp.concatenate(v))

    preconditioner = None
    if scale is not None:
        preconditioner = lx.FunctionLinearOperator(
            lambda r: halves(scale * jnp.concatenate(r)),
            jax.eval_shape(halves, b),
            lx.positive_semidefinite_tag,
        )
    x, stats = refined_cg(
        product,
        halves(b),
        steps,
        tolerance,
        progress,
        preconditioner=preconditioner,
        y0=None if y0 is None else halves(y0),
    )
    return jnp.concatenate(x), stats["num_steps"], stats["residual"]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_it_is_the_textbook_iteration(steps, scaled, x64):
    matrix, b = system(1.0)
    scale = np.diag(matrix) ** -0.75 if scaled else None
    expected = textbook(matrix, b, steps, None if scale is None else np.diag(scale))[-1]
    x, taken, residual = cg(matrix, b, steps, scale=scale)
    np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(residual, np.linalg.norm(b - matrix @ expected), rtol=1e-8)
    assert taken == steps


def test_what_it_lowers_falls_at_every_iteration(x64):
    matrix, b = system(2.0)
    for scale in (None, np.diag(matrix) ** -0.75):
        iterates = [np.asarray(cg(matrix, b, steps, scale=scale)[0]) for steps in range(12)]
        values = [model(matrix, b, x) for x in iterates]
        assert (np.diff(values) < 0).all()


def test_the_diagonal_solves_in_fewer_iterations_what_its_spread_makes_hard(x64):
    matrix, b = system(4.0)
    plain = cg(matrix, b, 500, tolerance=1e-8)
    helped = cg(matrix, b, 500, tolerance=1e-8, scale=np.diag(matrix) ** -0.75)
    for x, _, residual in (plain, helped):
        np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-4)
        assert residual <= 1e-8 * np.linalg.norm(b)
    assert helped[1] < 0.5 * plain[1]


def stop_by_hand(values, epsilon):
    """The iteration of Martens' rule, from φ of all iterates; the last one where there is none."""
    for i, value in enumerate(values):
        k = max(10, int(np.ceil(i / 10)))
        if i > k and value < 0 and (value - values[i - k]) / value < k * epsilon:
            return i
    return len(values) - 1


@pytest.mark.parametrize(("size", "epsilon", "near"), [(SIZE, 3e-2, 0), (200, 5e-3, 3)])
def test_it_stops_where_the_last_iterations_gained_little(size, epsilon, near, x64):
    # The larger one so late that the window is more than ten iterations, and rounding is seen.
    matrix, b = system(3.0, size=size)
    iterates = textbook(matrix, b, 190)
    expected = stop_by_hand([model(matrix, b, x) for x in iterates], epsilon)
    x, taken, _ = cg(matrix, b, 190, progress=epsilon)
    assert (expected > 100) == (size > 100)
    assert 11 < expected < 190
    assert abs(int(taken) - expected) <= near
    reached = model(matrix, b, iterates[expected])
    np.testing.assert_allclose(model(matrix, b, np.asarray(x)), reached, rtol=0.05)


@pytest.mark.parametrize(("steps", "epsilon"), [(10, 1e3), (60, 0.0)])
def test_ten_iterations_and_no_demand_never_stop_early(steps, epsilon, x64):
    matrix, b = system(3.0)
    x, taken, _ = cg(matrix, b, steps, progress=epsilon)
    assert taken == steps
    np.testing.assert_array_equal(x, cg(matrix, b, steps)[0])


def test_a_start_at_the_solution_takes_no_iteration_and_one_near_it_fewer(x64):
    matrix, b = system(3.0)
    solution = np.linalg.solve(matrix, b)
    x, taken, _ = cg(matrix, b, 100, tolerance=1e-8, y0=solution)
    assert taken == 0
    np.testing.assert_array_equal(x, solution)
    near = cg(matrix, b, 500, tolerance=1e-8, y0=0.95 * solution)
    assert 1 < near[1] < cg(matrix, b, 500, tolerance=1e-8)[1]
    expected = textbook(matrix, b, 3, x=0.95 * solution)[-1]
    np.testing.assert_allclose(
        cg(matrix, b, 3, y0=0.95 * solution)[0], expected, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("factor", [-1.0, 2.5, np.nan])
def test_a_start_that_is_worse_than_zero_is_left_out(factor, x64):
    matrix, b = system(1.0)
    start = factor * np.linalg.solve(matrix, b)
    for one, other in zip(cg(matrix, b, 4, y0=start), cg(matrix, b, 4), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_right_hand_side_of_zero_is_solved_by_zero():
    matrix, b = system(1.0)
    for y0 in (None, np.float32(b)):
        zero = np.zeros_like(b, np.float32)
        x, taken, residual = cg(np.float32(matrix), zero, 50, progress=5e-4, scale=zero + 1, y0=y0)
        np.testing.assert_array_equal(x, 0.0)
        assert taken == residual == 0


@eqx.filter_jit
def direction(fisher, policy, batch, state):
    local = LocalModel(Surrogate(), policy, batch)
    return fisher.direction(KEY, local, state)


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_with_all_of_it_the_damped_system_is_solved_as_by_cholesky(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    exact = vector(direction(Fisher(Cholesky(), 0.05), policy, batch, None)[0])
    solver = CG(500, tolerance=1e-12, progress=0.0)
    fisher = Fisher(solver, 0.05, preconditioner=True, warm_start=1.0)
    state = fisher.init(policy)
    np.testing.assert_array_equal(vector(state), 0.0)
    found, state, info = direction(fisher, policy, batch, state)
    np.testing.assert_allclose(vector(found), exact, rtol=1e-8, atol=1e-10)
    assert info.cg_steps > 1
    assert info.relative_residual <= 1e-12
    np.testing.assert_array_equal(vector(state), vector(found))
    # The same system again, begun at its solution.
    again, _, info = direction(fisher, policy, batch, state)
    assert info.cg_steps == 0
    np.testing.assert_array_equal(vector(again), vector(found))


def test_undamped_the_preconditioner_is_finite(x64):
    policy = make_policy("categorical")
    batch = make_batch(policy)
    found, _, info = direction(Fisher(CG(5), 0.0, preconditioner=True), policy, batch, None)
    assert np.isfinite(vector(found)).all()
    nothing = batch._replace(weight=np.zeros(16))
    found, _, info = direction(Fisher(CG(5), 0.0, preconditioner=True), policy, nothing, None)
    np.testing.assert_array_equal(vector(found), 0.0)
    assert info.cg_steps == 0


@eqx.filter_jit
def diagonals(policy, batch, keys):
    def one(key):
        return fisher_diagonal(LocalModel(Surrogate(), policy, batch), key)

    return jax.vmap(one)(keys)


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_the_sampled_diagonal_is_the_fisher_matrixs_on_average(kind, x64):
    draws = 4000
    policy = make_policy(kind)
    batch = make_batch(policy)
    expected = np.diag(dense_fisher(policy, batch))
    sampled = diagonals(policy, batch, jax.random.split(KEY, draws))
    columns = np.concatenate(
        [np.asarray(leaf).reshape(draws, -1) for leaf in jax.tree.leaves(sampled)], axis=1
    )
    error = columns.std(axis=0) / np.sqrt(draws)
    assert (np.abs(columns.mean(axis=0) - expected) <= 5 * error + 1e-9).all()
    assert (expected > 1e-3).any()
    if kind == "gaussian":
        # Of log σ, outside of all layers, every draw is exact: its block is diagonal.
        exact = unraveled(policy, expected).head.raw_log_std
        found = np.asarray(sampled.head.raw_log_std)
        np.testing.assert_allclose(found, np.tile(exact, (draws, 1)), rtol=1e-9)


def test_one_draw_of_the_diagonal_is_the_sum_of_squared_gradients(x64):
    """For the actions that the key draws, row by row."""
    policy = make_policy("categorical")
    batch = make_batch(policy)
    (found,) = np.asarray(vector(diagonals(policy, batch, KEY[None])))[None]
    dist = forward(policy, batch.obs)
    leaves = map(np.asarray, jax.tree.leaves(jacobian(policy, batch.obs)))
    j = np.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=-1)
    drawn = np.asarray(dist.sample(jax.random.split(KEY)[0]))
    p = np.exp(np.asarray(jax.nn.log_softmax(dist.logits)))
    score = np.eye(p.shape[-1])[drawn] - p
    squares = np.einsum("bi,bip->bp", score, j) ** 2
    np.testing.assert_allclose(found, normalized(batch.weight) @ squares, rtol=1e-8, atol=1e-14)


@eqx.filter_jit
def preconditioned(policy, batch, damping):
    """diag(F) and M⁻¹ times the gradient."""
    local = LocalModel(Surrogate(), policy, batch)
    product = diagonal_preconditioner(local, KEY, damping).mv(local.grad)
    return fisher_diagonal(local, KEY), local.grad, product


def test_the_preconditioner_divides_by_the_damped_diagonal_to_the_three_quarters(x64):
    policy = make_policy("gaussian")
    found = preconditioned(policy, make_batch(policy), jnp.asarray(0.05))
    diagonal, grad, product = map(vector, found)
    np.testing.assert_allclose(product, grad / (diagonal + 0.05) ** 0.75, rtol=1e-12)


def test_the_preconditioner_helps_where_observations_have_unlike_units(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy, rows=60)
    batch = batch._replace(obs=batch.obs * np.asarray([[30.0, 1.0, 0.05]]))
    batch = batch._replace(old=forward(policy, batch.obs))
    steps = [
        int(direction(Fisher(CG(500), 1e-3, preconditioner=on), policy, batch, None)[2].cg_steps)
        for on in (False, True)
    ]
    assert steps[1] < 0.8 * steps[0]


@pytest.mark.parametrize("progress", [-1e-3, float("nan"), float("inf")])
def test_a_progress_that_is_none_is_refused(progress):
    with pytest.raises(UsageError, match=r"^progress is .*; accepted is a finite number >= 0$"):
        CG(50, progress=progress)


@pytest.mark.parametrize("warm_start", [-0.1, 1.5, float("nan")])
def test_a_warm_start_that_is_no_part_is_refused(warm_start):
    with pytest.raises(UsageError, match=r"^warm_start is .*; accepted is a number in \[0, 1\]$"):
        Fisher(CG(10), warm_start=warm_start)


@pytest.mark.parametrize("options", [{"preconditioner": True}, {"warm_start": 0.95}])
def test_cholesky_needs_no_help(options):
    with pytest.raises(UsageError, match="accepted with the solver CG only"):
        Fisher(Cholesky(), **options)


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ({"cg_progress": True}, "CG(50, progress=0.0005)"),
        ({"cg_progress": True, "cg_steps": 80}, "CG(80, progress=0.0005)"),
        ({"cg_preconditioner": True}, "CG(10), preconditioner=True"),
        ({"cg_warm_start": True, "cg_steps": 5}, "CG(5), warm_start=0.95"),
    ],
)
def test_the_recipes_options_are_the_parts(options, printed):
    for recipe in (NPG, TRPO):
        assert f"Fisher({printed})" in repr(recipe(**options).build())


@pytest.mark.parametrize("name", ["cg_progress", "cg_preconditioner", "cg_warm_start"])
def test_the_exact_solver_takes_no_option_of_conjugate_gradient(name):
    with pytest.raises(UsageError, match=f"^{name} is True; accepted with solver 'exact' is False"):
        TRPO(solver="exact", **{name: True}).build()
