"""Exact evaluation against value iteration, enumeration, sampling, and tables by hand."""

import itertools

import gymnasium
import numpy as np
import pytest
import scipy.sparse.linalg

from support.problems import chosen, random_policies
from surefoot import theory
from surefoot.common.errors import UsageError
from surefoot.theory.tabular.gymnasium_table import _from_table

STATES, ACTIONS = 5, 3


def small(seed=0, discount=0.9):
    return theory.garnet(seed, states=STATES, actions=ACTIONS, branching=3, discount=discount)


def sparse(mdp):
    P = scipy.sparse.csr_array(mdp.P.reshape(-1, mdp.states))
    return theory.TabularMDP(P, mdp.R, discount=mdp.discount, initial=mdp.initial)


@pytest.mark.parametrize("form", [lambda mdp: mdp, sparse], ids=["dense", "sparse"])
def test_values_are_those_of_value_iteration(form):
    mdp, pi = form(small()), random_policies(1, STATES, ACTIONS)
    found = mdp.evaluate(pi)
    P = small().P
    V, d, state = np.zeros(STATES), np.zeros(STATES), mdp.initial
    for t in range(400):
        Q = np.array(
            [
                [
                    mdp.R[s, a] + mdp.discount * sum(P[s, a, n] * V[n] for n in range(STATES))
                    for a in range(ACTIONS)
                ]
                for s in range(STATES)
            ]
        )
        V = (pi * Q).sum(axis=-1)
        d += (1 - mdp.discount) * mdp.discount**t * state
        state = np.einsum("s,sa,san->n", state, pi, P)
    np.testing.assert_allclose(found.V, V, atol=1e-12)
    np.testing.assert_allclose(found.Q, Q, atol=1e-12)
    np.testing.assert_allclose(found.A, Q - V[:, None], atol=1e-12)
    np.testing.assert_allclose(found.d, d, atol=1e-12)
    np.testing.assert_allclose(found.J, mdp.initial @ V, atol=1e-12)
    np.testing.assert_allclose(found.d.sum(), 1, atol=1e-14)
    np.testing.assert_array_equal(found.policy, pi / pi.sum(axis=-1, keepdims=True))
    assert found.discount == 0.9


@pytest.mark.parametrize("form", [lambda mdp: mdp, sparse], ids=["dense", "sparse"])
def test_leading_dimensions_of_a_policy_are_those_of_its_evaluation(form):
    mdp, pi = form(small()), random_policies(1, 2, 3, STATES, ACTIONS)
    batch = mdp.evaluate(pi)
    for i, j in itertools.product(range(2), range(3)):
        one = mdp.evaluate(pi[i, j])
        for name in ("policy", "J", "V", "Q", "A", "d"):
            np.testing.assert_allclose(
                getattr(batch, name)[i, j], getattr(one, name), atol=1e-12, err_msg=name
            )


def test_a_reward_of_transitions_counts_with_their_probability():
    mdp, pi = small(), random_policies(1, STATES, ACTIONS)
    R = np.random.default_rng(2).normal(size=mdp.P.shape)
    expected = np.array([[mdp.P[s, a] @ R[s, a] for a in range(ACTIONS)] for s in range(STATES)])
    options = {"discount": 0.9, "initial": mdp.initial}
    by_hand = theory.TabularMDP(mdp.P, expected, **options).evaluate(pi)
    flat = scipy.sparse.csr_array(mdp.P.reshape(-1, STATES))
    for P, rewards in (
        (mdp.P, R),
        (flat, R.reshape(-1, STATES)),
        (flat, scipy.sparse.csr_array(R.reshape(-1, STATES))),
    ):
        found = theory.TabularMDP(P, rewards, **options).evaluate(pi)
        np.testing.assert_allclose(found.V, by_hand.V, atol=1e-12)


