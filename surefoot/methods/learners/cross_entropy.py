"""The cross-entropy method: a search over policy parameters that knows no gradient.

A Gaussian over parameters, θ ~ N(μ, diag(s²)), is sampled once for each environment; the returns
rank the samples, and μ and s are refitted to the best of them. The variance of a small elite falls
too fast, so a variance that decays over the run is added (Szita & Lőrincz 2006, "Learning Tetris
using the noisy cross-entropy method"; Rubinstein 1999).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from surefoot.common.errors import UsageError
from surefoot.core.data.segments import along_trajectory
from surefoot.core.data.types import Params, Scalar, Trajectory
from surefoot.core.distributions.deterministic import Deterministic
from surefoot.core.networks import Critic, Policy
from surefoot.methods.learners.learner import Learner, TrainState, progress


class Population(eqx.Module):
    """One policy for each environment, which does what it holds most probable: the search explores
    in parameters, and noise in actions would only blur the ranking. Leaves of `members` are
    [N, …]."""

    members: Policy

    def __call__(self, obs: PyTree[Array]) -> Deterministic:
        leaf = jax.tree.leaves(obs)[0]
        # A batch ends before a vector's one dimension, or the three of an image.
        axis = leaf.ndim - (4 if leaf.ndim > 3 else 2)
        self._check(leaf.shape[axis])
        dist = jax.vmap(lambda policy, o: policy(o), in_axes=(0, axis), out_axes=axis)(
            self.members, obs
        )
        return Deterministic(dist)

    def initial(self, count: int) -> Any:
        """The members' memories at the start of an episode, one of each."""

        def one(policy: Policy) -> Any:
            return jax.tree.map(lambda x: x[0], policy.initial(1))

        return jax.vmap(one)(self.members)

    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: Any
    ) -> tuple[Deterministic, Any]:
        """(what each member does, its memory afterwards)."""
        if memory is None:
            return self(obs), None
        self._check(jax.tree.leaves(obs)[0].shape[0])

        def one(policy: Policy, *seen: Any) -> Any:
            answer = policy.step(*jax.tree.map(lambda x: x[None], seen))
            return jax.tree.map(lambda x: x[0], answer)

        dist, memory = jax.vmap(one)(self.members, obs, starts, memory)
        return Deterministic(dist), memory

    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "N L"], memory: Any
    ) -> tuple[Deterministic, Any]:
        """The same of L steps, one segment a member."""

        def one(policy: Policy, *seen: Any) -> Any:
            answer = policy.unroll(*jax.tree.map(lambda x: x[None], seen))
            return jax.tree.map(lambda x: x[0], answer)

        dist, memories = jax.vmap(one)(self.members, obs, starts, memory)
        return Deterministic(dist), memories

    def _check(self, count: int) -> None:
        size = jax.tree.leaves(self.members)[0].shape[0]
        if count != size:
            raise UsageError(
                f"num_envs is {count}; accepted is the cross-entropy method's population, "
                f"{size}: one parameter vector an environment"
            )


class CrossEntropyState(NamedTuple):
    """The search's spread, and the parameters that are being tried."""

    std: Params
    """s, the standard deviation of every parameter."""
    members: Params
    """The sampled parameters, leaves [N, …]."""


class CrossEntropyMetrics(NamedTuple):
    """What one generation found. KL is KL(old‖new) of the search's mean policies, nats."""

    kl_mean: Float[Array, ""]
    """Mean over the generation's states, nats."""
    kl_max: Float[Array, ""]
    """Largest over the generation's states, nats."""
    entropy: Float[Array, ""]
    """Mean entropy of the new mean policy, nats."""
    population_return: Float[Array, ""]
    """Mean return of all members, raw."""
    elite_return: Float[Array, ""]
    """Mean return of the members that the search was refitted to, raw."""
    search_std: Float[Array, ""]
    """Root mean square of s, in units of the parameters."""
    valid_rows: Int[Array, ""]
    """Environment steps of the generation."""
    learned_rows: Int[Array, ""]
    """The same: every step counts in some member's return."""


