"""K-FAC's factors of convolutions against loops over positions, and where they are exact."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from support.images import Convolved, Encoded, image_batch, patches_by_hand
from support.oracles import dense_fisher
from support.problems import HEADS, KEY, forward, normalized, sample
from surefoot.core.geometry import KFAC
from surefoot.core.geometry.hessian_free import fisher_diagonal
from surefoot.core.local_model import LocalModel
from surefoot.core.networks import CNN, GaussianHead, mlp_policy
from surefoot.core.networks.convolution import Window
from surefoot.core.objectives import Surrogate

SHAPE, POSITIONS = (8, 9, 2), 42


@eqx.filter_jit
def direct(kfac, policy, batch):
    """(direction, state, gradient)."""
    local = LocalModel(Surrogate(), policy, batch)
    direction, state, _ = kfac.direction(KEY, local, kfac.init(policy))
    return direction, state, local.grad


@eqx.filter_jit
def diagonal(key, policy, batch):
    return fisher_diagonal(LocalModel(Surrogate(), policy, batch), key)


def cnn():
    """A policy of a CNN and a linear layer over four actions, and a batch."""
    policy = Encoded.of(lambda: CNN(KEY, SHAPE))
    return policy, image_batch(policy, SHAPE)


def by_hand(policy, batch, action):
    """For each layer, the inputs of all rows and the derivatives of log π(a|s) with respect to its
    outputs, [B, P, …] both; backpropagation in NumPy."""
    (w, b), (v, c), (u, d) = [[np.asarray(x) for x in layer] for layer in policy.layers]
    rows = len(action)
    patches = patches_by_hand(np.asarray(batch.obs), Window(3))
    first = patches @ w + b
    hidden = np.maximum(first, 0).reshape(rows, -1)
    second = hidden @ v + c
    features = np.maximum(second, 0)
    p = special.softmax(features @ u + d, axis=-1)
    of_third = np.eye(4)[action] - p
    of_second = of_third @ u.T * (second > 0)
    of_first = (of_second @ v.T).reshape(first.shape) * (first > 0)
    inputs = patches, hidden[:, None], features[:, None]
    return inputs, (of_first, of_second[:, None], of_third[:, None])


def with_one(x):
    return np.append(x, 1.0)


def test_factors_are_sums_over_positions_of_inputs_and_means_of_derivatives(x64):
    policy, batch = cnn()
    action = np.asarray(sample(forward(policy, batch.obs), KEY))
    inputs, cotangents = by_hand(policy, batch, action)
    _, state, _ = direct(KFAC(), policy, batch)
    weight = normalized(batch.weight)
    assert inputs[0].shape[:2] == (6, POSITIONS)
    for a, s, x, c in zip(state.inputs, state.cotangents, inputs, cotangents, strict=True):
        omega, gamma = np.zeros(a.shape), np.zeros(s.shape)
        for row, share in enumerate(weight):
            for position in range(x.shape[1]):
                patch = with_one(x[row, position])
                omega += share * np.outer(patch, patch)
                derivative = c[row, position]
                gamma += share * np.outer(derivative, derivative) / x.shape[1]
        np.testing.assert_allclose(a, omega, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(s, gamma, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(state.inputs[0][-1, -1], POSITIONS, rtol=1e-12)


def test_the_direction_solves_the_damped_factored_system(x64):
    policy, batch = cnn()
    damping = 0.03
    direction, state, grad = direct(KFAC(damping), policy, batch)
    for i, ((w, b), (gw, gb), a, s) in enumerate(
        zip(direction.layers, grad.layers, state.inputs, state.cotangents, strict=True)
    ):
        d, g = np.vstack([w, b]), np.vstack([gw, gb])
        pi = np.sqrt((np.trace(a) / len(a)) / (np.trace(s) / len(s)))
        damped_a = a + pi * np.sqrt(damping) * np.eye(len(a))
        damped_s = s + np.sqrt(damping) / pi * np.eye(len(s))
        np.testing.assert_allclose(damped_a @ d @ damped_s, g, rtol=1e-8, atol=1e-12)
        if i == 0:
            solved = np.linalg.solve(np.kron(damped_a, damped_s), g.ravel())
            np.testing.assert_allclose(d.ravel(), solved, rtol=1e-8, atol=1e-12)
        assert np.abs(d).max() > 1e-4


def test_of_one_position_it_is_a_fully_connected_layers(x64):
    rng = np.random.default_rng(0)
    w, b = jnp.asarray(rng.normal(size=(18, 4))), jnp.asarray(rng.normal(size=4))
    head = HEADS["categorical"]()
    convolved = Convolved(w, b, Window(3), head)
    batch = image_batch(convolved, (3, 3, 2))
    blank = eqx.filter_eval_shape(lambda: mlp_policy(KEY, 18, head, hidden=()))
    dense = eqx.tree_at(lambda p: (p.network.weights[0], p.network.biases[0]), blank, (w, b))
    flat = batch._replace(obs=batch.obs.reshape(len(batch.obs), -1))

    one, other = direct(KFAC(0.03), convolved, batch), direct(KFAC(0.03), dense, flat)
    for a, c in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-10, atol=1e-12)
    assert one[1].inputs[0].shape == (19, 19)


def test_where_derivatives_are_uncorrelated_it_is_the_fisher_matrix(x64):
    """The outputs at each position are the means of Gaussians of their own, with deviations that
    differ by channel alone: all that is assumed of derivatives holds."""
    rng = np.random.default_rng(0)
    window, positions = Window(2), 6
    log_std = np.tile([0.3, -0.5], positions)
    head = eqx.tree_at(
        lambda h: h.raw_log_std, eqx.filter_eval_shape(GaussianHead, 12), jnp.asarray(log_std)
    )
    policy = Convolved(
        jnp.asarray(rng.normal(size=(4, 2))), jnp.asarray(rng.normal(size=2)), window, head
    )
    batch = image_batch(policy, (3, 4, 1), rows=600)
    _, state, _ = direct(KFAC(), policy, batch)
    omega, gamma = np.asarray(state.inputs[0]), np.asarray(state.cotangents[0])

    precision = np.exp(-2 * np.asarray(batch.old.log_std)[0, :2])
    few = jax.tree.map(lambda x: x[:30] if x.ndim else x, batch)
    (of_few,) = direct(KFAC(), policy, few)[1].inputs
    fisher = dense_fisher(policy, few)[:10, :10]
    np.testing.assert_allclose(np.kron(of_few, np.diag(precision)), fisher, rtol=1e-9, atol=1e-9)

    # ∂ = z/σ, z standard normal: the variance of ∂ᵢ∂ⱼ is (1 + [i = j])/(σᵢσⱼ)².
    weight = normalized(batch.weight)
    of_one = np.sqrt(np.outer(precision, precision) * (1 + np.eye(2)))
    error = of_one * np.sqrt(np.sum(weight**2) / positions)
    assert (np.abs(gamma - np.diag(precision)) < 4 * error).all()
    assert 4 * error.max() < 0.3 * precision.max()
    np.testing.assert_allclose(omega[-1, -1], positions, rtol=1e-12)


def test_the_sampled_diagonal_squares_the_rows_sums_over_positions(x64):
    policy, batch = cnn()
    key = jax.random.key(3)
    action = np.asarray(sample(forward(policy, batch.obs), jax.random.split(key)[0]))
    found = diagonal(key, policy, batch)
    weight = normalized(batch.weight)
    inputs, cotangents = by_hand(policy, batch, action)
    for (w, b), x, c in zip(found.layers, inputs, cotangents, strict=True):
        of_w, of_b = np.zeros(w.shape), np.zeros(b.shape)
        for row, share in enumerate(weight):
            of_w += share * (x[row].T @ c[row]) ** 2
            of_b += share * c[row].sum(axis=0) ** 2
        np.testing.assert_allclose(w, of_w, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(b, of_b, rtol=1e-9, atol=1e-14)


def test_the_patches_of_a_batch_are_never_all_there():
    policy, batch = cnn()
    kfac = KFAC()
    for f in (lambda p, b: direct(kfac, p, b), lambda p, b: diagonal(KEY, p, b)):
        text = eqx.filter_jit(f).lower(policy, batch).lowered.as_text()
        assert f"{POSITIONS}x18xf32" in text
        assert f"6x{POSITIONS}x18xf32" not in text


def test_a_batch_that_is_not_finite_enters_no_average(x64):
    policy, batch = cnn()
    obs = np.array(batch.obs)
    obs[0, 0, 0, 0] = np.nan
    _, state, _ = direct(KFAC(), policy, batch._replace(obs=jnp.asarray(obs)))
    assert int(state.batches) == 0
    for moment in (*state.inputs, *state.cotangents):
        assert (np.asarray(moment) == 0).all()
