"""Limits on tables: the linear program, exact CPO beside it, bounds; policy mirror descent."""

import itertools

import numpy as np
import pytest

from support.problems import random_policies
from surefoot import theory
from surefoot.common.errors import UsageError
from surefoot.theory.constrained.constrained_mdp import ConstrainedMDP
from surefoot.theory.constrained.cost_bounds import cost_bound, worst_step
from surefoot.theory.constrained.exact_cpo import CPO
from surefoot.theory.mirror_descent import MirrorDescent, mirror_descent
from surefoot.theory.tabular.bounds import largest_mean_advantage
from surefoot.theory.tabular.divergences import expected, kl


def problem(seed, tight=0.5, limits=1, discount=0.9):
    """A Garnet with costs, limits between those of a cautious and of a greedy policy."""
    rng = np.random.default_rng([3, seed])
    mdp = theory.garnet(seed, states=6, actions=3, branching=3, discount=discount)
    costs = rng.random((limits, 6, 3))
    greedy = mdp.optimal().policy
    found = []
    for cost in costs:
        of_cost = theory.TabularMDP(mdp.P, -cost, discount=discount, initial=mdp.initial)
        low, high = -float(of_cost.optimal().J), -float(of_cost.evaluate(greedy).J)
        found.append(low + tight * (high - low))
    return ConstrainedMDP(mdp, costs, found)


@pytest.mark.parametrize("seed", range(10))
def test_the_program_s_policy_is_the_best_of_all_mixtures_within_the_limit(seed):
    """Of one limit: an optimum is a mixture of two deterministic policies' occupancies."""
    cmdp = problem(seed)
    best = cmdp.optimal()
    (limit,) = cmdp.limits
    assert best.costs[0] <= limit + 1e-8
    all_ = np.stack([np.eye(3)[list(a)] for a in itertools.product(range(3), repeat=6)])
    found = cmdp.evaluate(all_)
    J, C = found.reward.J, found.costs[0].J
    below, over = limit >= C, limit < C
    mixed = [J[below].max()]
    for c, j in zip(C[over], J[over], strict=True):
        part = (limit - C[below]) / (c - C[below])
        mixed.append(np.max(part * j + (1 - part) * J[below]))
    np.testing.assert_allclose(best.J, max(mixed), rtol=1e-8)
    # The price, by a limit a little higher.
    more = ConstrainedMDP(cmdp.mdp, [cmdp._of_costs[0].R], limit + 1e-6).optimal()
    np.testing.assert_allclose((more.J - best.J) / 1e-6, best.multipliers[0], rtol=1e-3, atol=1e-4)


