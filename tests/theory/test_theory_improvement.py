"""The exact updates: each against its own definition, and all of them on FrozenLake."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from support.problems import random_policies
from surefoot import theory
from surefoot.common.errors import UsageError
from surefoot.theory.tabular.divergences import expected, kl

STARTS, DROP = 20, 1e-12


def lake(discount):
    return theory.from_gymnasium("FrozenLake-v1", discount=discount)


def starts(mdp):
    """Softmax policies with standard normal logits, doubled."""
    return random_policies(11, STARTS, mdp.states, mdp.actions)


def history(mdp, policy, update, iterations):
    """(J before the first and after every iteration [K+1, starts], the iterations)."""
    rows = list(theory.improve(mdp, policy, update, iterations=iterations))
    return np.stack([mdp.evaluate(policy).J, *(row.J for row in rows)]), rows


def stack(rows, field):
    return np.stack([getattr(row, field) for row in rows])


def repeated(old, count):
    """One evaluation as a batch of the same."""
    fields = {
        name: np.broadcast_to(x, (count, *x.shape))
        for name, x in old._asdict().items()
        if name != "discount"
    }
    return old._replace(**fields)


def small(seed, states=3, actions=3):
    """A policy's evaluation in a small MDP whose states differ in scale and in how often they are
    visited."""
    rng = np.random.default_rng([3, seed])
    P = rng.dirichlet(np.full(states, 0.3), size=(states, actions))
    R = rng.normal(size=(states, actions)) * 10 ** rng.uniform(-2, 0, (states, 1))
    discount = (0.05, 0.3, 0.5, 0.8, 0.95)[seed % 5]
    initial = rng.dirichlet(np.full(states, 0.3))
    mdp = theory.TabularMDP(P, R, discount=discount, initial=initial)
    return mdp.evaluate(random_policies(seed, states, actions))


UPDATES = {
    "trpo": theory.TRPO(max_kl=0.1),
    "natural": theory.NaturalGradient(max_kl=0.1),
    "gradient": theory.PolicyGradient(learning_rate=1.0),
    "penalized": theory.Penalized(),
    "fixed": theory.FixedPenalized(),
    "conservative": theory.ConservativeIteration(),
}


@pytest.mark.parametrize("name", UPDATES)
def test_a_batch_of_policies_moves_as_each_alone(name):
    mdp = theory.garnet(0, states=4, actions=3, branching=2, discount=0.1)
    pi = random_policies(0, 2, 3, 4, 3)
    (batch,) = theory.improve(mdp, pi, UPDATES[name], iterations=1)
    for i, j in itertools.product(range(2), range(3)):
        (one,) = theory.improve(mdp, pi[i, j], UPDATES[name], iterations=1)
        for field, value in one._asdict().items():
            together = getattr(batch, field)[i, j]
            np.testing.assert_allclose(together, value, rtol=1e-3, atol=1e-7, err_msg=field)


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("policy", ["optimal", "deterministic", "no reward"])
def test_where_there_is_nothing_to_gain_an_update_stands_still(name, policy):
    mdp = theory.garnet(0, states=4, actions=3, branching=2, discount=0.4)
    pi = mdp.optimal().policy
    if policy == "deterministic":
        # For the updates by KL(π′‖π) and on softmax parameters there is nowhere to go.
        pi = 1.0 * (np.arange(3) == mdp.R.argmin(axis=-1)[:, None])
        if name in ("trpo", "conservative"):
            return
    if policy == "no reward":
        mdp = theory.TabularMDP(mdp.P, 0 * mdp.R, discount=0.4, initial=mdp.initial)
        pi = random_policies(0, 4, 3)
    (row,) = theory.improve(mdp, pi, UPDATES[name], iterations=1)
    np.testing.assert_allclose(row.policy, pi, atol=1e-12)
    assert row.step == pytest.approx(0, abs=1e-12)
    assert row.kl == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", UPDATES)
def test_what_an_iteration_reports_is_what_the_bounds_say_of_it(name):
    mdp = theory.garnet(1, states=4, actions=3, branching=2, discount=0.1)
    policy, steps = random_policies(1, 4, 3), []
    for row in theory.improve(mdp, policy, UPDATES[name], iterations=3):
        old = mdp.evaluate(policy)
        bound = theory.kl_bound(old, row.policy)
        np.testing.assert_allclose(row.J, mdp.evaluate(row.policy).J)
        np.testing.assert_allclose(row.surrogate, bound.surrogate)
        np.testing.assert_allclose(row.bound, bound.improvement)
        np.testing.assert_allclose(row.kl, old.d @ kl(old.policy, row.policy))
        steps.append(row.step)
        policy = row.policy
    assert len(steps) == 3
    assert steps[0] > 0


def test_gradients_are_those_of_the_return_by_finite_differences():
    mdp = theory.garnet(2, states=3, actions=3, branching=2, discount=0.7)
    theta = np.random.default_rng(0).normal(size=(3, 3))

    def softmax(theta):
        return np.exp(theta) / np.exp(theta).sum(axis=-1, keepdims=True)

    def J(theta):
        return mdp.evaluate(softmax(theta)).J

    gradient, h = np.zeros((3, 3)), 1e-5
    for s, a in itertools.product(range(3), range(3)):
        e = np.zeros((3, 3))
        e[s, a] = h
        gradient[s, a] = (J(theta + e) - J(theta - e)) / (2 * h)
    old = mdp.evaluate(softmax(theta))

    policy, length = theory.PolicyGradient(learning_rate=0.3)(old)
    np.testing.assert_allclose(policy, softmax(theta + 0.3 * gradient), rtol=1e-6)
    np.testing.assert_allclose(length, 0.3 * np.linalg.norm(gradient), rtol=1e-6)

    fisher = np.zeros((9, 9))
    for s in range(3):
        p, block = old.policy[s], slice(3 * s, 3 * s + 3)
        fisher[block, block] = old.d[s] * (np.diag(p) - np.outer(p, p))
    direction = np.linalg.pinv(fisher, rcond=1e-10) @ gradient.ravel()
    alpha = np.sqrt(2 * 1e-3 / (direction @ fisher @ direction))
    policy, length = theory.NaturalGradient(max_kl=1e-3)(old)
    if length < 0.9 * alpha:  # The quadratic model promised a little less KL than there is.
        alpha *= 0.8
    np.testing.assert_allclose(length, alpha, rtol=1e-5)
    np.testing.assert_allclose(policy, softmax(theta + alpha * direction.reshape(3, 3)), rtol=1e-5)


def test_the_line_search_keeps_within_the_radius_and_gives_up_in_place():
    mdp = theory.garnet(0, states=6, actions=3, branching=2, discount=0.9)
    old = mdp.evaluate(random_policies(0, STARTS, 6, 3))
    curvature = expected(old.d, (old.policy * old.A**2).sum(axis=-1)) / 0.1**2
    full = np.sqrt(2 * 0.5 / curvature)
    policy, length = theory.NaturalGradient(max_kl=0.5)(old)
    divergence = expected(old.d, kl(old.policy, policy))
    assert (divergence <= 0.5).all()
    assert (divergence > 0).all()
    backtracks = np.log(length / full) / np.log(0.8)
    np.testing.assert_allclose(backtracks, backtracks.round(), atol=1e-9)
    assert set(backtracks.round()) >= {0, 1}, "some are to be shortened"
    # One try: where the whole step does not pass, nothing moves.
    policy, length = theory.NaturalGradient(max_kl=0.5, tries=1)(old)
    stays = backtracks > 0.5
    np.testing.assert_allclose(length, np.where(stays, 0, full))
    np.testing.assert_array_equal(policy[stays], old.policy[stays])


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda: theory.TRPO(max_kl=0.0), "max_kl is 0.0; accepted is a finite number > 0"),
        (lambda: theory.NaturalGradient(max_kl=-1.0), "max_kl is -1.0; accepted is"),
        (lambda: theory.NaturalGradient(tries=0), "tries is 0; accepted is an integer >= 1"),
        (lambda: theory.PolicyGradient(learning_rate=np.inf), "learning_rate is inf; accepted is"),
    ],
)
def test_a_mistake_is_one_line(mistake, says):
    with pytest.raises(UsageError, match=says):
        mistake()


@pytest.mark.parametrize("seed", range(6))
def test_trpo_by_its_dual_is_the_optimum_of_a_general_solver(seed):
    old = small(seed)
    max_kl = (0.001, 0.1, 1.0)[seed % 3]
    policy, step = theory.TRPO(max_kl=max_kl)(old)
    divergence = old.d @ kl(old.policy, policy)
    np.testing.assert_allclose(divergence, max_kl, rtol=1e-9)
    np.testing.assert_allclose(step, np.sqrt(2 * max_kl), rtol=1e-9)

    def softmax(theta):
        weights = np.exp(theta.reshape(3, 3))
        return weights / weights.sum(axis=-1, keepdims=True)

    scale = np.abs(old.A).max()
    best = minimize(
        lambda theta: -theory.surrogate(old, softmax(theta)) / scale,
        np.log(old.policy).ravel(),
        constraints={
            "type": "ineq",
            "fun": lambda theta: (max_kl - old.d @ kl(old.policy, softmax(theta))) / max_kl,
        },
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-13},
    )
    found = theory.surrogate(old, policy) / scale
    assert -best.fun <= found + 1e-6 * abs(found)
    assert -best.fun >= found - 1e-3 * abs(found)


def test_trpo_gives_what_is_left_to_a_best_action_that_was_never_taken():
    P = np.ones((1, 3, 1))
    mdp = theory.TabularMDP(P, [[0.0, 1.0, 2.0]], discount=0.5, initial=[1.0])
    old = mdp.evaluate([[0.5, 0.5, 0.0]])
    policy, _ = theory.TRPO(max_kl=0.1)(old)
    # By hand: minimizing what the others keep for a given KL, π′ = βπ/(max A − A).
    gap = np.array([2.0, 1.0])
    beta = np.exp(np.log(gap).mean() - 0.1)
    expected_policy = beta * 0.5 / gap
    np.testing.assert_allclose(policy[0, :2], expected_policy, rtol=1e-9)
    np.testing.assert_allclose(policy.sum(), 1, atol=1e-15)


def axis(p, count):
    """Probabilities from 0 to 1, ever closer around p."""
    steps = np.geomspace(1e-5, 1, count // 2)
    return np.concatenate([p * (1 - steps), [p], p + (1 - p) * steps])


@pytest.mark.parametrize("seed", range(10))
def test_the_penalized_update_is_the_best_of_all_policies_with_two_states(seed):
    old = small(seed, states=2, actions=2)
    p = np.stack(np.meshgrid(*(axis(q, 200) for q in old.policy[:, 0])), axis=-1).reshape(-1, 2)
    every = theory.kl_bound(repeated(old, len(p)), np.stack([p, 1 - p], axis=-1))
    policy, step = theory.Penalized()(old)
    value = theory.kl_bound(old, policy).improvement
    np.testing.assert_allclose(step, np.sqrt(2 * old.d @ kl(policy, old.policy)), rtol=1e-9)
    assert value > 0
    assert value >= every.improvement.max() * (1 - 1e-9)
    assert value <= every.improvement.max() * 1.05

    constant = np.sqrt(2) * old.discount * np.abs(old.A).max() / (1 - old.discount) ** 2
    policy, _ = theory.FixedPenalized()(old)
    bound = theory.kl_bound(old, policy)
    best = (every.surrogate - constant * every.distance).max()
    found = bound.surrogate - constant * bound.distance
    assert found >= best - 1e-9 * np.abs(old.A).max()
    assert (np.abs(policy - old.policy).max() > 1e-3) == (best > 1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_no_policy_of_many_beats_the_penalized_update(seed):
    """Both near it and far away, with more states and actions than a grid can cover."""
    old = small(seed, states=5, actions=4)
    policy, _ = theory.Penalized()(old)
    value = theory.kl_bound(old, policy).improvement
    rng = np.random.default_rng(seed)
    # Tilts with a λ of its own for each state, from none to greedy.
    lam = 10 ** rng.uniform(-3, 3, (20_000, 5, 1)) / np.abs(old.A).max()
    lam *= rng.random((20_000, 5, 1)) < 0.7
    near = 10 ** rng.uniform(-6, 0, (20_000, 1, 1)) * rng.normal(size=(20_000, 5, 4))
    for start, change in ((old.policy, lam * old.A), (policy, near * (policy - old.policy))):
        weights = start * np.exp(change - change.max(axis=-1, keepdims=True))
        others = weights / weights.sum(axis=-1, keepdims=True)
        best = theory.kl_bound(repeated(old, 20_000), others).improvement.max()
        assert best <= value * (1 + 1e-8)


def test_conservative_iteration_mixes_as_much_as_its_bound_likes_best():
    old = lake(0.9).evaluate(random_policies(0, 16, 4))
    policy, alpha = theory.ConservativeIteration()(old)
    greedy = np.eye(4)[old.A.argmax(axis=-1)]
    np.testing.assert_allclose(policy, (1 - alpha) * old.policy + alpha * greedy)
    advantage = old.d @ (greedy * old.A).sum(axis=-1)
    epsilon = (greedy * old.A).sum(axis=-1).max()
    mixtures = np.linspace(0, 1, 100_001)
    bound = mixtures * advantage / 0.1 - 2 * 0.9 * epsilon * mixtures**2 / 0.1**2
    assert alpha == pytest.approx(mixtures[bound.argmax()], abs=1e-5)
    # Without a future it is greedy at once.
    bandits = theory.garnet(0, states=4, actions=3, branching=2, discount=0.0)
    policy, alpha = theory.ConservativeIteration()(bandits.evaluate(random_policies(0, 4, 3)))
    assert alpha == 1
    np.testing.assert_array_equal(policy, bandits.optimal().policy)


@pytest.mark.parametrize(
    "update",
    [
        pytest.param(theory.Penalized(), id="penalized", marks=pytest.mark.slow),
        pytest.param(theory.ConservativeIteration(), id="conservative"),
        pytest.param(theory.TRPO(max_kl=0.1), id="trpo"),
    ],
)
def test_the_return_never_falls_on_frozen_lake(update):
    mdp = lake(0.99)
    J, rows = history(mdp, starts(mdp), update, 200)
    assert np.diff(J, axis=0).min() >= -DROP
    assert (J[-1] > J[0]).all()
    if update == theory.Penalized():
        assert (np.diff(J, axis=0) >= stack(rows, "bound") - DROP).all()
    if update == theory.TRPO(max_kl=0.1):
        assert (J[100] >= 0.99 * mdp.optimal().J).all()


def test_the_first_penalized_step_raises_the_return_by_at_least_its_value():
    mdp = lake(0.5)
    J, (row,) = history(mdp, starts(mdp), theory.Penalized(), 1)
    assert (J[0] < mdp.optimal().J).all(), "no start is to be optimal"
    assert (J[1] > J[0]).all()
    assert (row.bound > 0).all()
    assert (J[1] - J[0] >= row.bound).all()


def test_with_a_fixed_epsilon_the_theory_stands_still_from_half_on():
    for discount in (0.5, 0.9, 0.99):
        mdp = lake(discount)
        _, (row,) = history(mdp, starts(mdp), theory.FixedPenalized(), 1)
        np.testing.assert_array_equal(row.step, 0)
        np.testing.assert_allclose(row.policy, starts(mdp), atol=1e-15)
    # Where Pinsker's inequality is tightest, the border is at one half.
    P = np.ones((1, 2, 1))
    for discount, moves in ((0.499, True), (0.5, False)):
        coin = theory.TabularMDP(P, [[1.0, -1.0]], discount=discount, initial=[1.0])
        (row,) = theory.improve(coin, [[0.5, 0.5]], theory.FixedPenalized(), iterations=1)
        assert (row.step > 0) == moves


@pytest.mark.parametrize("discount", [0.5, 0.99])
def test_gradients_climb_frozen_lake_too(discount):
    mdp = lake(discount)
    best = mdp.optimal().J
    for update in (theory.NaturalGradient(max_kl=0.1), theory.PolicyGradient(learning_rate=10.0)):
        J, rows = history(mdp, starts(mdp), update, 100)
        assert (J[-1] > J[0]).all()
        assert np.diff(J, axis=0).min() >= -DROP
        # Actions that underflow would be infinitely far from the old policy, and stop the search.
        assert np.isfinite(stack(rows, "kl")).all()
        if isinstance(update, theory.NaturalGradient):
            assert (J[-1] >= 0.99 * best).all()