def test_a_million_sampled_steps_agree_with_the_distribution_of_states():
    """Episodes that go on with probability γ: their visits to s number d(s)/(1−γ) on average."""
    mdp = theory.from_gymnasium("FrozenLake-v1", discount=0.9)
    pi = random_policies(3, mdp.states, mdp.actions)
    rng, episodes = np.random.default_rng(0), 100_000
    visits = np.zeros((episodes, mdp.states))
    alive, state, steps = np.arange(episodes), chosen(rng, np.tile(mdp.initial, (episodes, 1))), 0
    while alive.size:
        visits[alive, state] += 1
        steps += alive.size
        go_on = rng.random(alive.size) < mdp.discount
        alive, state = alive[go_on], state[go_on]
        state = chosen(rng, mdp.P[state, chosen(rng, pi[state])])
    assert steps == pytest.approx(1e6, rel=0.02)
    estimate = (1 - mdp.discount) * visits.mean(axis=0)
    error = (1 - mdp.discount) * visits.std(axis=0) / episodes**0.5
    d = mdp.evaluate(pi).d
    assert d.sum() == pytest.approx(1, abs=1e-14)
    assert (np.abs(estimate - d) <= 4 * error + 1e-15).all()
    assert (error < 0.01).all()


def test_monte_carlo_agrees_with_the_values():
    mdp, pi = small(discount=0.8), random_policies(4, STATES, ACTIONS)
    found = mdp.evaluate(pi)
    rng, count = np.random.default_rng(1), 4_000
    pairs = np.array(list(itertools.product(range(STATES), range(ACTIONS))))
    state, action = np.repeat(pairs, count, axis=0).T
    returns = np.zeros(state.size)
    for t in range(60):  # 0.8^60 is 1.5e-6.
        returns += 0.8**t * mdp.R[state, action]
        state = chosen(rng, mdp.P[state, action])
        action = chosen(rng, pi[state])
    returns = returns.reshape(STATES, ACTIONS, count)
    error = returns.std(axis=-1) / count**0.5
    np.testing.assert_array_less(np.abs(returns.mean(axis=-1) - found.Q), 4 * error + 1e-4)
    np.testing.assert_array_less(
        np.abs((pi * returns.mean(axis=-1)).sum(axis=-1) - found.V),
        4 * np.sqrt((pi**2 * error**2).sum(axis=-1)) + 1e-4,
    )


@pytest.mark.parametrize("seed", range(3))
def test_policy_iteration_finds_the_best_of_all_deterministic_policies(seed):
    mdp = small(seed)
    every = np.eye(ACTIONS)[list(itertools.product(range(ACTIONS), repeat=STATES))]
    best = mdp.evaluate(every).V.max(axis=0)
    for found in (mdp.optimal(), sparse(mdp).optimal()):
        np.testing.assert_allclose(found.V, best, atol=1e-12)
        assert ((found.policy == 0) | (found.policy == 1)).all()


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e9])
def test_policy_iteration_ends_whatever_the_rewards_scale(scale):
    mdp = small()
    scaled = theory.TabularMDP(mdp.P, scale * mdp.R, discount=0.9, initial=mdp.initial)
    np.testing.assert_allclose(scaled.optimal().V, scale * mdp.optimal().V, rtol=1e-12)


@pytest.mark.parametrize("kind", ["random", "cycle"])
def test_large_sparse_tables_are_solved_by_iteration_or_by_factorization(kind, monkeypatch):
    factorized, splu = [], scipy.sparse.linalg.splu
    monkeypatch.setattr(
        scipy.sparse.linalg, "splu", lambda matrix: factorized.append(1) or splu(matrix)
    )
    states = 10_000
    mdp = theory.garnet(0, states=states, actions=4, branching=3, discount=0.99)
    assert mdp.P.shape == (40_000, states)
    assert mdp.P.nnz == 3 * 40_000
    if kind == "cycle":
        ahead = (np.ones(states), (np.arange(states), np.roll(np.arange(states), -1)))
        P = scipy.sparse.csr_array(ahead, shape=(states, states))
        start = np.arange(states) == 0
        mdp = theory.TabularMDP(P, start[:, None], discount=0.9999, initial=start)
    found = mdp.evaluate(np.full((states, mdp.actions), 1 / mdp.actions))
    assert bool(factorized) == (kind == "cycle"), "each kind is to show its own way"
    np.testing.assert_allclose((found.policy * found.Q).sum(axis=-1), found.V, atol=1e-10)
    np.testing.assert_allclose(found.d.sum(), 1, atol=1e-10)
    # One number by two ways.
    by_occupancy = (found.d[:, None] * found.policy * mdp.R).sum() / (1 - mdp.discount)
    np.testing.assert_allclose(by_occupancy, found.J, atol=1e-9)
    if kind == "cycle":
        np.testing.assert_allclose(found.J, 1 / (1 - 0.9999**states), rtol=1e-10)