def test_several_limits_are_met_and_prices_are_those_of_the_dual():
    for seed in range(10):
        cmdp = problem(seed, tight=0.8, limits=2)
        try:
            best = cmdp.optimal()
        except UsageError:
            continue
        assert (best.costs <= cmdp.limits + 1e-8).all()
        # At these prices the unlimited optimum earns what the dual says: no duality gap.
        priced = cmdp.mdp.R - sum(
            m * one.R for m, one in zip(best.multipliers, cmdp._of_costs, strict=True)
        )
        free = theory.TabularMDP(
            cmdp.mdp.P, priced, discount=cmdp.mdp.discount, initial=cmdp.mdp.initial
        ).optimal()
        np.testing.assert_allclose(free.J + best.multipliers @ cmdp.limits, best.J, rtol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_exact_cpo_comes_to_the_optimum_from_within_the_limit(seed):
    """With a ball that shrinks: with any one it goes to and fro about the limit."""
    cmdp = problem(seed)
    (limit,) = cmdp.limits
    best = cmdp.optimal()
    of_cost = theory.TabularMDP(
        cmdp.mdp.P, -cmdp._of_costs[0].R, discount=0.9, initial=cmdp.mdp.initial
    )
    # From a policy that costs less than the limit, and tries everything.
    policy = 0.7 * of_cost.optimal().policy + 0.1
    J, prices = [], []
    for k in range(100):
        max_kl = 0.01 * 0.95**k
        old = cmdp.evaluate(policy)
        policy, price = CPO(max_kl=max_kl)(old, limit)
        new = cmdp.evaluate(policy)
        assert expected(old.reward.d, kl(old.reward.policy, policy)) <= max_kl * (1 + 1e-6)
        # In truth it holds but for the bound, and far better than that.
        epsilon = largest_mean_advantage(old.costs[0], policy)
        above = float(new.costs[0].J) - max(limit, float(old.costs[0].J))
        assert above <= min(worst_step(epsilon, 0.9, max_kl), 0.02)
        J.append(float(old.reward.J))
        prices.append(price)
    assert J[0] < best.J - 1
    np.testing.assert_allclose(J[-1], best.J, rtol=0.01)
    # Where the limit binds, its price is the one of the linear program.
    late = [price for price in prices[50:] if price > 0]
    np.testing.assert_allclose(np.median(late), best.multipliers[0], rtol=0.05)


def test_above_its_limit_a_step_lowers_the_cost_by_all_that_the_ball_allows():
    cmdp = problem(1, tight=0.1)
    old = cmdp.evaluate(np.full((6, 3), 1 / 3))
    policy, price = CPO(max_kl=1e-4)(old, float(cmdp.limits[0]) - 10)
    assert price == np.inf
    least, _ = theory.TRPO(max_kl=1e-4)(old.reward._replace(A=-old.costs[0].A))
    np.testing.assert_array_equal(policy, least)
    assert cmdp.evaluate(policy).costs[0].J < old.costs[0].J


def pairs(number):
    for seed in range(number):
        rng = np.random.default_rng([9, seed])
        discount = rng.choice([0.1, 0.5, 0.9, 0.99])
        cmdp = problem(seed, discount=discount)
        logits = 3 * rng.normal(size=(1000, 6, 3))
        change = rng.normal(size=logits.shape) * 10 ** rng.uniform(-4, 1, (1000, 1, 1))
        old, new = (np.exp(x) for x in (logits, logits + change))
        yield tuple(cmdp.evaluate(p / p.sum(axis=-1, keepdims=True)) for p in (old, new))


def test_a_cost_rises_by_no_more_than_its_bound_on_a_hundred_thousand_pairs():
    nearest = np.inf
    for old, new in pairs(100):
        rise = new.costs[0].J - old.costs[0].J
        bound = cost_bound(old.costs[0], new.reward.policy)
        assert (rise <= bound.rise + 1e-9 * np.abs(old.costs[0].J)).all()
        nearest = min(nearest, np.min(bound.penalty / np.maximum(rise - bound.surrogate, 1e-12)))
    # With a tenth of the penalty it fails: pairs come that near.
    assert nearest < 10


def test_mirror_descent_is_the_tilt_and_falls_by_the_discount_an_iteration():
    for seed in range(5):
        mdp = theory.garnet(seed, states=6, actions=3, branching=3, discount=0.9)
        policy = random_policies(seed, 1, 6, 3)[0]
        old = mdp.evaluate(policy)
        new = MirrorDescent(rate=0.7)(old)
        tilted = policy * np.exp(0.7 * old.Q)
        np.testing.assert_allclose(new, tilted / tilted.sum(axis=-1, keepdims=True), rtol=1e-10)
        best = float(mdp.optimal().J)
        last, J = mirror_descent(mdp, 60, rate=1.0)
        gaps = best - J
        assert (np.diff(J) >= -1e-10 * abs(best)).all()
        # Xiao 2022, Theorem 10: γ^k (J* − J_0 + D_0/(η_0 γ)/(1−γ)), D_0 = log A at most.
        start = gaps[0] + np.log(3) / (0.9 * (1 - 0.9))
        assert (gaps <= 0.9 ** np.arange(60) * start + 1e-9).all()
        np.testing.assert_allclose(mdp.evaluate(last).J, best, rtol=1e-6)


def test_what_is_no_constrained_mdp_is_one_line():
    mdp = theory.garnet(0, states=4, actions=2, branching=2, discount=0.9)
    with pytest.raises(UsageError, match="costs"):
        ConstrainedMDP(mdp, np.ones((1, 3, 2)), 1.0)
    with pytest.raises(UsageError, match="limits"):
        ConstrainedMDP(mdp, np.ones((1, 4, 2)), [1.0, 2.0])
    with pytest.raises(UsageError, match="no policy is within the limits"):
        ConstrainedMDP(mdp, np.ones((1, 4, 2)), 1.0).optimal()
