"""The identity, the surrogate and the bounds, by hand and on a hundred thousand pairs."""

import numpy as np
import pytest
from scipy.special import rel_entr

from support.problems import random_policies
from surefoot import theory
from surefoot.common.errors import UsageError
from surefoot.theory.tabular.divergences import expected, kl, tv


def fork(discount):
    """Where the bound is nearly attained. The first state leads to one of two that last, alike in
    value, in which a minute change of policy has a large advantage of opposite sign."""
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = 1.0
    P[1, :, 1] = P[2, :, 2] = 1.0
    R = np.array([[0.0, 0.0], [1.0, -1.0], [1.0, -1.0]])
    return theory.TabularMDP(P, R, discount=discount, initial=[1.0, 0.0, 0.0])


def pairs():
    """(old, new) evaluations, 1,000 pairs at a time, a hundred times: nine random MDPs to each
    fork; policies far apart and close, many nearly deterministic."""
    for seed in range(100):
        rng = np.random.default_rng([7, seed])
        discount = rng.choice([0.1, 0.5, 0.9, 0.99])
        if seed % 10:
            states, actions = rng.integers(2, 7), rng.integers(2, 5)
            mdp = theory.garnet(
                seed,
                states=states,
                actions=actions,
                branching=rng.integers(1, states + 1),
                discount=discount,
            )
            logits = 3 * rng.normal(size=(1000, states, actions))
            change = rng.normal(size=logits.shape) * 10 ** rng.uniform(-4, 1, (1000, 1, 1))
        else:
            mdp = fork(discount)
            logits = np.zeros((1000, 3, 2))
            change = np.zeros_like(logits)
            change[:, 0, 0] = rng.uniform(-2, 2, 1000)
            change[:, 1, 0] = 1e-3 * np.sign(change[:, 0, 0])
            change[:, 2, 0] = -change[:, 1, 0]
        old, new = (np.exp(x) for x in (logits, logits + change))
        yield tuple(mdp.evaluate(p / p.sum(axis=-1, keepdims=True)) for p in (old, new))


def test_the_identity_holds_on_a_thousand_mdps():
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        mdp = theory.garnet(
            seed, states=6, actions=3, branching=3, discount=rng.choice([0.0, 0.5, 0.9, 0.99])
        )
        old, new = (mdp.evaluate(p) for p in random_policies(seed, 2, 6, 3))
        sides = theory.performance_difference(old, new)
        assert abs(sides.difference - (new.J - old.J)) == 0
        gap = abs(sides.difference - sides.expected_advantage)
        assert gap <= 1e-9 * max(1, abs(old.J))
        assert abs(sides.difference) > 1e-6, "policies that do not differ show nothing"


def test_the_bounds_hold_on_a_hundred_thousand_pairs_and_a_smaller_constant_does_not():
    count, caught, closest = 0, 0, 0.0
    for old, new in pairs():
        rise = new.J - old.J
        rounding = 1e-11 * (1 + np.abs(old.V).max(axis=-1) + np.abs(new.V).max(axis=-1))
        by_kl, by_tv = theory.kl_bound(old, new.policy), theory.tv_bound(old, new.policy)
        by_max = theory.max_kl_bound(old, new.policy)
        gap = np.abs(rise - theory.surrogate(old, new.policy))
        assert (gap <= by_tv.penalty + rounding).all()
        assert (by_tv.penalty <= by_kl.penalty + rounding).all()
        assert (rise >= by_max.improvement - rounding).all()
        for bound in (by_kl, by_tv, by_max):
            np.testing.assert_array_equal(bound.improvement, bound.surrogate - bound.penalty)
        caught += (gap > by_kl.penalty * (1 / 4) / np.sqrt(2) + rounding).sum()
        closest = max(closest, (gap / np.maximum(by_kl.penalty, rounding)).max())
        count += rise.size
    assert count == 100_000
    assert caught > 1000
    assert 0.9 < closest <= 1


