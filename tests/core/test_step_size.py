"""How far: lengths against the dense Fisher matrix, duality, and the line search re-enacted."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.oracles import dense_fisher, kl_by_hand, log_prob_by_hand
from support.problems import (
    FEW,
    KEY,
    KINDS,
    forward,
    make_batch,
    make_policy,
    unraveled,
    vector,
)
from support.suites import cases
from surefoot.core.geometry import CG, Cholesky, Euclidean, Fisher
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Surrogate
from surefoot.core.step_size import Backtrack, Decay, Fixed, KLBall, Penalty, Secant, search
from surefoot.core.step_size.schedules import constant, linear
from surefoot.core.updates import Step
from surefoot.methods.recipes import NPG, NPGPenalty


def advance(step_size, policy, batch, direction):
    """(new parameters, info) of a step size for the surrogate."""
    new, info = moved(step_size, policy, batch, direction)
    return new, jax.tree.map(np.asarray, info)


@eqx.filter_jit
def moved(step_size, policy, batch, direction):
    return step_size(LocalModel(Surrogate(), policy, batch), direction)


@eqx.filter_jit
def directions(geometries, policy, batch):
    """(gradient, the geometries' directions) for the surrogate."""
    local = LocalModel(Surrogate(), policy, batch)
    return local.grad, [geometry.direction(KEY, local, None)[0] for geometry in geometries]


@eqx.filter_jit
def change(policy, new, batch, direction="old_new"):
    return LocalModel(Surrogate(), policy, batch).evaluate(new, direction)


def surrogate_and_kl(policy, batch, direction="old_new"):
    """(mean surrogate, mean KL) over the rows with weight, by scipy and a loop."""
    dist = forward(policy, batch.obs)
    log_ratio = log_prob_by_hand(dist, batch.action) - log_prob_by_hand(batch.old, batch.action)
    kl = kl_by_hand(*((batch.old, dist) if direction == "old_new" else (dist, batch.old)))
    advantage, weight = np.asarray(batch.advantage), np.asarray(batch.weight)
    kept = [i for i in range(len(kl)) if weight[i] > 0]
    values = [np.exp(log_ratio[i]) * advantage[i] for i in kept]
    return np.mean(values), np.mean([kl[i] for i in kept])


def identical(a, b):
    return vector(a).tobytes() == vector(b).tobytes()


@pytest.mark.parametrize("kind", cases(KINDS, fast=FEW))
def test_evaluate_measures_kl_from_old_to_new_and_the_surrogate_over_weighted_rows(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    new = make_policy(kind, 1, near=policy)
    value, kl = surrogate_and_kl(new, batch)
    measured = change(policy, new, batch)
    np.testing.assert_allclose(measured.objective, value, rtol=1e-10)
    np.testing.assert_allclose(measured.kl, kl, rtol=1e-10)
    _, reverse = surrogate_and_kl(new, batch, "new_old")
    assert abs(reverse / kl - 1) > 1e-3, "the two directions of KL must differ here"
    measured = change(policy, new, batch, "new_old")
    np.testing.assert_allclose(measured.kl, reverse, rtol=1e-10)


@pytest.mark.parametrize("kind", cases(["multicategorical", "gaussian"], fast=["gaussian"]))
def test_kl_ball_has_its_quadratic_kl_whatever_the_direction_and_its_beta_is_the_dual(kind, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    fisher, radius = dense_fisher(policy, batch), 0.013
    geometries = [
        Euclidean(),
        Fisher(CG(50), damping=0.0),
        Fisher(CG(4), damping=0.1),
        Fisher(Cholesky(), damping=0.1),
    ]
    gradient, found = directions(geometries, policy, batch)
    rng = np.random.default_rng(0)
    anything = jax.tree.map(lambda x: rng.normal(size=x.shape), gradient)
    for direction in [*found, anything, jax.tree.map(lambda x: 1e-5 * x, anything)]:
        new, info = advance(KLBall(radius), policy, batch, direction)
        step = vector(new) - vector(policy)
        np.testing.assert_allclose(0.5 * step @ fisher @ step, radius, rtol=1e-8)
        d = vector(direction)
        np.testing.assert_allclose(info.d_fisher_d, d @ fisher @ d, rtol=1e-8)
        np.testing.assert_allclose(step, info.step_scale * d, rtol=1e-6, atol=1e-12)

        np.testing.assert_allclose(info.beta, np.sqrt(d @ fisher @ d / (2 * radius)), rtol=1e-8)
        penalized, penalty_info = advance(Penalty(info.beta), policy, batch, direction)
        np.testing.assert_allclose(vector(penalized), vector(new), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(penalty_info.beta, info.beta)
        np.testing.assert_allclose(penalty_info.step_scale, info.step_scale)
        np.testing.assert_allclose(penalty_info.d_fisher_d, info.d_fisher_d)


def test_without_damping_penalty_and_kl_ball_are_the_optima_of_their_problems(x64):
    policy = make_policy("gaussian", hidden=())
    batch = make_batch(policy)
    fisher = dense_fisher(policy, batch)
    assert np.linalg.cond(fisher) < 1e3
    gradient, (direction,) = directions([Fisher(Cholesky(), damping=0.0)], policy, batch)
    g, beta, rng = vector(gradient), 3.0, np.random.default_rng(0)

    new, _ = advance(Penalty(beta), policy, batch, direction)
    step = vector(new) - vector(policy)
    np.testing.assert_allclose(step, np.linalg.solve(beta * fisher, g), rtol=1e-8)

    def penalized(delta):
        return g @ delta - 0.5 * beta * delta @ fisher @ delta

    others = step + 0.1 * rng.normal(size=(100, g.size))
    assert all(penalized(other) < penalized(step) for other in others)

    radius = 0.02
    new, info = advance(KLBall(radius), policy, batch, direction)
    step = vector(new) - vector(policy)
    for other in others:
        on_the_edge = other * np.sqrt(2 * radius / (other @ fisher @ other))
        assert g @ on_the_edge < g @ step
    dual = np.sqrt(g @ np.linalg.solve(fisher, g) / (2 * radius))
    np.testing.assert_allclose(info.beta, dual, rtol=1e-8)


@eqx.filter_jit
def trpo(policy, batch):
    step = Step(Surrogate(), Fisher(CG(10)), Backtrack(KLBall(0.01), max_kl=0.01))
    new, _, info = step(KEY, policy, None, batch)
    return new, info


@eqx.filter_jit
def updated(update, policy, batch):
    """(new parameters, what the step size reports)."""
    new, _, info = update(KEY, policy, None, batch)
    return new, info.move.length


def test_zero_advantages_or_weights_give_a_zero_trpo_step():
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    for nothing in ("advantage", "weight"):
        new, info = trpo(policy, batch._replace(**{nothing: np.zeros(16, np.float32)}))
        assert identical(new, policy)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(info))
        assert float(info.move.length.full.step_scale) == 0
        assert float(info.move.length.full.beta) == 0


def next_fraction(rule, fraction, kl, max_kl):
    """What a line search tries next, by hand."""
    if rule == "decay" or not kl > max_kl:
        return 0.7 * fraction
    root = np.sqrt(0.999 * max_kl / kl)
    return fraction * max(0.1, root if fraction == 1 else min(root, 0.7))


RULES = {"decay": Decay, "secant": Secant}


@pytest.mark.parametrize("direction", ["old_new", "new_old"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("binding", ["kl", "objective"])
@pytest.mark.parametrize("kind", cases(FEW, fast=["gaussian"]))
def test_backtrack_takes_the_first_try_that_passes_or_keeps_the_parameters(
    kind, binding, rule, direction, x64
):
    # A radius at which the quadratic model is poor; with the KL bound out of reach, only the
    # objective can refuse a step: in a ball this wide, for every one of the distributions.
    radius, max_kl = {"kl": (0.5, 0.5), "objective": (16.0, 1e4)}[binding]
    searched = Backtrack(
        KLBall(radius), max_kl=max_kl, shorten=RULES[rule](0.7), tries=3, kl_direction=direction
    )
    policy = make_policy(kind)
    outcomes, reasons = [], set()
    for seed in range(30):
        batch = make_batch(policy, seed)
        # Every fifth direction leads downhill.
        sign = -1.0 if seed % 5 == 4 else 1.0
        way = directions([Fisher(Cholesky(), damping=0.1)], policy, batch)[1][0]
        way = unraveled(way, sign * vector(way))
        full, _ = advance(KLBall(radius), policy, batch, way)
        new, info = advance(searched, policy, batch, way)

        before, _ = surrogate_and_kl(policy, batch)
        step, expected, fraction = vector(full) - vector(policy), None, 1.0
        for j in range(3):
            tried = unraveled(policy, vector(policy) + fraction * step)
            value, kl = surrogate_and_kl(tried, batch, direction)
            if value >= before and kl <= max_kl:
                expected = j
                break
            reasons |= {"kl"} if kl > max_kl else {"objective"}
            fraction = next_fraction(rule, fraction, kl, max_kl)
        outcomes.append(expected)

        if expected is None:
            assert not info.accepted
            assert info.backtracks == 3
            assert info.shrink == 0
            assert identical(new, policy)
        else:
            assert info.accepted
            assert info.backtracks == expected
            np.testing.assert_allclose(info.shrink, fraction, rtol=1e-8)
            np.testing.assert_allclose(vector(new), vector(tried), rtol=1e-8, atol=1e-10)
            after, kl = surrogate_and_kl(new, batch, direction)
            assert after >= before - 1e-12
            assert kl <= max_kl + 1e-12
        if expected == 0:
            assert identical(new, full)
    assert {0, None} < set(outcomes), "steps must pass, be refused, and pass when shortened"
    assert binding in reasons
    assert binding == "kl" or reasons == {"objective"}, "the KL bound must be out of reach"


def narrowing(seed):
    """A Gaussian policy, a batch whose good actions are those near the mean, and the direction that
    narrows the policy: along it the quadratic model of the KL is too optimistic."""
    policy = make_policy("gaussian")
    batch = make_batch(policy, seed)
    off = (np.asarray(batch.action) - np.asarray(batch.old.mean)) / np.exp(batch.old.log_std)
    advantage = jnp.asarray(2.0 - np.sum(off**2, axis=-1))
    gradient, _ = directions([], policy, batch)
    still = jax.tree.map(jnp.zeros_like, gradient)
    narrower = eqx.tree_at(lambda p: p.head.raw_log_std, still, jnp.array([-1.0, -0.5]))
    return policy, batch._replace(advantage=advantage), narrower


def test_the_secant_lands_on_delta_where_the_policy_narrows(x64):
    for radius in (1e-4, 1e-3, 0.01, 0.1):
        for seed in range(5):
            policy, batch, way = narrowing(seed)
            full, _ = advance(KLBall(radius), policy, batch, way)
            assert surrogate_and_kl(full, batch)[1] > radius, "the full step must overshoot"
            new, info = advance(Backtrack(KLBall(radius), max_kl=radius), policy, batch, way)
            kl = surrogate_and_kl(new, batch)[1]
            assert info.accepted
            assert info.backtracks == 1
            assert 0.97 * radius <= kl <= radius

            decayed = Backtrack(KLBall(radius), max_kl=radius, shorten=Decay())
            new, info = advance(decayed, policy, batch, way)
            assert surrogate_and_kl(new, batch)[1] < 0.75 * radius
            # The other way round, a step that narrows undershoots.
            reverse = Backtrack(KLBall(radius), max_kl=radius, kl_direction="new_old")
            new, info = advance(reverse, policy, batch, way)
            assert info.backtracks == 0


def test_the_secant_meets_delta_at_once_where_kl_is_quadratic():
    """Far outside, too, where decay takes a try for every factor 0.8."""
    for excess in (1.5, 10.0, 99.0):

        def measured(fraction, excess=excess):
            return excess * 0.01 * fraction**2

        found = search(
            measured,
            lambda kl: kl <= 0.01,
            lambda fraction, kl: Secant()(fraction, kl, jnp.float32(0.01)),
            tries=10,
        )
        assert found.accepted
        assert found.backtracks == 1
        np.testing.assert_allclose(measured(found.fraction), 0.999 * 0.01, rtol=1e-5)


@pytest.mark.parametrize("kl", [np.nan, np.inf, 0.5, -np.inf])
def test_the_secant_decays_where_the_kl_is_not_what_failed(kl):
    following = Secant(0.7)(jnp.float32(0.5), jnp.float32(kl), jnp.float32(1.0))
    assert following == jnp.float32(0.5) * jnp.float32(0.7)


def test_the_secant_ends_where_the_kl_is_not_zero_at_zero():
    """Where the policy that acted is not the one that the step begins with."""
    found = search(
        lambda s: 0.0095 + 0.004 * s**2,
        lambda kl: kl <= 0.01,
        lambda s, kl: Secant()(s, kl, jnp.float32(0.01)),
        tries=10,
    )
    assert found.accepted
    assert found.backtracks <= 6


def test_the_secant_never_shortens_by_more_than_ten():
    np.testing.assert_allclose(Secant()(jnp.float32(0.5), jnp.float32(1e6), jnp.float32(1.0)), 0.05)


def test_a_search_recovers_from_a_first_try_that_is_not_finite():
    """KL = ∞ and NaN are nobody's secant: the next try is 0.8 of the step."""
    for broken in (np.inf, np.nan):
        found = search(
            lambda s, broken=broken: jnp.where(s > 0.9, broken, 0.01 * s**2),
            lambda kl: kl <= 0.01,
            lambda s, kl: Secant()(s, kl, jnp.float32(0.01)),
            tries=10,
        )
        assert found.accepted
        assert found.backtracks == 1
        np.testing.assert_allclose(found.fraction, 0.8)


@pytest.mark.parametrize("kind", cases(KINDS, fast=["gaussian", "categorical"]))
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    log_delta=st.floats(-4, 0),
    rule=st.sampled_from([Secant(), Decay()]),
)
def test_an_accepted_step_is_within_the_ball_and_no_worse(kind, seed, log_delta, rule):
    policy, delta = make_policy(kind), 10**log_delta
    batch = make_batch(policy, seed)
    (way,) = directions([Fisher(Cholesky(), damping=0.1)], policy, batch)[1]
    new, info = advance(Backtrack(KLBall(delta), max_kl=delta, shorten=rule), policy, batch, way)
    if not info.accepted:
        assert identical(new, policy)
        return
    before, after = (jax.tree.map(float, change(policy, p, batch)) for p in (policy, new))
    assert after.kl <= delta * (1 + 1e-5)
    assert after.objective >= before.objective - 1e-5


def test_nan_advantages_are_refused_and_leave_the_parameters_bit_for_bit():
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    for rows in (1, 16):
        advantage = np.array(batch.advantage)
        advantage[:rows] = np.nan
        new, info = trpo(policy, batch._replace(advantage=advantage))
        assert not info.move.length.accepted
        assert int(info.move.length.backtracks) == 10
        assert float(info.move.length.shrink) == 0
        assert identical(new, policy)
    assert trpo(policy, batch)[1].move.length.accepted, "without the NaN the step is taken"


def test_backtrack_counts_its_tries_and_shortens_by_its_decay(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    _, (direction,) = directions([Fisher(Cholesky())], policy, batch)
    radius, decay = 1e-4, 0.5
    # In a small ball KL falls by decay² a try: the third shortening is the first that fits.
    max_kl = radius * decay**6 * 1.5
    for tries, expected in ((3, None), (4, 3), (7, 3)):
        rule = Backtrack(KLBall(radius), max_kl=max_kl, shorten=Decay(decay), tries=tries)
        _, info = advance(rule, policy, batch, direction)
        assert bool(info.accepted) == (expected is not None)
        assert info.backtracks == (tries if expected is None else expected)
        np.testing.assert_allclose(info.shrink, 0.0 if expected is None else decay**expected)


def test_the_radius_follows_its_schedule(x64):
    """δ at three quarters of the run is a quarter of it, in the ball and in the search."""
    policy, batch, way = narrowing(0)
    batch = batch._replace(progress=jnp.asarray(0.75))
    ball = KLBall(0.04, schedule=linear)
    new, _ = advance(ball, policy, batch, way)
    expected, _ = advance(KLBall(0.01), policy, batch, way)
    np.testing.assert_allclose(vector(new), vector(expected), rtol=1e-12)
    searched, info = advance(Backtrack(ball, max_kl=0.04, schedule=linear), policy, batch, way)
    assert info.backtracks == 1
    assert 0.0097 <= surrogate_and_kl(searched, batch)[1] <= 0.01


def test_no_radius_is_no_step():
    """At the end of a run that δ falls over."""
    policy = make_policy("gaussian")
    batch = make_batch(policy)._replace(progress=jnp.ones(()))
    _, (way,) = directions([Fisher(CG(10))], policy, batch)
    search = Backtrack(KLBall(0.01, schedule=linear), max_kl=0.01, schedule=linear)
    new, info = advance(search, policy, batch, way)
    assert identical(new, policy)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(info))
    assert info.full.beta == 0


def test_fixed_scales_the_direction_by_its_rate_and_schedule(x64):
    policy = make_policy("categorical")
    batch = make_batch(policy)
    gradient, _ = directions([], policy, batch)
    for schedule, factor in ((constant, 1.0), (linear, 0.75)):
        new, info = advance(Fixed(0.2, schedule), policy, batch, gradient)
        np.testing.assert_allclose(info.step_scale, 0.2 * factor)
        expected = vector(policy) + 0.2 * factor * vector(gradient)
        np.testing.assert_allclose(vector(new), expected, rtol=1e-12, atol=1e-14)
    finished = batch._replace(progress=np.ones(()))
    assert identical(advance(Fixed(0.2, linear), policy, finished, gradient)[0], policy)


def test_a_singular_system_leaves_the_parameters_bit_for_bit():
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    gradient, _ = directions([], policy, batch)
    broken = jax.tree.map(lambda x: np.full_like(x, np.nan), gradient)
    new, info = advance(KLBall(0.01), policy, batch, broken)
    assert info.step_scale == 0
    assert identical(new, policy)


def test_a_kl_balls_scale_is_capped_and_its_beta_is_that_of_the_step_taken(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    _, (direction,) = directions([Fisher(Cholesky())], policy, batch)
    _, free = advance(KLBall(0.01), policy, batch, direction)
    cap = 0.5 * float(free.step_scale)
    capped, info = advance(KLBall(0.01, max_scale=cap), policy, batch, direction)
    np.testing.assert_allclose(info.step_scale, cap)
    np.testing.assert_allclose(info.beta, 1 / cap)
    np.testing.assert_allclose(vector(capped) - vector(policy), cap * vector(direction))
    _, loose = advance(KLBall(0.01, max_scale=10 * cap), policy, batch, direction)
    np.testing.assert_allclose(loose.step_scale, free.step_scale)


@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_the_penalized_recipe_takes_the_constrained_ones_step_at_its_beta(damping, x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    sizes = {"num_envs": 2, "horizon": 8, "solver": "exact", "damping": damping}
    if damping == 0.0:
        # F of this network is singular: the direction comes from conjugate gradient.
        sizes |= {"solver": "cg", "cg_steps": 40}
    constrained = NPG(max_kl=0.013, **sizes).build().policy_update
    new, length = updated(constrained, policy, batch)
    beta = float(np.sqrt(float(length.d_fisher_d) / (2 * 0.013)))
    np.testing.assert_allclose(length.beta, beta)
    penalized = NPGPenalty(beta=beta, **sizes).build().policy_update
    same, _ = updated(penalized, policy, batch)
    np.testing.assert_allclose(vector(same), vector(new), rtol=1e-7, atol=1e-9)
    assert np.abs(vector(new) - vector(policy)).max() > 1e-3