def test_frozen_lakes_table_is_gymnasiums_with_ends_that_stay_and_earn_nothing():
    mdp = theory.from_gymnasium("FrozenLake-v1", discount=0.99)
    table = gymnasium.make("FrozenLake-v1").unwrapped.P
    ends = [5, 7, 11, 12, 15]
    for state, action in itertools.product(range(16), range(4)):
        P, R = np.zeros(16), 0.0
        if state in ends:
            P[state] = 1.0
        else:
            for probability, target, reward, _ in table[state][action]:
                P[target] += probability
                R += probability * reward
        np.testing.assert_allclose(mdp.P[state, action], P, atol=1e-15)
        assert mdp.R[state, action] == pytest.approx(R)
    np.testing.assert_array_equal(mdp.initial, np.eye(16)[0])
    # The known optimum of the slippery 4x4 lake.
    np.testing.assert_allclose(mdp.optimal().J, 0.542026, atol=1e-6)


def test_other_environments_have_their_known_optima():
    cliff = theory.from_gymnasium("CliffWalking-v1", discount=0.99)
    np.testing.assert_allclose(cliff.optimal().J, -sum(0.99**t for t in range(13)))
    dry = theory.from_gymnasium("FrozenLake-v1", discount=0.99, is_slippery=False)
    np.testing.assert_allclose(dry.optimal().J, 0.99**5)
    taxi = theory.from_gymnasium("Taxi-v4", discount=0.99)
    assert taxi.initial.sum() == pytest.approx(1)
    # Dropping the passenger at the goal earns 20 once, and then nothing.
    env = gymnasium.make("Taxi-v4").unwrapped
    before = env.encode(0, 0, 4, 0)
    best = taxi.optimal()
    assert best.V[before] == pytest.approx(20)
    assert best.V[env.encode(0, 0, 0, 0)] == pytest.approx(0, abs=1e-12)


def test_a_state_that_ends_an_episode_only_sometimes_is_refused():
    def table(flag):
        return {
            0: {0: [(1.0, 1, 0.0, True)], 1: [(1.0, 1, 0.0, flag)]},
            1: {0: [(1.0, 0, 5.0, False)], 1: [(1.0, 1, 5.0, False)]},
            2: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 2, 0.0, False)]},
        }

    start = np.eye(3)
    mdp = _from_table("Odd-v0", table(True), start[0], 0.9)
    np.testing.assert_array_equal(mdp.R, 0.0)
    for flag, initial in ((False, start[0]), (True, start[2])):
        with pytest.raises(UsageError, match="state 1 of 'Odd-v0' ends an episode on one"):
            _from_table("Odd-v0", table(flag), initial, 0.9)


def test_random_mdps_are_their_seeds():
    one, same, other = small(0), small(0), small(1)
    np.testing.assert_array_equal(one.P, same.P)
    np.testing.assert_array_equal(one.R, same.R)
    assert (one.R != other.R).all()
    assert ((one.P > 0).sum(axis=-1) == 3).all()


def bent(P, index, value):
    P = P.copy()
    P[index] = value
    return P


MDP = small()
FLAT = scipy.sparse.csr_array(MDP.P.reshape(-1, STATES))
UNIFORM = np.full((STATES, ACTIONS), 1 / ACTIONS)
ROW = np.full(STATES, 0.1)


