"""Objectives: their gradients at and away from θ_old, and their values by NumPy loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from support.oracles import jacobian, kl_by_hand, log_prob_by_hand, metric_by_hand
from support.problems import (
    FEW,
    KEY,
    KINDS,
    drawn,
    forward,
    make_batch,
    make_distribution,
    make_policy,
    normalized,
    unraveled,
    vector,
)
from support.suites import cases
from surefoot.core.data.types import Batch
from surefoot.core.distributions import Categorical, DiagGaussian
from surefoot.core.geometry import Euclidean
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import (
    Clipped,
    EntropyBonus,
    KLPenalized,
    Likelihood,
    RatioPenalized,
    Score,
    Surrogate,
    TrustRegionGradient,
)
from surefoot.core.step_size import Fixed
from surefoot.core.updates import Step

OBJECTIVES = {
    "score": Score,
    "surrogate": Surrogate,
    "clipped": Clipped,
    "ratio penalized": RatioPenalized,
    "likelihood": Likelihood,
    "entropy bonus": lambda: EntropyBonus(Surrogate(), 0.3),
    "KL penalized": lambda: KLPenalized(Surrogate(), 0.7),
}


@eqx.filter_jit
def value(objective, dist, batch):
    return objective(dist, batch)


@eqx.filter_jit
def reported(objective, dist, batch):
    return objective.diagnostics(dist, batch)


@eqx.filter_jit
def project(objective, dist, batch):
    return objective.projected(dist, batch)


@eqx.filter_jit
def gradients(objectives, policy, batch):
    return [LocalModel(objective, policy, batch).grad for objective in objectives]


def rows(old, action, advantage):
    """A batch of distributions' worth, for objectives alone."""
    n = len(advantage)
    return Batch(
        obs=jnp.asarray(np.zeros((n, 1))),
        action=jax.tree.map(jnp.asarray, action),
        old=old,
        advantage=jnp.asarray(advantage),
        weight=jnp.asarray(np.ones(n)),
        progress=jnp.asarray(np.zeros(())),
    )


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_score_surrogate_clipped_and_ratio_penalized_have_one_gradient_at_the_old_policy(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    objectives = Score(), Surrogate(), Clipped(), RatioPenalized()
    score, *others = map(vector, gradients(objectives, policy, batch))
    assert np.linalg.norm(score) > 0.01
    for other in others:
        np.testing.assert_allclose(other, score, rtol=0, atol=1e-10)


#: What every run of the tests has of the crossing: the two in which derivatives of the entropy and
#: of the KL occur with each distribution, the others with one or two.
FAST = {
    "categorical": ("score", "clipped", "entropy bonus", "KL penalized"),
    "multicategorical": ("likelihood", "entropy bonus", "KL penalized"),
    "bernoulli": ("surrogate", "ratio penalized", "entropy bonus", "KL penalized"),
    "gaussian": ("clipped", "likelihood", "entropy bonus", "KL penalized"),
    "tanh_gaussian": ("entropy bonus", "KL penalized"),
    "beta": ("likelihood", "entropy bonus", "KL penalized"),
    "masked": ("score", "entropy bonus", "KL penalized"),
    "product": ("surrogate", "entropy bonus", "KL penalized"),
}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        *FAST.items(),
        *(pytest.param(kind, (*OBJECTIVES,), marks=pytest.mark.slow) for kind in KINDS),
    ],
)
def test_gradients_away_from_the_old_policy_are_those_of_finite_differences(kind, names, x64):
    batch = make_batch(make_policy(kind))
    policy = make_policy(kind, 1, near=make_policy(kind))
    theta = vector(policy)
    epsilon, directions = 1e-5, np.random.default_rng(0).normal(size=(6, theta.size))
    ends = np.stack([theta + s * epsilon * directions for s in (1, -1)]).reshape(-1, theta.size)
    objectives = [OBJECTIVES[name]() for name in names]

    @jax.jit
    def values_and_gradients(theta, ends):
        def values(t):
            dist = unraveled(policy, t)(batch.obs)
            # The batch mean by itself, not the one under test.
            return jnp.stack([o(dist, batch) @ batch.weight for o in objectives])

        gradients = [LocalModel(o, unraveled(policy, theta), batch).grad for o in objectives]
        return jax.vmap(values)(ends) / jnp.sum(batch.weight), gradients

    values, gradients = values_and_gradients(theta, ends)
    plus, minus = np.split(np.asarray(values), 2)
    differences = (plus - minus) / (2 * epsilon)
    for name, gradient, difference in zip(names, gradients, differences.T, strict=True):
        along = directions @ vector(gradient)
        np.testing.assert_allclose(along, difference, rtol=1e-6, atol=1e-8, err_msg=name)
        assert np.max(np.abs(along)) > 0.01, name


