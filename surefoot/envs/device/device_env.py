"""Environments that are pure JAX functions, so that a whole iteration compiles to one program.

`FunctionalEnv` is a structural protocol with five methods of Gymnasium's `FuncEnv`, and any
`FuncEnv` written in JAX fits it. Environments do not reset themselves and know no time limit:
`DeviceEnv` adds both, for any number of copies side by side.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from surefoot.common.errors import UsageError, in_short
from surefoot.common.parameters import check_integer
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.observations import check_observation_space


@runtime_checkable
class FunctionalEnv(Protocol):
    """One environment as pure functions of its state. `rng` is a JAX key."""

    observation_space: spaces.Space
    action_space: spaces.Space

    def initial(self, rng: PRNGKeyArray) -> Any:
        """A start state."""

    def transition(self, state: Any, action: Any, rng: PRNGKeyArray) -> Any:
        """The next state."""

    def observation(self, state: Any, rng: PRNGKeyArray) -> Any:
        """What is seen of a state."""

    def reward(self, state: Any, action: Any, next_state: Any, rng: PRNGKeyArray) -> Any:
        """What a transition earns."""

    def terminal(self, state: Any, rng: PRNGKeyArray) -> Any:
        """Whether the episode ends in this state."""


#: Beside the key that starts are drawn by, which gives them the same with and without it.
_STAGGER = 0x57A66E12
_METHODS = ("initial", "transition", "observation", "reward", "terminal")


class DeviceState(NamedTuple):
    """`N` running environments."""

    inner: Any
    """The functional environments' states, leaves [N, …]."""
    obs: PyTree[Array]
    """Encoded observation of each state, leaves [N, …]."""
    age: Int[Array, " N"]
    """Steps since the episode began."""
    limit: Int[Array, " N"] | None
    """The age at which the episode is cut; `None` where there is no time limit."""
    episode_return: Float[Array, " N"]
    """Raw reward since the episode began."""
    return_rest: Float[Array, " N"]
    """What rounding has left out of it, which a later step adds (Kahan 1965)."""


class DeviceTransition(NamedTuple):
    """What one step of `N` environments returned."""

    next_obs: PyTree[Array]
    """The true next observation, before any reset."""
    reward: Float[Array, " N"]
    terminated: Bool[Array, " N"]
    truncated: Bool[Array, " N"]
    staggered: Bool[Array, " N"]
    """Truncated because the environment's first episode is cut: in no statistic of episodes."""
    episode_return: Float[Array, " N"]
    episode_length: Int[Array, " N"]


@dataclasses.dataclass(frozen=True)
class DeviceEnv:
    """Copies of a functional environment with auto-reset and a time limit in steps (`None`: no
    limit). Pure: `init` and `step` may be traced. Raises `UsageError` for what is no functional
    environment, and a limit that is no integer from 1."""

    env: FunctionalEnv
    time_limit: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        missing = [m for m in _METHODS if not callable(getattr(self.env, m, None))]
        if missing:
            raise UsageError(
                f"{type(self.env).__name__} is no functional environment: it lacks "
                f"{', '.join(missing)}; accepted are objects with {', '.join(_METHODS)}"
            )
        for name in ("observation_space", "action_space"):
            if not isinstance(getattr(self.env, name, None), spaces.Space):
                raise UsageError(
                    f"{type(self.env).__name__} is no functional environment: {name} is "
                    f"{in_short(getattr(self.env, name, None))}; accepted is a space of "
                    "gymnasium.spaces"
                )
        check_observation_space(self.observation_space)
        if self.time_limit is not None:
            limit = check_integer("time_limit", self.time_limit, 1, 2**31 - 1)
            object.__setattr__(self, "time_limit", limit)
        if not isinstance(self.name, str):
            raise UsageError(f"name is {in_short(self.name)}; accepted is text")
        if not self.name:
            object.__setattr__(self, "name", type(self.env).__name__)

    @property
    def observation_space(self) -> spaces.Space:
        return self.env.observation_space

    @property
    def action_space(self) -> spaces.Space:
        return self.env.action_space

    def _observe(self, inner: Any, keys: PRNGKeyArray) -> PyTree[Array]:
        encoding = Encoding(self.observation_space)
        return encoding(jax.vmap(self.env.observation)(inner, keys), jnp)

    def init(self, key: PRNGKeyArray, num_envs: int, *, stagger: bool = False) -> DeviceState:
        """`num_envs` copies at the start of an episode. With `stagger`, the copies' first episodes
        are cut at ages drawn uniformly from the time limit, if there is one, so that the copies are
        out of phase from then on."""
        start, observe = jax.random.split(key)
        inner = jax.vmap(self.env.initial)(jax.random.split(start, num_envs))
        obs = self._observe(inner, jax.random.split(observe, num_envs))
        zeros = jnp.zeros(num_envs)
        limit = None
        if self.time_limit is not None:
            limit = jnp.full(num_envs, self.time_limit, jnp.int32)
            if stagger:
                drawing = jax.random.fold_in(key, _STAGGER)
                limit = 1 + jax.random.randint(drawing, (num_envs,), 0, limit)
        return DeviceState(inner, obs, zeros.astype(jnp.int32), limit, zeros, zeros)

    def step(
        self, state: DeviceState, action: Array, key: PRNGKeyArray
    ) -> tuple[DeviceState, DeviceTransition]:
        """One step of each environment; those whose episode ended are returned reset."""
        n = state.age.shape[0]
        move, earn, end, observe, reset = jax.random.split(key, 5)
        inner = jax.vmap(self.env.transition)(state.inner, action, jax.random.split(move, n))
        reward = jax.vmap(self.env.reward)(state.inner, action, inner, jax.random.split(earn, n))
        terminated = jax.vmap(self.env.terminal)(inner, jax.random.split(end, n))
        reward, terminated = jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, bool)
        age = state.age + 1
        if state.limit is None or self.time_limit is None:
            truncated = staggered = jnp.zeros_like(terminated)
        else:
            truncated = age >= state.limit
            staggered = truncated & ~terminated & (state.limit < self.time_limit)
        earned = reward + state.return_rest
        total = state.episode_return + earned
        transition = DeviceTransition(
            next_obs=self._observe(inner, jax.random.split(observe, n)),
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            staggered=staggered,
            episode_return=total,
            episode_length=age,
        )
        done = terminated | truncated
        rest = earned - (total - state.episode_return)
        continued = DeviceState(inner, transition.next_obs, age, state.limit, total, rest)
        next_state = jax.tree.map(
            lambda fresh, old: jnp.where(
                done.reshape(done.shape + (1,) * (old.ndim - 1)), fresh, old
            ),
            self.init(reset, n),
            continued,
        )
        return next_state, transition
