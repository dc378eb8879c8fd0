"""K-FAC's factors against the batch's moments, the exact Fisher matrix and its inverse."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.kfac import cartpole_batches, cosines
from support.oracles import dense_fisher
from support.problems import (
    FEW,
    KEY,
    KINDS,
    forward,
    make_batch,
    make_policy,
    normalized,
    vector,
)
from support.suites import cases
from surefoot.core.geometry import KFAC
from surefoot.core.geometry.kfac import fisher_block
from surefoot.core.local_model import LocalModel
from surefoot.core.networks import StateGaussianHead, mlp_policy
from surefoot.core.objectives import Surrogate
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.spaces.action_heads import action_head


@eqx.filter_jit
def begin(kfac, policy):
    return kfac.init(policy)


@eqx.filter_jit
def advance(kfac, policy, batch, state):
    local = LocalModel(Surrogate(), policy, batch)
    return *kfac.direction(KEY, local, state), local.grad


def direct(kfac, policy, batch, state=None):
    """(direction, state, info, gradient)."""
    state = begin(kfac, policy) if state is None else state
    return jax.tree.map(np.asarray, advance(kfac, policy, batch, state))


@eqx.filter_jit
def block(policy, batch, chosen):
    return fisher_block(LocalModel(Surrogate(), policy, batch), chosen)


def with_bias(x):
    return np.concatenate([np.asarray(x), np.ones((len(x), 1))], axis=1)


def weighted_moment(x, weight):
    return sum(w * np.outer(row, row) for w, row in zip(normalized(weight), x, strict=True))


def test_the_factors_of_a_linear_gaussian_policy_are_its_fisher_matrix(x64):
    policy = make_policy("gaussian", hidden=())
    batch = make_batch(policy, rows=4000)
    _, state, _, _ = direct(KFAC(), policy, batch)
    (a,), (s,) = state.inputs, state.cotangents
    np.testing.assert_allclose(a, weighted_moment(with_bias(batch.obs), batch.weight), atol=1e-6)

    inverse_variance = np.exp(-2 * np.asarray(batch.old.log_std)[0])
    weight = normalized(batch.weight)
    # ∂ = z/σ with z standard normal: Var[∂ᵢ∂ⱼ] = (1 + [i = j])/(σᵢσⱼ)², an average of n samples.
    scale = np.sqrt(np.outer(inverse_variance, inverse_variance))
    error = np.sqrt(np.sum(weight**2)) * scale * np.sqrt(1 + np.eye(2))
    assert (np.abs(s - np.diag(inverse_variance)) < 4 * error).all()
    assert (np.abs(s - np.diag(inverse_variance)) > 0).any()

    fisher = dense_fisher(policy, batch)
    layer = policy.layers[0][0].size + policy.layers[0][1].size
    kron = np.kron(np.asarray(a), np.diag(inverse_variance))
    np.testing.assert_allclose(kron, fisher[:layer, :layer], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_the_direction_solves_the_damped_factored_system(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    damping = 0.03
    direction, state, info, grad = direct(KFAC(damping), policy, batch)
    for (w, b), (gw, gb), a, s in zip(
        direction.layers, grad.layers, state.inputs, state.cotangents, strict=True
    ):
        d, g = np.vstack([w, b]), np.vstack([gw, gb])
        pi = np.sqrt((np.trace(a) / len(a)) / (np.trace(s) / len(s)))
        damped_a = a + pi * np.sqrt(damping) * np.eye(len(a))
        damped_s = s + np.sqrt(damping) / pi * np.eye(len(s))
        np.testing.assert_allclose(np.kron(damped_a, damped_s) @ d.ravel(), g.ravel(), rtol=1e-8)
    g, d = vector(grad), vector(direction)
    np.testing.assert_allclose(info.grad_norm, np.linalg.norm(g))
    expected = g @ d / np.linalg.norm(g) / np.linalg.norm(d)
    np.testing.assert_allclose(info.grad_cosine, expected)
    assert expected > 0


def test_a_log_std_of_its_own_has_its_exact_block(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    direction, _, _, grad = direct(KFAC(0.03), policy, batch)
    own = dense_fisher(policy, batch)[-2:, -2:]
    expected = np.linalg.solve(own + 0.03 * np.eye(2), np.asarray(grad.head.raw_log_std))
    np.testing.assert_allclose(direction.head.raw_log_std, expected, rtol=1e-8)


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_a_block_is_the_dense_fisher_matrixs(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    everything = jax.tree.map(lambda _: True, policy)
    expected = dense_fisher(policy, batch)
    np.testing.assert_allclose(block(policy, batch, everything), expected, atol=1e-12)


def test_a_state_dependent_log_std_belongs_to_its_layers_factor(x64):
    head = StateGaussianHead(2, log_std=-0.5)
    policy = eqx.filter_jit(mlp_policy)(KEY, 3, head, hidden=(4,))
    fresh = forward(policy, np.zeros((1, 3)))
    np.testing.assert_allclose(fresh.log_std, -0.5, atol=0.02)
    rng = np.random.default_rng(0)
    policy = jax.tree.map(lambda x: jnp.asarray(0.6 * rng.normal(size=x.shape)), policy)
    batch = make_batch(policy, rows=4000)
    assert np.ptp(np.asarray(batch.old.log_std)[:, 0]) > 0.01
    direction, state, _, _ = direct(KFAC(), policy, batch)
    assert state.cotangents[-1].shape == (4, 4)
    assert np.isfinite(vector(direction)).all()
    # Mean and log σ are independent in the metric: 1/σ² and 2, times the square of dlog σ/draw.
    weight = normalized(batch.weight)
    log_std = np.asarray(batch.old.log_std)
    slope = 1 - (log_std / 10.0) ** 2
    exact = np.concatenate([np.exp(-2 * log_std), 2 * slope**2], axis=1)
    np.testing.assert_allclose(np.diag(state.cotangents[-1]), weight @ exact, rtol=0.15)
    assert np.abs(np.asarray(state.cotangents[-1])[:2, 2:]).max() < 0.3


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_factors_see_the_policys_actions_and_not_the_batchs(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    other = batch._replace(
        action=jax.tree.map(lambda x: np.asarray(x)[::-1], batch.action),
        advantage=-np.asarray(batch.advantage),
    )
    _, state, _, _ = direct(KFAC(), policy, batch)
    _, same, _, _ = direct(KFAC(), policy, other)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_without_weight_count_in_no_factor(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    shifted = np.where(np.asarray(batch.weight)[:, None] > 0, batch.obs, 100.0)
    _, state, _, _ = direct(KFAC(), policy, batch)
    _, same, _, _ = direct(KFAC(), policy, batch._replace(obs=shifted))
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(same), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_averages_are_the_mean_at_first_and_then_exponential(x64):
    policy = make_policy("gaussian")
    batches = [make_batch(policy, seed) for seed in range(5)]
    moments = [weighted_moment(with_bias(b.obs), b.weight) for b in batches]
    kfac, state = KFAC(0.1, 0.75), None
    for batch in batches[:4]:
        _, state, _, _ = direct(kfac, policy, batch, state)
    np.testing.assert_allclose(state.inputs[0], np.mean(moments[:4], axis=0), rtol=1e-10)
    _, after, _, _ = direct(kfac, policy, batches[4], state)
    expected = 0.75 * np.mean(moments[:4], axis=0) + 0.25 * moments[4]
    np.testing.assert_allclose(after.inputs[0], expected, rtol=1e-10)

    nothing = batches[4]._replace(weight=np.zeros(16))
    direction, unmoved, _, _ = direct(kfac, policy, nothing, after)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(unmoved), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (vector(direction) == 0).all()


@pytest.mark.slow
def test_kfac_is_closer_to_the_natural_direction_than_the_gradient_is(x64):
    env = DEVICE_ENVS["CartPole-v1"]
    policy = eqx.filter_jit(mlp_policy)(jax.random.key(0), 4, action_head(env.action_space))
    # CartPole computes in single precision whatever the policy does.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = cosines(policy, cartpole_batches(policy, 20))
    assert [damping for damping, _, _ in found] == [0.1, 0.01, 0.001]
    assert found[0][1] >= 0.8
    for damping, kfac, gradient in found:
        assert kfac > gradient, damping


def test_a_batch_that_is_not_finite_enters_no_average(x64):
    policy = make_policy("gaussian")
    batches = [make_batch(policy, seed) for seed in range(2)]
    kfac = KFAC()
    _, state, _, _ = direct(kfac, policy, batches[0])
    obs = np.array(batches[1].obs)
    obs[0, 0] = np.nan
    broken = batches[1]._replace(obs=obs)
    _, kept, _, _ = direct(kfac, policy, broken, state)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(kept), strict=True):
        np.testing.assert_array_equal(a, b)
    direction, after, _, _ = direct(kfac, policy, batches[1], kept)
    assert np.isfinite(vector(direction)).all()
    assert int(after.batches) == 2
