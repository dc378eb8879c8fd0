"""The product whose linearization keeps its left factor both ways round, against the plain one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surefoot.core.networks.matmul import matmul_with_transpose

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)

ORDERS = {
    "value": lambda f: f,
    "backward": lambda f: jax.grad(f, (0, 1)),
    "forward": lambda f: jax.jacfwd(f, (0, 1)),
    "forward over backward": lambda f: jax.hessian(f, (0, 1)),
    "backward over forward": lambda f: jax.jacrev(jax.jacfwd(f, (0, 1)), (0, 1)),
    "backward over backward": lambda f: jax.jacrev(jax.grad(f, (0, 1)), (0, 1)),
    "many at once": lambda f: jax.vmap(f, (None, 0)),
}


def loss(product):
    """Has every second derivative, each factor's change through both factors."""
    return lambda x, w: jnp.sum(jnp.sin(product(jnp.tanh(product(x, w)), w.T)))


@pytest.mark.parametrize("order", ORDERS)
def test_every_derivative_is_that_of_the_plain_product(x64, order):
    x, w = X.astype(float), W.astype(float)
    if order == "many at once":
        w = np.stack([w, -w, 2 * w])

    @jax.jit
    def both(x, w):
        return [ORDERS[order](loss(f))(x, w) for f in (matmul_with_transpose, jnp.matmul)]

    ours, plain = both(x, w)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_factors_of_two_types_meet_in_the_wider(x64):
    # Promotion is what is under test here.
    for x, w in ((X, W.astype(float)), (X.astype(float), W)):
        with jax.numpy_dtype_promotion("standard"):
            product = jax.jit(matmul_with_transpose)(x, w)
        assert product.dtype == float
        np.testing.assert_allclose(product, x @ w, rtol=1e-12)


def test_a_batch_of_problems_is_one_after_the_other():
    gradient = jax.grad(loss(matmul_with_transpose), (0, 1))
    xs, ws = np.stack([X, 2 * X]), np.stack([W, -W])
    together = jax.tree.map(np.asarray, jax.jit(jax.vmap(gradient))(xs, ws))
    alone = jax.jit(gradient)
    for i in range(2):
        for a, b in zip(together, alone(xs[i], ws[i]), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)


def test_backwards_it_multiplies_with_the_transpose_that_it_kept():
    _, linear = jax.linearize(lambda w: matmul_with_transpose(jnp.asarray(X), w), jnp.asarray(W))
    back = jax.linear_transpose(linear, W)
    jaxpr = jax.make_jaxpr(back)(np.ones((5, 4), np.float32))
    (equation,) = [e for e in jaxpr.eqns if "product" in e.primitive.name]
    assert [v.aval.shape for v in equation.invars] == [(3, 5), (5, 3), (5, 4)]
    assert not any(e.primitive.name == "transpose" for e in jaxpr.eqns)