def make(P=MDP.P, R=MDP.R, discount=0.9, initial=MDP.initial):
    return theory.TabularMDP(P, R, discount=discount, initial=initial)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda: make(P=bent(MDP.P, (2, 1), ROW)), r"P\[2, 1\] sums to 0.5; .*divide them"),
        (lambda: make(P=bent(FLAT.toarray(), 7, ROW)), r"P has shape \[15, 5\]; .*\[S, A, S\]"),
        (
            lambda: make(P=scipy.sparse.csr_array(bent(FLAT.toarray(), 7, ROW))),
            r"P\[2, 1\] sums to 0.5; .*divide them",
        ),
        (lambda: make(P=bent(MDP.P, (0, 1, 2), -0.1)), r"P\[0, 1, 2\] is -0.1; .*from 0 to 1"),
        (
            lambda: make(P=scipy.sparse.csr_array(bent(FLAT.toarray(), (7, 3), -0.1))),
            r"P\[2, 1, 3\] is -0.1; .*from 0 to 1",
        ),
        (lambda: make(P=bent(MDP.P, (0, 1, 2), np.nan)), r"P\[0, 1, 2\] is nan"),
        (lambda: make(P=MDP.P[:4]), r"P has shape \[4, 3, 5\]; accepted is \[S, A, S\]"),
        (lambda: make(P=FLAT[:7]), r"P has shape \[7, 5\]; accepted is \[S\*A, S\]"),
        (lambda: make(R=MDP.R.T), r"R has shape \[3, 5\]; accepted is \[5, 3\], or .* \[5, 3, 5\]"),
        (lambda: make(R=np.inf * MDP.R), "R has entries that are not finite"),
        (lambda: make(discount=1.0), "discount is 1.0; accepted is a number from 0 to below 1"),
        (lambda: make(discount=-0.1), "discount is -0.1"),
        (lambda: make(discount="high"), "discount is 'high'"),
        (lambda: make(initial=np.full(4, 0.25)), r"initial has shape \[4\]; accepted is \[5\]"),
        (lambda: make(initial=np.full(5, 0.3)), "initial sums to 1.5"),
        (lambda: MDP.evaluate(UNIFORM.T), r"policy has shape \[3, 5\]; accepted is \[5, 3\]"),
        (lambda: MDP.evaluate(UNIFORM + 0.1), r"policy\[0\] sums to 1.3"),
        (lambda: MDP.evaluate(bent(UNIFORM, (4, 0), -1.0)), r"policy\[4, 0\] is -1"),
        (lambda: MDP.evaluate([UNIFORM, UNIFORM + 1]), r"policy\[1, 0\] sums to 4"),
        (
            lambda: theory.from_gymnasium("CartPole-v1", discount=0.9),
            "environment 'CartPole-v1' has no transition table; accepted are",
        ),
        (lambda: theory.from_gymnasium("FrozenLake", discount=0.9), "FrozenLake"),
        (
            lambda: theory.garnet(0, states=2, actions=0, branching=1, discount=0.9),
            "actions is 0; accepted is an integer from 1 up",
        ),
        (
            lambda: theory.garnet(0, states=2, actions=2, branching=3, discount=0.9),
            "branching is 3; accepted is 1 to 2",
        ),
        (
            lambda: theory.garnet(-1, states=2, actions=2, branching=1, discount=0.9),
            "seed is -1; accepted is an integer from 0 up",
        ),
        (
            lambda: theory.garnet(0, states=3.5, actions=2, branching=1, discount=0.9),
            "states is 3.5; accepted is an integer from 1 up",
        ),
        (lambda: make(P=[[[1.0]], [[1.0, 0.0]]]), "P is no table of numbers; accepted is an array"),
        (lambda: make(P="table"), "P is no table of numbers"),
        (lambda: make(R=[[1.0], [1.0, 2.0]]), "R is no table of numbers"),
        (lambda: make(initial="start"), "initial is no table of numbers"),
        (lambda: MDP.evaluate([[0.5], [0.2, 0.8]]), "policy is no table of numbers"),
        (lambda: MDP.evaluate(None), r"policy has shape \[\]; accepted is \[5, 3\]"),
        (
            lambda: theory.from_gymnasium("FrozenLake-v1", discount=0.9, is_slipery=True),
            "environment 'FrozenLake-v1' has no option 'is_slipery'",
        ),
        (
            lambda: theory.from_gymnasium("Taxi-v4", discount=0.9, fickle_passenger=True),
            "fickle_passenger is True, and the table of 'Taxi-v4' does not have",
        ),
    ],
)
def test_a_mistake_is_one_line(mistake, says):
    with pytest.raises(UsageError, match=says) as raised:
        mistake()
    assert "\n" not in str(raised.value)


def test_sparse_rewards_are_those_of_an_array():
    R = np.where(MDP.R > 0, MDP.R, 0.0)
    for P in (MDP.P, FLAT):
        found = make(P=P, R=scipy.sparse.csr_array(R))
        np.testing.assert_array_equal(found.R, R)
    each = scipy.sparse.csr_array(np.repeat(R.reshape(-1, 1), STATES, axis=1))
    np.testing.assert_allclose(make(P=FLAT, R=each).R, R, rtol=1e-12)


def test_what_single_precision_leaves_is_divided_out():
    mdp = make(P=MDP.P.astype(np.float32))
    np.testing.assert_allclose(mdp.P.sum(axis=-1), 1, atol=1e-15)
    found = mdp.evaluate(UNIFORM.astype(np.float32))
    np.testing.assert_allclose(found.policy.sum(axis=-1), 1, atol=1e-15)
