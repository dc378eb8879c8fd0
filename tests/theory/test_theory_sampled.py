"""The sampled and the exact meet: the library's own natural direction, from sampled transitions of
FrozenLake, approaches the one that the table gives.

Both sides weigh states alike, by how often an undiscounted run of episodes visits them: the
training surrogate drops the γ^t of d^π, and so does the exact side here. Both damp with λ = 1e-3.
The critic is the exact V, rewards are not scaled, advantages are not standardized. With that critic
every λ of GAE is unbiased, and 0 has the least variance: at 100,000 samples all twenty seeds come
above 0.95 with λ = 0, and sixteen with λ = 0.95. Raise `SEEDS` to see.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support.problems import chosen
from support.suites import cases
from surefoot import theory
from surefoot.core.data.advantages import gae
from surefoot.core.data.types import Batch, Trajectory
from surefoot.core.distributions import Categorical
from surefoot.core.geometry import CG, Fisher
from surefoot.core.local_model import LocalModel
from surefoot.core.networks import CategoricalHead, mlp_policy
from surefoot.core.objectives import Surrogate

DISCOUNT, DAMPING = 0.99, 1e-3
ENVIRONMENTS, HORIZON = 100, 1000
MDP = theory.from_gymnasium("FrozenLake-v1", discount=DISCOUNT)
STATES, ACTIONS = MDP.states, MDP.actions
UNIFORM = np.full((STATES, ACTIONS), 1 / ACTIONS)
ENDS = MDP.P[np.arange(STATES), 0, np.arange(STATES)] == 1
SIZES = (1_000, 10_000, 100_000)
SEEDS = 3


def make_policy(hidden):
    """A network that is exactly uniform: its last layer is zero."""
    policy = mlp_policy(jax.random.key(0), STATES, CategoricalHead(ACTIONS), hidden=hidden)
    return eqx.tree_at(
        lambda p: p.network.weights[-1], policy, jnp.zeros_like(policy.network.weights[-1])
    )


def sample(seed):
    """100,000 transitions under the uniform policy; a new episode begins where one has ended."""
    rng = np.random.default_rng(seed)
    first = np.broadcast_to(MDP.initial, (ENVIRONMENTS, STATES))
    state, rows = chosen(rng, first), []
    for _ in range(HORIZON):
        action = rng.integers(ACTIONS, size=ENVIRONMENTS)
        after = chosen(rng, MDP.P[state, action])
        rows.append((state, action, after))
        state = np.where(ENDS[after], chosen(rng, first), after)
    state, action, after = (np.stack(x) for x in zip(*rows, strict=True))
    one_hot = np.eye(STATES, dtype=np.float32)
    never, always = np.zeros_like(state, bool), np.ones_like(state, bool)
    return Trajectory(
        obs=one_hot[state],
        action=action,
        old=Categorical(jnp.zeros((HORIZON, ENVIRONMENTS, ACTIONS))),
        reward=(after == STATES - 1).astype(np.float32),
        next_obs=one_hot[after],
        terminated=ENDS[after],
        truncated=never,
        valid=always,
        episode_return=np.zeros(state.shape, np.float32),
        episode_length=np.ones_like(state),
    )


@eqx.filter_jit
def direction(policy, trajectory, value, rows, gae_lambda):
    """d of (F + λI) d = ∇L on the first `rows` steps of all environments, by the library."""
    V = trajectory.obs @ value, trajectory.next_obs @ value
    flags = trajectory.terminated, trajectory.truncated, trajectory.valid
    advantage = gae(trajectory.reward, *V, *flags, discount=DISCOUNT, gae_lambda=gae_lambda)
    counts = jnp.broadcast_to(jnp.arange(HORIZON)[:, None] < rows, advantage.shape)
    flat = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[2:]), (trajectory, advantage, counts.astype(V[0].dtype))
    )
    trajectory, advantage, weight = flat
    batch = Batch(
        obs=trajectory.obs,
        action=trajectory.action,
        old=trajectory.old,
        advantage=advantage,
        weight=weight,
        progress=jnp.zeros(()),
    )
    local = LocalModel(Surrogate(), policy, batch)
    geometry = Fisher(CG(200), damping=DAMPING)
    return geometry.direction(jax.random.key(0), local, geometry.init(policy))[0]


def visited():
    """How often each state is visited in undiscounted episodes under the uniform policy."""
    under = np.einsum("sa,sat->st", UNIFORM, MDP.P)[~ENDS][:, ~ENDS]
    visits = np.zeros(STATES)
    visits[~ENDS] = np.linalg.solve(np.eye((~ENDS).sum()) - under.T, MDP.initial[~ENDS])
    return visits / visits.sum()


def exact_direction(policy):
    """The same from the table, with the dense Fisher matrix, in float64."""
    theta, static = eqx.partition(policy, eqx.is_inexact_array)
    logits = jax.jacrev(lambda theta: eqx.combine(theta, static)(jnp.eye(STATES)).logits)
    jacobian = jax.jit(logits)(theta)
    J = np.concatenate(
        [np.asarray(x, float).reshape(STATES, ACTIONS, -1) for x in jax.tree.leaves(jacobian)], -1
    )
    weight = visited()
    gradient = np.einsum("s,sa,sap->p", weight, UNIFORM * MDP.evaluate(UNIFORM).A, J)
    metric = np.diag(UNIFORM[0]) - np.outer(UNIFORM[0], UNIFORM[0])
    fisher = np.einsum("s,sap,ab,sbq->pq", weight, J, metric, J, optimize=True)
    return np.linalg.solve(fisher + DAMPING * np.eye(len(fisher)), gradient)


@pytest.mark.parametrize("hidden", cases([(), (16,)], fast=[(16,)]), ids=["linear", "hidden"])
def test_the_natural_direction_of_samples_approaches_the_exact_one(hidden):
    policy = make_policy(hidden)
    exact = exact_direction(policy)
    value = jnp.asarray(MDP.evaluate(UNIFORM).V, jnp.float32)
    lambdas = (0.0, 0.95)
    cosines = np.zeros((SEEDS, len(SIZES), len(lambdas)))
    for seed in range(SEEDS):
        trajectory = jax.tree.map(jnp.asarray, sample(seed))
        for i, size in enumerate(SIZES):
            for j, gae_lambda in enumerate(map(jnp.asarray, lambdas)):
                rows = jnp.asarray(size // ENVIRONMENTS)
                found = direction(policy, trajectory, value, rows, gae_lambda)
                d = np.concatenate([np.asarray(x, float).ravel() for x in jax.tree.leaves(found)])
                cosines[seed, i, j] = d @ exact / np.linalg.norm(d) / np.linalg.norm(exact)
    assert (cosines[:, -1, 0] >= 0.95).all(), cosines
    assert (cosines[:, -1].mean(axis=0) >= 0.95).all(), cosines
    assert (np.diff(cosines.mean(axis=0), axis=0) > 0).all(), cosines