class CrossEntropy(Learner):
    """Samples `population` parameter vectors, keeps the best `elite_fraction` of them, refits mean
    and standard deviation, adds a variance of (`extra_std`·(1 − progress))²."""

    population: int = eqx.field(static=True)
    elite_fraction: float = eqx.field(static=True, default=0.2, kw_only=True)
    initial_std: Scalar = eqx.field(converter=jnp.asarray, default=0.1, kw_only=True)
    extra_std: Scalar = eqx.field(converter=jnp.asarray, default=0.05, kw_only=True)

    fresh_episodes: ClassVar[bool] = True
    needs_single_group: ClassVar[bool] = True
    sees_rewards: ClassVar[bool] = False

    @property
    def critic_update(self) -> None:
        return None

    def init_update_states(
        self, key: PRNGKeyArray, policy: Policy, critic: Critic | None
    ) -> tuple[Any, Any]:
        theta = eqx.filter(policy, eqx.is_inexact_array)
        std = jax.tree.map(lambda x: jnp.full_like(x, self.initial_std), theta)
        return CrossEntropyState(std, self.sample(key, theta, std)), None

    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Population:
        static = eqx.filter(state.policy, eqx.is_inexact_array, inverse=True)
        return Population(eqx.combine(state.policy_state.members, static))

    def improve(
        self, state: TrainState, data: Trajectory
    ) -> tuple[TrainState, None, CrossEntropyMetrics]:
        key, sample_key = jax.random.split(state.key)
        returns = member_returns(data)
        static = eqx.filter(state.policy, eqx.is_inexact_array, inverse=True)
        extra = self.extra_std * (1.0 - progress(state))
        mean, std, elite = self.refit(state.policy_state.members, returns, extra)
        # To members that saw all observations alike, the ranking owes nothing but their biases.
        ranked = state.normalizer.ready
        theta = eqx.filter(state.policy, eqx.is_inexact_array)
        mean, std = jax.tree.map(
            lambda a, b: jnp.where(ranked, a, b), (mean, std), (theta, state.policy_state.std)
        )
        policy = eqx.combine(mean, static)

        metrics = generation(state, policy, data, returns, elite, std)
        state = state._replace(
            policy=policy,
            policy_state=CrossEntropyState(std, self.sample(sample_key, mean, std)),
            normalizer=state.normalizer.update(data.obs, data.valid),
            key=key,
            steps=state.steps.plus(metrics.valid_rows),
        )
        return state, None, metrics

    def sample(self, key: PRNGKeyArray, mean: Params, std: Params) -> Params:
        """`population` draws from N(mean, diag(std²)), leaves [N, …]."""
        leaves, structure = jax.tree.flatten(mean)
        keys = jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))

        def draw(k: PRNGKeyArray, m: Array, s: Array) -> Array:
            noise = jax.random.normal(k, (self.population, *m.shape), m.dtype)
            return m[None] + s[None] * noise

        return jax.tree.map(draw, keys, mean, std)

    def refit(
        self, members: Params, returns: Float[Array, " N"], extra_std: Float[Array, ""] | float
    ) -> tuple[Params, Params, Int[Array, " elite"]]:
        """(mean, standard deviation, indices) of the members with the highest returns; a NaN ranks
        last. The deviation is √(variance of the elite + extra_std²)."""
        count = max(1, round(self.elite_fraction * self.population))
        ranked = jnp.where(jnp.isnan(returns), -jnp.inf, returns)
        elite = jax.lax.top_k(ranked, count)[1]
        best = jax.tree.map(lambda x: x[elite], members)
        mean = jax.tree.map(lambda x: jnp.mean(x, axis=0), best)
        std = jax.tree.map(lambda x: jnp.sqrt(jnp.var(x, axis=0) + extra_std**2), best)
        return mean, std, elite


def generation(
    state: TrainState,
    policy: Policy,
    data: Trajectory,
    returns: Float[Array, " N"],
    elite: Int[Array, " elite"],
    std: Params,
) -> CrossEntropyMetrics:
    """What a generation found, after which the mean policy is `policy` and the parameters'
    deviations `std`; `state` is the one before."""
    rows = state.normalizer(data.obs)
    new = along_trajectory(policy, rows, data)
    kl = jnp.where(data.valid, along_trajectory(state.policy, rows, data).kl(new), 0.0)
    valid = jnp.sum(data.valid, dtype=jnp.int32)
    sizes = sum(x.size for x in jax.tree.leaves(std))
    return CrossEntropyMetrics(
        kl_mean=jnp.sum(kl) / valid.astype(kl.dtype),
        kl_max=jnp.max(kl),
        entropy=jnp.sum(jnp.where(data.valid, new.entropy(), 0.0)) / valid.astype(kl.dtype),
        population_return=jnp.mean(returns),
        elite_return=jnp.mean(returns[elite]),
        search_std=optax.tree.norm(std) / sizes**0.5,
        valid_rows=valid,
        learned_rows=valid,
    )


def member_returns(trajectory: Trajectory) -> Float[Array, " N"]:
    """Each environment's mean return over the episodes that ended; where none did, what it earned
    so far."""
    ended = (trajectory.terminated | trajectory.truncated) & trajectory.valid
    count = jnp.sum(ended, axis=0)
    total = jnp.sum(jnp.where(ended, trajectory.episode_return, 0.0), axis=0)
    earned = jnp.sum(jnp.where(trajectory.valid, trajectory.reward, 0.0), axis=0)
    return jnp.where(count > 0, total / jnp.maximum(count, 1).astype(total.dtype), earned)