def clipped_case(ratios, advantages):
    """Two actions, the first one taken: probability 0.4 before and 0.4·ratio now."""
    old = np.full(len(ratios), 0.4)
    new = old * ratios

    def dist(p):
        return Categorical(jnp.asarray(np.log(np.stack([p, 1 - p], axis=-1))))

    return dist(new), rows(dist(old), np.zeros(len(ratios), int), advantages)


def test_clipped_takes_the_lower_of_the_two_on_every_side_and_for_every_sign(x64):
    clip, ratios, advantages = 0.2, [], []
    for r in (0.3, 0.79, 0.81, 1.0, 1.19, 1.21, 2.0):
        for a in (-2.0, 0.0, 1.5):
            ratios.append(r)
            advantages.append(a)
    dist, batch = clipped_case(np.asarray(ratios), np.asarray(advantages))
    expected, outside = [], []
    for r, a in zip(ratios, advantages, strict=True):
        bounded = r
        if r > 1 + clip:
            bounded = 1 + clip
        if r < 1 - clip:
            bounded = 1 - clip
        expected.append(r * a if r * a < bounded * a else bounded * a)
        outside.append(float(r < 1 - clip or r > 1 + clip))

    objective = Clipped(clip)
    np.testing.assert_allclose(value(objective, dist, batch), expected, rtol=1e-12)
    np.testing.assert_array_equal(reported(objective, dist, batch)["clip_fraction"], outside)
    assert 0 < np.mean(outside) < 1