def test_constants_and_distances_are_those_of_the_papers():
    mdp = theory.garnet(3, states=4, actions=3, branching=2, discount=0.8)
    pi, new = random_policies(5, 2, 4, 3)
    old = mdp.evaluate(pi)
    advantage = np.array([sum(new[s, a] * old.A[s, a] for a in range(3)) for s in range(4)])
    to_new = np.array([rel_entr(pi[s], new[s]).sum() for s in range(4)])
    to_old = np.array([rel_entr(new[s], pi[s]).sum() for s in range(4)])
    distance = np.array([np.abs(new[s] - pi[s]).sum() / 2 for s in range(4)])
    surrogate = sum(
        old.d[s] * pi[s, a] * new[s, a] / pi[s, a] * old.A[s, a] for s in range(4) for a in range(3)
    ) / (1 - 0.8)

    epsilon = np.abs(advantage).max()
    assert theory.surrogate(old, new) == pytest.approx(surrogate)
    for bound, constant, eps, dist in (
        (theory.kl_bound, 2**0.5 * 0.8 * epsilon / 0.04, epsilon, (old.d @ to_old) ** 0.5),
        (theory.tv_bound, 2 * 0.8 * epsilon / 0.04, epsilon, old.d @ distance),
        (
            theory.max_kl_bound,
            4 * 0.8 * np.abs(old.A).max() / 0.04,
            np.abs(old.A).max(),
            to_new.max(),
        ),
    ):
        found = bound(old, new)
        expected = (surrogate - constant * dist, surrogate, constant * dist, constant, eps, dist)
        np.testing.assert_allclose(np.stack(found), np.stack(expected), rtol=1e-10)


def test_small_steps_keep_the_digits_of_their_kl():
    p = random_policies(0, 4, 3)
    direction = np.array([1.0, -2.0, 1.0])
    for size in (1e-4, 1e-8, 1e-12):
        q = p + size * p.min(axis=-1, keepdims=True) * direction
        x = (p - q) / q
        series = (q * (x**2 / 2 - x**3 / 6)).sum(axis=-1)
        np.testing.assert_allclose(kl(p, q), series, rtol=max(1e-12, 2 * size**2))
    np.testing.assert_array_equal(kl(p, p), 0.0)


def test_actions_that_the_old_policy_never_takes_are_infinitely_far():
    old, new = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
    assert kl(new, old) == np.inf
    assert kl(old, new) == pytest.approx(np.log(2))
    assert tv(new, old) == 0.5
    # Unless the state is never visited.
    assert expected(np.array([0.0, 1.0]), np.array([np.inf, 2.0])) == 2.0


def test_without_a_future_the_surrogate_is_exact_at_any_distance():
    mdp = fork(0.0)
    old = mdp.evaluate([[1.0, 0.0]] * 3)
    for bound in (theory.kl_bound, theory.tv_bound, theory.max_kl_bound):
        found = bound(old, np.array([[0.0, 1.0]] * 3))
        assert found.penalty == 0
        assert found.improvement == found.surrogate


def test_policies_may_be_lists_and_what_is_none_is_one_line():
    mdp = theory.garnet(3, states=4, actions=3, branching=2, discount=0.8)
    pi, new = random_policies(5, 2, 4, 3)
    old = mdp.evaluate(pi)
    for function in (theory.surrogate, theory.kl_bound, theory.tv_bound, theory.max_kl_bound):
        np.testing.assert_array_equal(function(old, new.tolist()), function(old, new))
        for mistake, says in (
            (2 * new, r"policy\[0\] sums to 2; "),
            (new[:3], r"policy has shape \[3, 3\]; accepted is \[4, 3\], with any leading"),
            (-new, r"policy\[0, 0\] is -"),
            ("policy", "policy is no table of numbers"),
        ):
            with pytest.raises(UsageError, match=says) as caught:
                function(old, mistake)
            assert "\n" not in str(caught.value)
    for bound in (theory.kl_bound, theory.tv_bound, theory.max_kl_bound):
        assert bound(old, old.policy).distance == 0
    several = mdp.evaluate([pi, new])
    with pytest.raises(UsageError, match=r"leading dimensions \[3\]; accepted are \[2\], those"):
        theory.kl_bound(several, [new, new, new])


def test_evaluations_of_two_mdps_are_not_compared():
    pi = random_policies(5, 1, 4, 3)[0]
    sizes = {"states": 4, "actions": 3, "branching": 2}
    one, other = (theory.garnet(3, discount=x, **sizes).evaluate(pi) for x in (0.8, 0.9))
    with pytest.raises(UsageError, match=r"have discount 0.8 and 0.9; accepted are two of one MDP"):
        theory.performance_difference(one, other)
