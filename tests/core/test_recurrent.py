"""Memories against loops over gates, Equinox's cells, finite differences and Hessians of the KL."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from support.problems import KEY, drawn, forward, vector
from surefoot.core.data.types import Batch
from surefoot.core.local_model import LocalModel
from surefoot.core.networks import GRU, LSTM, CategoricalHead, LSTMState
from surefoot.core.objectives import Surrogate

CELLS = {"gru": GRU, "lstm": LSTM}
INPUTS, SIZE, SEGMENTS, LENGTH = 3, 4, 5, 7


def make(kind, seed=0):
    """A cell with all parameters of order one."""
    rng = np.random.default_rng(seed)
    blank = eqx.filter_eval_shape(lambda: CELLS[kind](KEY, INPUTS, SIZE))
    return jax.tree.map(lambda x: jnp.asarray(0.7 * rng.normal(size=x.shape), x.dtype), blank)


def problem(kind, seed=1):
    """(inputs, starts, state before) of segments: one that starts with an episode, one that has
    none, and one in which two rows after the other start one."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(SEGMENTS, LENGTH, INPUTS)).astype(jnp.zeros(()).dtype)
    starts = rng.random((SEGMENTS, LENGTH)) < 0.25
    starts[0, 0], starts[1], starts[2, 3:5] = True, False, True
    parts = rng.normal(size=(2, SEGMENTS, SIZE)).astype(x.dtype)
    return x, starts, LSTMState(*parts) if kind == "lstm" else parts[0]


@eqx.filter_jit
def unrolled(cell, x, starts, state):
    return cell.unroll(x, starts, state)


@eqx.filter_jit
def stepped(cell, x, starts, state):
    return cell.step(x, starts, state)


def gru_by_hand(cell, x, h):
    """One row: Cho et al. 2014, the reset gate after the product."""
    w, u, b, c = map(np.asarray, (cell.input_weight, cell.state_weight, cell.bias, cell.new_bias))
    new = np.zeros(SIZE)
    for j in range(SIZE):
        from_x = [x @ w[:, gate * SIZE + j] + b[gate * SIZE + j] for gate in range(3)]
        from_h = [h @ u[:, gate * SIZE + j] for gate in range(3)]
        reset, update = (special.expit(from_x[gate] + from_h[gate]) for gate in (0, 1))
        candidate = np.tanh(from_x[2] + reset * (from_h[2] + c[j]))
        new[j] = (1 - update) * candidate + update * h[j]
    return new


def lstm_by_hand(cell, x, state):
    """One row: Hochreiter & Schmidhuber 1997, with a forget gate."""
    w, u, b = map(np.asarray, (cell.input_weight, cell.state_weight, cell.bias))
    h, c = state
    new_h, new_c = np.zeros(SIZE), np.zeros(SIZE)
    for j in range(SIZE):
        columns = [gate * SIZE + j for gate in range(4)]
        i, f, g, o = (x @ w[:, k] + h @ u[:, k] + b[k] for k in columns)
        new_c[j] = special.expit(f) * c[j] + special.expit(i) * np.tanh(g)
        new_h[j] = special.expit(o) * np.tanh(new_c[j])
    return new_h, new_c


def unrolled_by_hand(kind, cell, x, starts, state):
    """Features, and the parts of the state, each [S, L, size]."""
    parts = list(state) if kind == "lstm" else [state]
    found = np.zeros((len(parts), *x.shape[:2], SIZE))
    for s in range(len(x)):
        now = [part[s] for part in parts]
        for t in range(x.shape[1]):
            if starts[s, t]:
                now = [np.zeros(SIZE)] * len(parts)
            if kind == "lstm":
                now = list(lstm_by_hand(cell, x[s, t], now))
            else:
                now = [gru_by_hand(cell, x[s, t], now[0])]
            found[:, s, t] = now
    return found[0], found


@pytest.mark.parametrize("kind", CELLS)
def test_it_is_its_equations_row_by_row_and_begins_anew_where_an_episode_starts(kind, x64):
    cell = make(kind)
    x, starts, state = problem(kind)
    features, states = unrolled(cell, x, starts, state)
    expected, parts = unrolled_by_hand(kind, cell, x, starts, state)
    np.testing.assert_allclose(features, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(jax.tree.leaves(states), parts, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-6), (True, 1e-12)])
@pytest.mark.parametrize("kind", CELLS)
def test_a_segment_is_its_rows_one_after_the_other(kind, double, tolerance):
    with jax.enable_x64(double):
        cell = make(kind)
        x, starts, state = problem(kind)
        features, states = jax.tree.map(np.asarray, unrolled(cell, x, starts, state))
        for t in range(LENGTH):
            row, state = stepped(cell, x[:, t], starts[:, t], state)
            np.testing.assert_allclose(features[:, t], row, rtol=0, atol=tolerance)
            for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(state), strict=True):
                np.testing.assert_allclose(a[:, t], b, rtol=0, atol=tolerance)
        assert features.dtype == x.dtype


def equinoxs(kind, cell):
    """Equinox's cell with the same parameters."""
    made = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}[kind]
    blank = eqx.filter_eval_shape(lambda: made(INPUTS, SIZE, key=KEY))

    def parameters(cell):
        found = [cell.weight_ih, cell.weight_hh, cell.bias]
        return [*found, cell.bias_n] if kind == "gru" else found

    ours = [cell.input_weight.T, cell.state_weight.T, cell.bias]
    return eqx.tree_at(parameters, blank, [*ours, cell.new_bias] if kind == "gru" else ours)