def test_clipped_has_no_gradient_exactly_where_leaving_the_interval_would_gain(x64):
    ratios = np.asarray([0.5, 0.5, 1.5, 1.5, 1.1, 0.9])
    advantages = np.asarray([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    dist, batch = clipped_case(ratios, advantages)
    gradient = jax.jit(jax.grad(lambda d: Clipped(0.2)(d, batch).sum()))(dist).logits
    stopped = np.asarray([False, True, True, False, False, False])
    np.testing.assert_array_equal(np.all(np.asarray(gradient) == 0, axis=-1), stopped)


@pytest.mark.parametrize("clip", [0.2, 0.05])
def test_the_ratio_penalty_has_its_optimum_at_the_intervals_edge_and_points_back_to_it(clip, x64):
    ratios = np.linspace(0.07, 2.17, 43)
    for advantage in (1.5, -0.7):
        edge = 1 + clip * np.sign(advantage)
        at = np.append(ratios, edge)
        dist, batch = clipped_case(at, np.full(at.size, advantage))
        found = np.asarray(value(RatioPenalized(clip), dist, batch))
        expected = [r * advantage - abs(advantage) * (r - 1) ** 2 / (2 * clip) for r in at]
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        # A parabola about the edge.
        below = abs(advantage) * (at - edge) ** 2 / (2 * clip)
        top = advantage + abs(advantage) * clip / 2
        np.testing.assert_allclose(top - found, below, rtol=1e-9, atol=1e-12)
        # log π of the action taken rises with its logit: its gradient has the sign of dvalue/dr.
        slope = jax.jit(jax.grad(lambda d, b=batch: RatioPenalized(clip)(d, b).sum()))(dist)
        sign = np.sign(edge - ratios)
        np.testing.assert_array_equal(np.sign(np.asarray(slope.logits)[:-1, 0]), sign)
        np.testing.assert_allclose(np.asarray(slope.logits)[-1], 0.0, atol=1e-12)
        outside = reported(RatioPenalized(clip), dist, batch)["clip_fraction"]
        np.testing.assert_array_equal(outside[:-1], np.abs(ratios - 1) > clip)


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_values_are_ratio_and_log_probability_times_advantage_by_scipy(kind, x64):
    old, new = make_distribution(kind, 0), make_distribution(kind, 1)
    rng = np.random.default_rng(2)
    action, advantage = drawn(old, rng), rng.normal(size=5)
    batch = rows(old, action, advantage)
    log_new, log_old = log_prob_by_hand(new, action), log_prob_by_hand(old, action)
    objectives = Score(), Surrogate(), Likelihood()
    score, surrogate, likelihood = (value(objective, new, batch) for objective in objectives)
    np.testing.assert_allclose(score, log_new * advantage, rtol=1e-10)
    np.testing.assert_allclose(surrogate, np.exp(log_new - log_old) * advantage, rtol=1e-10)
    np.testing.assert_allclose(likelihood, log_new, rtol=1e-10)


def test_entropy_bonus_adds_its_share_and_keeps_the_inner_diagnostics(x64):
    dist, batch = clipped_case(np.asarray([0.5, 1.1, 2.0]), np.asarray([1.0, -1.0, 2.0]))
    p = np.exp(np.asarray(dist.logits))
    entropy = -np.sum(p * np.log(p), axis=-1)
    bonus = EntropyBonus(Clipped(0.2), 0.7)
    inner = Clipped(0.2)
    expected = np.asarray(value(inner, dist, batch)) + 0.7 * entropy
    np.testing.assert_allclose(value(bonus, dist, batch), expected, rtol=1e-12)
    np.testing.assert_array_equal(
        reported(bonus, dist, batch)["clip_fraction"], reported(inner, dist, batch)["clip_fraction"]
    )


def test_likelihood_of_a_unit_gaussian_is_least_squares(x64):
    value, target = np.asarray([[0.5], [-1.0]]), np.asarray([[2.0], [-1.5]])
    old = DiagGaussian(jnp.asarray(value), jnp.asarray(np.zeros((2, 1))))
    batch = rows(old, target, np.zeros(2))
    gradient = jax.jit(jax.grad(lambda dist: Likelihood()(dist, batch).sum()))
    np.testing.assert_allclose(gradient(old).mean, target - value, rtol=1e-12)


def test_a_plain_function_is_an_objective(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)

    def score(dist, batch):
        return dist.log_prob(batch.action) * batch.advantage

    @eqx.filter_jit
    def stepped(objective):
        return Step(objective, Euclidean(), Fixed(0.1))(KEY, policy, None, batch)[0]

    for plain, named in ((score, Score()), (EntropyBonus(score, 0.1), EntropyBonus(Score(), 0.1))):
        np.testing.assert_array_equal(vector(stepped(plain)), vector(stepped(named)))


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_the_penalty_is_beta_times_kl_from_old_to_new(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    new = forward(make_policy(kind, 1, near=policy), batch.obs)
    found = np.asarray(value(KLPenalized(Surrogate(), 2.5), new, batch))
    surrogate = np.asarray(value(Surrogate(), new, batch))
    expected = surrogate - 2.5 * kl_by_hand(batch.old, new)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    reverse = surrogate - 2.5 * kl_by_hand(new, batch.old)
    assert np.abs(found - reverse).max() > 1e-3, "the two directions of KL must differ here"
    told = reported(KLPenalized(Clipped(0.1), 2.5), new, batch)
    assert set(told) == {"clip_fraction", "kl_penalty"}
    np.testing.assert_array_equal(told["kl_penalty"], 2.5)


def parameters(dist):
    """The distribution's own parameters, [B, n]."""
    return np.concatenate([np.asarray(x).reshape(len(x), -1) for x in jax.tree.leaves(dist)], 1)


def differences(f, dist, step=1e-5):
    """Central differences of a per-row function of the distribution in its parameters, [B, n]."""
    leaves, structure = jax.tree.flatten(dist)
    columns = []
    for i, leaf in enumerate(leaves):
        for j in range(leaf.shape[-1]):
            values = []
            for sign in (1, -1):
                moved = [np.array(leaf) for leaf in leaves]
                moved[i][:, j] += sign * step
                values.append(np.asarray(f(jax.tree.unflatten(structure, moved))))
            columns.append((values[0] - values[1]) / (2 * step))
    return np.stack(columns, axis=1)


def nearest(g, k, metric, max_kl):
    """The z with kᵀM⁺z ≤ δ for which (g − z)ᵀM⁺(g − z) is least, as a quadratic program. In the
    range of M, coordinates are the parts of M's eigenvectors, in which M⁺ is a diagonal."""
    values, vectors = np.linalg.eigh(metric)
    kept = values > 1e-10 * values[-1]
    weight, basis = 1 / values[kept], vectors[:, kept]
    there, along = basis.T @ g, weight * (basis.T @ k)
    found = optimize.minimize(
        lambda x: 0.5 * weight @ (x - there) ** 2,
        there,
        jac=lambda x: weight * (x - there),
        constraints=[
            {"type": "ineq", "fun": lambda x: max_kl - along @ x, "jac": lambda x: -along}
        ],
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return basis @ found.x


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_the_gradient_is_projected_row_by_row_onto_the_trust_region(kind, x64):
    policy = make_policy(kind)
    average = make_policy(kind, 1, near=policy)
    batch = make_batch(policy, rows=40)
    batch = batch._replace(average=forward(average, batch.obs))
    dist, max_kl = forward(policy, batch.obs), 0.02
    projection = project(TrustRegionGradient(max_kl), dist, batch)
    g, k, z = map(parameters, projection[:3])

    score = differences(lambda d: log_prob_by_hand(d, batch.action) * batch.advantage, dist)
    np.testing.assert_allclose(g, score, atol=1e-6)
    np.testing.assert_allclose(
        k, differences(lambda d: kl_by_hand(batch.average, d), dist), atol=1e-6
    )
    metric = metric_by_hand(dist)
    inverse = np.linalg.pinv(metric, rcond=1e-10, hermitian=True)
    rate = np.einsum("bi,bij,bj->b", k, inverse, z)
    assert (rate <= max_kl + 1e-9).all()
    slack = np.einsum("bi,bij,bj->b", k, inverse, g) <= max_kl
    assert 3 < slack.sum() < 37, "both cases must occur"
    np.testing.assert_array_equal(z[slack], g[slack])
    np.testing.assert_allclose(rate[~slack], max_kl, rtol=1e-8)
    expected = np.stack([nearest(*row, max_kl) for row in zip(g, k, metric, strict=True)])
    np.testing.assert_allclose(z, expected, atol=2e-6)
    # In the parameters' own coordinates it would be another one.
    raw = np.einsum("bi,bi->b", k, g) - max_kl
    euclidean = g - (np.maximum(raw, 0) / np.einsum("bi,bi->b", k, k))[:, None] * k
    assert np.abs(euclidean - z).max() > 0.01
    share = reported(TrustRegionGradient(max_kl), dist, batch)["projected_fraction"]
    np.testing.assert_array_equal(share, ~slack)


class Rewritten(DiagGaussian):
    """A diagonal Gaussian written down as A⁻¹(mean, log σ) with another number for each."""

    def written(self):
        return DiagGaussian(self.mean * FACTORS[0], self.log_std * FACTORS[1])

    def log_prob(self, action):
        return self.written().log_prob(action)

    def kl(self, other):
        return self.written().kl(other.written())

    def metric_inverse(self, cotangent):
        """A⁻¹ M⁻¹ A⁻ᵀ."""
        plain = DiagGaussian(cotangent.mean / FACTORS[0], cotangent.log_std / FACTORS[1])
        natural = self.written().metric_inverse(plain)
        return Rewritten(natural.mean / FACTORS[0], natural.log_std / FACTORS[1])


FACTORS = np.asarray([[[0.1, 3.0]], [[7.0, 0.4]]])


class RewrittenPolicy(eqx.Module):
    policy: eqx.Module

    def __call__(self, obs):
        dist = self.policy(obs)
        return Rewritten(dist.mean / FACTORS[0], dist.log_std / FACTORS[1])


def test_the_projected_step_does_not_depend_on_how_the_distribution_is_written(x64):
    policy = make_policy("gaussian")
    average = make_policy("gaussian", 1, near=policy)
    batch = make_batch(policy, rows=40)
    batch = batch._replace(average=forward(average, batch.obs))
    other = RewrittenPolicy(policy)
    rewritten = batch._replace(
        old=forward(other, batch.obs), average=forward(RewrittenPolicy(average), batch.obs)
    )
    objective = TrustRegionGradient(0.02)
    share = reported(objective, batch.old, batch)["projected_fraction"].mean()
    assert 0.1 < share < 0.9
    (here,), (there,) = (
        gradients([objective], policy, batch),
        gradients([objective], other, rewritten),
    )
    np.testing.assert_allclose(vector(there), vector(here), rtol=1e-9, atol=1e-12)


def test_a_bound_of_one_binds_for_discrete_actions_where_a_likely_one_has_become_rare(x64):
    """kᵀM⁻¹g = Â(1 − average/π) of the action taken."""
    average, p = np.asarray([[0.5, 0.5]] * 4), np.asarray([[0.2, 0.8]] * 4)
    advantage, action = np.asarray([-0.5, -1.0, 1.0, -2.0]), np.asarray([0, 0, 0, 1])
    dist, there = (Categorical(jnp.asarray(np.log(x))) for x in (p, average))
    batch = rows(dist, action, advantage)._replace(average=there)
    rate = advantage * (1 - average[0, 0] / p[np.arange(4), action])
    np.testing.assert_allclose(rate, [0.75, 1.5, -1.5, -0.75])
    projection = project(TrustRegionGradient(1.0), dist, batch)
    np.testing.assert_allclose(projection.excess, np.maximum(rate - 1, 0), rtol=1e-12)
    # χ² of the average from the policy.
    factor = 0.5 / np.sum((p[1] - average[1]) ** 2 / p[1])
    k = (p - average)[1]
    expected = -1.0 * (np.asarray([1.0, 0.0]) - p[1]) - factor * k
    np.testing.assert_allclose(projection.z.logits[1], expected, rtol=1e-12)


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_linears_gradient_in_the_networks_parameters_is_z_through_the_network(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    batch = batch._replace(average=forward(make_policy(kind, 1, near=policy), batch.obs))
    objective = TrustRegionGradient(0.05)
    (gradient,) = gradients([objective], policy, batch)
    z = parameters(project(objective, forward(policy, batch.obs), batch).z)
    leaves = map(np.asarray, jax.tree.leaves(jacobian(policy, batch.obs)))
    j = np.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=-1)
    expected = np.einsum("b,bi,bip->p", normalized(batch.weight), z, j)
    np.testing.assert_allclose(vector(gradient), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_far_from_its_constraint_linear_is_the_policy_gradient(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    batch = batch._replace(average=batch.old)
    free, score = gradients([TrustRegionGradient(1e3), Score()], policy, batch)
    np.testing.assert_allclose(vector(free), vector(score), rtol=1e-9, atol=1e-12)
