"""CMA-ES: a search over policy parameters that learns which directions go together.

A Gaussian θ ~ N(m, σ²C) is sampled once for each environment, and the returns rank the samples, of
which the better half counts, each by its rank. The mean moves to their weighted mean; C learns from
the steps that were taken and from the path of the mean, and σ from how long that path is beside the
one of a search without direction (Hansen 2016, "The CMA evolution strategy: a tutorial"). With a
diagonal C of n numbers it learns faster and knows no correlations (Ros & Hansen 2008). The
constants are those of pycma 4.5, with positive weights alone.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from surefoot.common.errors import UsageError
from surefoot.core.data.types import Params, Scalar, Trajectory
from surefoot.core.networks import Critic, Policy
from surefoot.methods.learners.cross_entropy import (
    CrossEntropyMetrics,
    Population,
    generation,
    member_returns,
)
from surefoot.methods.learners.learner import Learner, TrainState

Covariance = Literal["full", "diagonal"]


class Constants(NamedTuple):
    """What the search is set by, from the number of parameters and the population."""

    weights: np.ndarray
    """w_1 ≥ … ≥ w_µ > 0 of the best, which sum to 1."""
    mu_eff: float
    """1/Σw²."""
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float
    """E‖N(0, I)‖."""

    @classmethod
    def of(cls, n: int, population: int, *, diagonal: bool) -> Constants:
        """Of `n` parameters."""
        mu = population // 2
        raw = np.log((population + 1) / 2) - np.log(np.arange(1, mu + 1))
        weights = raw / raw.sum()
        mu_eff = float(1 / np.sum(weights**2))
        c_sigma = (mu_eff + 2) / (n + mu_eff + 3)
        spread = 1 / 4 + mu_eff + 1 / mu_eff - 2
        if diagonal:
            root = np.sqrt(n)
            c_c = (1 + 1 / n + mu_eff / n) / (root + 1 / n + 2 * mu_eff / n)
            c_1 = 1 / (n + 2 * root + mu_eff / n)
            c_mu = spread / (n + 4 * root + mu_eff / 2)
        else:
            c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
            c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
            c_mu = 2 * spread / ((n + 2) ** 2 + mu_eff)
        return cls(
            weights=weights,
            mu_eff=mu_eff,
            c_sigma=c_sigma,
            d_sigma=1 + 2 * max(0.0, float(np.sqrt((mu_eff - 1) / (n + 1))) - 1) + c_sigma,
            c_c=float(c_c),
            c_1=float(c_1),
            c_mu=float(min(1 - c_1, c_mu)),
            chi=math.sqrt(2) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2)),
        )


class Search(NamedTuple):
    """Where a search stands."""

    sigma: Float[Array, ""]
    """σ, in units of the parameters."""
    covariance: Float[Array, "*C"]
    """C, [n, n], or its diagonal, [n]."""
    path_sigma: Float[Array, " n"]
    """p_σ, the path of the mean in coordinates in which C is I."""
    path_c: Float[Array, " n"]
    """p_c, the path of the mean in units of σ."""
    number: Int[Array, ""]
    """Generations that it has learned from."""
    noise: Float[Array, "N n"]
    """z ~ N(0, I) of each member."""
    steps: Float[Array, "N n"]
    """y = C^½ z of each member, who is m + σ y."""


class CovarianceAdaptation(Learner):
    """Samples `population` parameter vectors and adapts mean, step length and covariance to the
    better half. `covariance` is "full", for small policies, or "diagonal"."""

    population: int = eqx.field(static=True)
    covariance: Covariance = eqx.field(static=True, default="diagonal", kw_only=True)
    initial_std: Scalar = eqx.field(converter=jnp.asarray, default=0.1, kw_only=True)

    fresh_episodes: ClassVar[bool] = True
    needs_single_group: ClassVar[bool] = True
    sees_rewards: ClassVar[bool] = False

    def __check_init__(self) -> None:
        if self.population < 4:
            raise UsageError(f"population is {self.population}; accepted is an integer >= 4")

    @property
    def critic_update(self) -> None:
        return None

    def init_update_states(
        self, key: PRNGKeyArray, policy: Policy, critic: Critic | None
    ) -> tuple[Any, Any]:
        mean, _ = flat(policy)
        n = mean.shape[0]
        eye = jnp.ones_like(mean) if self.covariance == "diagonal" else jnp.eye(n, dtype=mean.dtype)
        zeros, nobody = jnp.zeros_like(mean), jnp.zeros((self.population, n), mean.dtype)
        sigma = jnp.asarray(self.initial_std, mean.dtype)
        number = jnp.zeros((), jnp.int32)
        search = Search(sigma, eye, zeros, zeros, number, nobody, nobody)
        return self.sampled(key, search), None

    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Population:
        mean, rebuilt = flat(state.policy)
        search = state.policy_state
        return Population(jax.vmap(rebuilt)(mean[None] + search.sigma * search.steps))

    def improve(
        self, state: TrainState, data: Trajectory
    ) -> tuple[TrainState, None, CrossEntropyMetrics]:
        key, sample_key = jax.random.split(state.key)
        returns = member_returns(data)
        mean, rebuilt = flat(state.policy)
        moved, search = self.adapted(mean, state.policy_state, returns)
        # To members that saw all observations alike, the ranking owes nothing but their biases.
        ranked = state.normalizer.ready
        mean, search = jax.tree.map(
            lambda a, b: jnp.where(ranked, a, b), (moved, search), (mean, state.policy_state)
        )
        policy = rebuilt(mean)
        best = jax.lax.top_k(_ranked(returns), self.population // 2)[1]
        std = search.sigma * jnp.sqrt(_diagonal(search.covariance))
        metrics = generation(state, policy, data, returns, best, std)
        state = state._replace(
            policy=policy,
            policy_state=self.sampled(sample_key, search),
            normalizer=state.normalizer.update(data.obs, data.valid),
            key=key,
            steps=state.steps.plus(metrics.valid_rows),
        )
        return state, None, metrics

    def sampled(self, key: PRNGKeyArray, search: Search) -> Search:
        """The search with members drawn anew."""
        noise = jax.random.normal(key, search.noise.shape, search.noise.dtype)
        return search._replace(noise=noise, steps=_rooted(search.covariance, noise))

    def adapted(
        self, mean: Float[Array, " n"], search: Search, returns: Float[Array, " N"]
    ) -> tuple[Float[Array, " n"], Search]:
        """(mean, search) after a generation with these returns; a NaN ranks last."""
        n, diagonal = mean.shape[0], self.covariance == "diagonal"
        c = Constants.of(n, self.population, diagonal=diagonal)
        weights = jnp.asarray(c.weights, mean.dtype)
        order = jnp.argsort(-_ranked(returns))[: len(c.weights)]
        noise, steps = search.noise[order], search.steps[order]
        step = weights @ steps
        number = search.number + 1

        length = np.sqrt(c.c_sigma * (2 - c.c_sigma) * c.mu_eff)
        path_sigma = (1 - c.c_sigma) * search.path_sigma + length * (weights @ noise)
        norm = jnp.linalg.norm(path_sigma)
        # A path that is short because it has only begun does not hold the covariance up.
        begun = 1 - (1 - c.c_sigma) ** (2.0 * number.astype(mean.dtype))
        going = (norm**2 / begun < (2 + 4 / (n + 1)) * n).astype(mean.dtype)
        along = np.sqrt(c.c_c * (2 - c.c_c) * c.mu_eff)
        path_c = (1 - c.c_c) * search.path_c + going * along * step

        if diagonal:
            rank_one, rank_mu = path_c**2, weights @ steps**2
        else:
            rank_one, rank_mu = jnp.outer(path_c, path_c), (steps.T * weights[None]) @ steps
        kept = 1 - c.c_1 - c.c_mu + c.c_1 * (1 - going) * c.c_c * (2 - c.c_c)
        covariance = kept * search.covariance + c.c_1 * rank_one + c.c_mu * rank_mu
        sigma = search.sigma * jnp.exp(c.c_sigma / c.d_sigma * (norm / c.chi - 1))
        found = search._replace(
            sigma=sigma,
            covariance=covariance,
            path_sigma=path_sigma,
            path_c=path_c,
            number=number,
        )
        return mean + search.sigma * step, found


def flat(policy: Policy) -> tuple[Float[Array, " n"], Any]:
    """(a policy's parameters as one vector, what makes a policy of such a vector)."""
    theta, static = eqx.partition(policy, eqx.is_inexact_array)
    vector, unravel = jax.flatten_util.ravel_pytree(theta)

    def rebuilt(vector: Float[Array, " n"]) -> Params:
        return eqx.combine(unravel(vector), static)

    return vector, rebuilt


def _ranked(returns: Float[Array, " N"]) -> Float[Array, " N"]:
    return jnp.where(jnp.isnan(returns), -jnp.inf, returns)


def _diagonal(covariance: Float[Array, "*C"]) -> Float[Array, " n"]:
    return covariance if covariance.ndim == 1 else jnp.diagonal(covariance)


def _rooted(covariance: Float[Array, "*C"], noise: Float[Array, "N n"]) -> Float[Array, "N n"]:
    """C^½ z of every row."""
    if covariance.ndim == 1:
        return jnp.sqrt(covariance)[None] * noise
    values, vectors = jnp.linalg.eigh(covariance)
    return ((noise @ vectors) * jnp.sqrt(jnp.maximum(values, 0.0))[None]) @ vectors.T