@pytest.mark.parametrize("kind", CELLS)
def test_it_is_equinoxs_cell(kind):
    cell = make(kind)
    x, _, state = problem(kind)
    _, after = stepped(cell, x[:, 0], np.zeros(SEGMENTS, bool), state)

    @eqx.filter_jit
    def expected(cell, x, state):
        return jax.vmap(cell)(x, state)

    theirs = expected(equinoxs(kind, cell), x[:, 0], tuple(state) if kind == "lstm" else state)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_at_first_gates_are_orthogonal_and_an_lstm_remembers(kind):
    cell = eqx.filter_jit(CELLS[kind])(KEY, INPUTS, SIZE)
    for weight in (cell.input_weight, cell.state_weight):
        for gate in np.split(np.asarray(weight), weight.shape[1] // SIZE, axis=1):
            np.testing.assert_allclose(gate @ gate.T, np.eye(len(gate)), atol=1e-5)
    bias = np.zeros(cell.bias.shape)
    if kind == "lstm":
        bias[SIZE : 2 * SIZE] = 1
    np.testing.assert_array_equal(cell.bias, bias)
    state = cell.initial(6)
    assert len(jax.tree.leaves(state)) == {"gru": 1, "lstm": 2}[kind]
    for leaf in jax.tree.leaves(state):
        np.testing.assert_array_equal(leaf, np.zeros((6, SIZE)))
    assert cell.features == SIZE


@pytest.mark.parametrize("kind", CELLS)
def test_nothing_from_before_an_episode_is_in_it(kind, x64):
    """Neither a value, where it is no number, nor a derivative."""
    cell = make(kind)
    x, starts, state = problem(kind)
    starts[:, 3] = True
    broken = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), state)
    features, _ = unrolled(cell, x, starts, state)
    same, _ = unrolled(cell, x, starts, broken)
    np.testing.assert_array_equal(np.asarray(features)[:, 3:], np.asarray(same)[:, 3:])

    @eqx.filter_jit
    def slopes(cell, x, starts, state):
        def later(x, state):
            return jnp.sum(jnp.sin(cell.unroll(x, starts, state)[0][:, 3:]))

        return jax.grad(later, (0, 1))(x, state)

    of_x, of_state = slopes(cell, x, starts, state)
    assert (np.asarray(of_x)[:, :3] == 0).all()
    assert (np.abs(np.asarray(of_x)[:, 3:]).max(axis=(0, 2)) > 0).all()
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(of_state))


@pytest.mark.parametrize("kind", CELLS)
def test_gradients_are_finite_differences(kind, x64):
    cell = make(kind)
    x, starts, state = problem(kind)
    weights = np.random.default_rng(2).normal(size=(SEGMENTS, LENGTH, SIZE))

    @eqx.filter_jit
    def loss(at):
        cell, x, state = at
        features, states = cell.unroll(x, jnp.asarray(starts), state)
        return jnp.sum(weights * features) + sum(jnp.sum(s**2) for s in jax.tree.leaves(states))

    at = (cell, x, state)
    gradient = vector(eqx.filter_jit(jax.grad(loss))(at))
    rng = np.random.default_rng(3)
    for _ in range(4):
        v = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), at)
        ahead, behind = (jax.tree.map(lambda a, b, h=h: a + h * b, at, v) for h in (1e-5, -1e-5))
        slope = (float(loss(ahead)) - float(loss(behind))) / 2e-5
        direction = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(v)])
        np.testing.assert_allclose(gradient @ direction, slope, rtol=1e-7)


class Recurrent(eqx.Module):
    """A policy that remembers: segments of rows to the distributions of all rows, one segment after
    the other."""

    memory: eqx.Module
    w: jax.Array
    head: eqx.Module = CategoricalHead(4)

    def __call__(self, obs):
        features, _ = self.memory.unroll(*obs)
        return self.head(features.reshape(-1, SIZE) @ self.w)


@pytest.mark.parametrize("kind", CELLS)
def test_a_fisher_product_is_the_hessian_of_the_kl(kind, x64):
    rng = np.random.default_rng(4)
    policy = Recurrent(make(kind), jnp.asarray(rng.normal(size=(SIZE, 4))))
    obs = jax.tree.map(jnp.asarray, problem(kind))
    rows = SEGMENTS * LENGTH
    old = forward(policy, obs)
    weight = jnp.asarray(np.arange(rows) % 3 != 1, float)
    advantage = jnp.asarray(rng.normal(size=rows))
    batch = Batch(obs, drawn(old, rng), old, advantage, weight, jnp.zeros(()))

    @eqx.filter_jit
    def products(policy, batch, v):
        def kl(theta):
            share = batch.weight / jnp.sum(batch.weight)
            return share @ policy(batch.obs).kl(theta(batch.obs))

        local = LocalModel(Surrogate(), policy, batch)
        return local.fvp(v), local.curvature(v), jax.jvp(jax.grad(kl), (policy,), (v,))[1]

    v = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), policy)
    product, curvature, hessian = products(policy, batch, v)
    assert np.linalg.norm(vector(hessian)) > 1e-3
    np.testing.assert_allclose(vector(product), vector(hessian), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(curvature, vector(v) @ vector(hessian), rtol=1e-9)


@pytest.mark.parametrize("kind", CELLS)
def test_a_population_remembers_each_its_own(kind):
    cells = [make(kind, seed) for seed in range(3)]
    problems = [problem(kind, seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *cells)
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *problems)

    @eqx.filter_jit
    def each(cells, problems):
        return jax.vmap(lambda cell, problem: cell.unroll(*problem))(cells, problems)

    found = jax.tree.map(np.asarray, each(stacked, together))
    for i, (cell, one) in enumerate(zip(cells, problems, strict=True)):
        alone = jax.tree.leaves(unrolled(cell, *one))
        for a, b in zip(jax.tree.leaves(found), alone, strict=True):
            np.testing.assert_allclose(a[i], b, rtol=0, atol=1e-6)
