"""The tasks, as functional environments in JAX and as Gymnasium's.

Each isolates one property. `Cue` is to be remembered; `HiddenVelocities` is CartPole whose
velocities are to be inferred; `Doors` has few valid actions, and `CuedDoors` needs both, a mask and
a memory; `Dosage` has an action of two kinds.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from surefoot.envs.device.classic import CartPole
from surefoot.envs.device.device_env import DeviceEnv

#: Steps between a cue and the question.
DELAY = 20


class CueState(NamedTuple):
    """Which of two cues was shown, and how many steps ago."""

    cue: Array
    time: Array


class Cue:
    """A cue, 1 or −1, is seen in the first step and asked for `DELAY` steps later: the answer earns
    1 if it is right. Observations: the cue, and whether it is asked for."""

    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Discrete(2)

    def initial(self, rng: PRNGKeyArray) -> CueState:
        return CueState(jax.random.randint(rng, (), 0, 2), jnp.zeros((), jnp.int32))

    def transition(self, state: CueState, action: Any, rng: PRNGKeyArray) -> CueState:
        return state._replace(time=state.time + 1)

    def observation(self, state: CueState, rng: PRNGKeyArray) -> Array:
        shown = jnp.where(state.time == 0, 2.0 * state.cue - 1.0, 0.0)
        return jnp.stack([shown, jnp.where(state.time == DELAY, 1.0, 0.0)])

    def reward(self, state: CueState, action: Any, next_state: CueState, rng: Any) -> Array:
        return ((state.time == DELAY) & (action == state.cue)).astype(jnp.float32)

    def terminal(self, state: CueState, rng: PRNGKeyArray) -> Array:
        return state.time > DELAY


class HiddenVelocities:
    """CartPole that shows where cart and pole are, and not how fast they move."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))

    def __init__(self) -> None:
        self.cartpole = CartPole()
        self.action_space = self.cartpole.action_space
        self.initial, self.transition = self.cartpole.initial, self.cartpole.transition
        self.reward, self.terminal = self.cartpole.reward, self.cartpole.terminal

    def observation(self, state: Any, rng: PRNGKeyArray) -> Array:
        """Position and angle."""
        return self.cartpole.observation(state, rng)[jnp.array([0, 2])]


#: Doors, how many may be opened at a time, contexts, and doors that are opened in an episode.
DOORS, OPEN, CONTEXTS, VISITS = 200, 20, 10, 10


class DoorState(NamedTuple):
    """Which door is right, which can be opened, and how many were tried."""

    context: Array
    valid: Array
    time: Array


@dataclasses.dataclass(frozen=True)
class Doors:
    """Of 200 doors 20 can be opened, others at each step; the right ones are those of the context's
    number modulo 10, and earn 1. To try one that cannot be opened earns `penalty`.

    `masked`: the observation says which can be opened as "action_mask", instead of as numbers that
    a network sees. `cued`: the context is seen in the first step only, and stays for the episode.
    """

    masked: bool = True
    cued: bool = False
    penalty: float = -1.0

    action_space = spaces.Discrete(DOORS)

    @property
    def observation_space(self) -> spaces.Dict:
        name = "action_mask" if self.masked else "open"
        return spaces.Dict(
            {name: spaces.MultiBinary(DOORS), "context": spaces.Box(0.0, 1.0, (CONTEXTS,))}
        )

    def _valid(self, context: Array, rng: PRNGKeyArray) -> Array:
        """20 doors, two of them right."""
        number = jnp.arange(DOORS)
        right, wrong = jax.random.split(rng)
        score = jax.random.uniform(right, (DOORS,))
        own = number % CONTEXTS == context
        rank = jnp.argsort(jnp.argsort(jnp.where(own, score, 2.0)))
        others = jnp.argsort(jnp.argsort(jnp.where(own, 2.0, jax.random.uniform(wrong, (DOORS,)))))
        return (own & (rank < 2)) | (~own & (others < OPEN - 2))

    def initial(self, rng: PRNGKeyArray) -> DoorState:
        which, rest = jax.random.split(rng)
        context = jax.random.randint(which, (), 0, CONTEXTS)
        return DoorState(context, self._valid(context, rest), jnp.zeros((), jnp.int32))

    def transition(self, state: DoorState, action: Any, rng: PRNGKeyArray) -> DoorState:
        which, rest = jax.random.split(rng)
        drawn = jax.random.randint(which, (), 0, CONTEXTS)
        context = state.context if self.cued else drawn
        return DoorState(context, self._valid(context, rest), state.time + 1)

    def observation(self, state: DoorState, rng: PRNGKeyArray) -> dict[str, Array]:
        shown = jax.nn.one_hot(state.context, CONTEXTS)
        if self.cued:
            shown = jnp.where(state.time == 0, shown, 0.0)
        name = "action_mask" if self.masked else "open"
        return {name: state.valid.astype(jnp.int8), "context": shown}

    def reward(self, state: DoorState, action: Any, next_state: DoorState, rng: Any) -> Array:
        right = (action % CONTEXTS == state.context).astype(jnp.float32)
        return jnp.where(state.valid[action], right, self.penalty)

    def terminal(self, state: DoorState, rng: PRNGKeyArray) -> Array:
        return state.time >= VISITS


#: Kinds of a drug, and how much of each is right, in [−1, 1].
AMOUNTS = (-0.6, 0.1, 0.7)


class Dosage:
    """One of three kinds is to be given, and a certain amount of it: a step earns
    exp(−½ (difference/0.2)²) for the right kind, and nothing for another one."""

    observation_space = spaces.Box(0.0, 1.0, (len(AMOUNTS),))
    action_space = spaces.Dict(
        {"amount": spaces.Box(-1.0, 1.0, (1,)), "kind": spaces.Discrete(len(AMOUNTS))}
    )

    def initial(self, rng: PRNGKeyArray) -> Array:
        return jax.random.randint(rng, (2,), 0, len(AMOUNTS)).at[1].set(0)

    def transition(self, state: Array, action: Any, rng: PRNGKeyArray) -> Array:
        return jnp.stack([jax.random.randint(rng, (), 0, len(AMOUNTS)), state[1] + 1])

    def observation(self, state: Array, rng: PRNGKeyArray) -> Array:
        return jax.nn.one_hot(state[0], len(AMOUNTS))

    def reward(self, state: Array, action: Any, next_state: Array, rng: Any) -> Array:
        difference = action["amount"][0] - jnp.array(AMOUNTS)[state[0]]
        right = action["kind"] == state[0]
        return jnp.where(right, jnp.exp(-0.5 * (difference / 0.2) ** 2), 0.0)

    def terminal(self, state: Array, rng: PRNGKeyArray) -> Array:
        return state[1] >= 10


class Squares(gymnasium.Env):
    """One of four quarters of a picture of 10 × 10 pixels is lit: which one is to be told. Episodes
    of ten steps, on the host."""

    observation_space = spaces.Box(0, 255, (10, 10), np.uint8)
    action_space = spaces.Discrete(4)

    def _seen(self) -> np.ndarray:
        self.lit = int(self.np_random.integers(4))
        picture = self.np_random.integers(0, 64, (10, 10), np.uint8)
        row, column = divmod(self.lit, 2)
        picture[5 * row : 5 * row + 5, 5 * column : 5 * column + 5] += 128
        return picture

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.time += 1
        reward = float(action == self.lit)
        return self._seen(), reward, self.time == 10, False, {}


#: Masked doors, in JAX.
doors = DeviceEnv(Doors(), time_limit=VISITS + 2, name="Doors")
