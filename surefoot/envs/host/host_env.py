"""Environments on the host, whatever their auto-reset convention.

`HostEnv` gives the step of a vector environment one meaning: the *true* next observation, which
rows are transitions, and the observation that the next action answers to. Two conventions are
understood:

* SAME_STEP: at an episode's end the reset observation is returned and the true last one lies in
  `info["final_obs"]`. Every row is a transition. This is what Gymnasium's are made with here.
* NEXT_STEP: the true last observation is returned, and the following step ignores its action and
  returns the reset observation. That row is no transition. EnvPool knows this one only.

The row of an environment that was lost in a step, and begins an episode instead, is no transition
either.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from surefoot.common.errors import UsageError, in_short
from surefoot.envs.host.episode_history import History
from surefoot.envs.host.stepper import Blocking, Resimulated, Stepper
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.masks import any_valid
from surefoot.envs.spaces.observations import check_observation_space


class HostTransition(NamedTuple):
    """What one step of `N` environments returned. Arrays are NumPy, [N, …]."""

    obs: Any
    """Encoded observation that the next action answers to (`Encoding`)."""
    next_obs: Any
    """Encoded true next observation."""
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    """Whether this row is a transition."""
    staggered: np.ndarray
    """Whether this row is truncated because the environment's first episode is cut: it counts in no
    statistic of episodes."""
    lost: int = 0
    """Environments that were lost instead of taking the step."""
    notices: tuple[str, ...] = ()
    """A line for every environment that was restarted since the step before."""
    life_lost: np.ndarray | None = None
    """Whether a life was lost in this row that ends an episode for learning, while the game goes
    on; `None` where lives end nothing."""
    cost: np.ndarray | None = None
    """What the row cost; `None` where nobody asks."""


class HostEnv:
    """`num_envs` environments that are stepped together, by `send` and `recv` or by `step`."""

    def __init__(
        self,
        stepper: Stepper,
        *,
        name: str,
        num_envs: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        autoreset: Any,
        lives: bool = False,
    ) -> None:
        if autoreset not in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
            raise UsageError(
                f"{name}: auto-reset mode {getattr(autoreset, 'name', autoreset)} is not "
                "supported; accepted are NEXT_STEP and SAME_STEP, declared in the vector "
                'environment\'s metadata["autoreset_mode"]'
            )
        check_observation_space(observation_space)
        self.name = name
        self.num_envs = num_envs
        self.observation_space = observation_space
        self.encoding = Encoding(observation_space)
        self.action_space = action_space
        self.stepper = stepper
        #: Whether a lost life ends an episode for learning.
        self.lives = lives
        #: Whether it is asked for `info["cost"]`.
        self.costs = False
        #: What encoded observations lack, float64 [obs]; `None`: nothing.
        self.offset: np.ndarray | None = None
        self._same_step = autoreset == AutoresetMode.SAME_STEP
        self._resetting = np.zeros(num_envs, bool)

    @classmethod
    def of(cls, envs: VectorEnv, *, name: str, stepper: Stepper | None = None) -> HostEnv:
        """A Gymnasium vector environment, stepped by `stepper`, or when the step is fetched."""
        return cls(
            Blocking(envs) if stepper is None else stepper,
            name=name,
            num_envs=int(envs.num_envs),
            observation_space=envs.single_observation_space,
            action_space=envs.single_action_space,
            autoreset=envs.metadata.get("autoreset_mode"),
        )

    def reset(self, seed: int | None = None) -> Any:
        """Start an episode everywhere; sub-environment i is seeded with seed + i."""
        self._resetting = np.zeros(self.num_envs, bool)
        return self._asked(self._encoded(self.stepper.reset(seed)))

    def reset_with_offset(self, seed: int | None = None) -> Any:
        """`reset`, with an offset that makes the first environment's observation zero."""
        self._resetting = np.zeros(self.num_envs, bool)
        raw = self.stepper.reset(seed)
        self.offset = self.encoding.offset_of_first(raw)
        return self._asked(self._encoded(raw))

    def _encoded(self, raw: Any) -> Any:
        return self.encoding(raw, offset=self.offset)

    def _asked(self, obs: Any) -> Any:
        """The observations that actions answer to. Raises `UsageError` where none is valid; where
        no action counts, in a row of NEXT_STEP's resets, all are."""
        if self.encoding.mask is None:
            return obs
        mask = obs.action_mask | self._resetting[:, None]
        some = any_valid(mask, self.action_space)
        if not some.all():
            raise UsageError(
                f"{self.name}: no action is valid in environment {int(np.argmin(some))}; accepted "
                "is an action mask with one valid value of each choice, or more"
            )
        return obs._replace(action_mask=mask)

    def send(self, action: Any) -> None:
        """Ask every environment for a step, with an array of actions, or for a `Dict` or `Tuple` a
        dict or tuple of them. What is given can be written: many environments scale an action in
        place."""
        plain = isinstance(action, np.ndarray)
        self.stepper.send(_writable(action) if plain else jax.tree.map(_writable, action))

    def recv(self) -> HostTransition:
        """The step asked for."""
        row = self.stepper.recv()
        raw, reward, terminated, truncated, info, stepped, notices, staggered, life_lost, told = row
        obs = self._encoded(raw)
        done = terminated | truncated
        if staggered is None:
            staggered = np.zeros(self.num_envs, bool)
        if self._same_step:
            valid = np.ones(self.num_envs, bool)
            next_obs = self._with_final(obs, done, info) if done.any() else obs
        else:
            valid = ~self._resetting
            next_obs = obs
            self._resetting = done & valid
            if staggered.any():
                next_obs = self._with_final(obs, staggered, info)
                self._resetting &= ~staggered
        lost = 0
        if stepped is not None:
            valid &= stepped
            lost = self.num_envs - int(stepped.sum())
        obs = self._asked(obs)
        ends = terminated, truncated, valid, staggered
        cost = self._cost(info if told is None else {"cost": told}, valid) if self.costs else None
        return HostTransition(obs, next_obs, reward, *ends, lost, notices, life_lost, cost)

    def _cost(self, info: Any, valid: np.ndarray) -> np.ndarray:
        """What each environment says that the step cost. Raises `UsageError` where that is no
        finite number."""
        told = info.get("cost") if isinstance(info, dict) else None
        each = [None] * self.num_envs if told is None else list(told)
        for i in np.flatnonzero(~valid).tolist():
            each[i] = 0.0
        for i, one in enumerate(each):
            if not isinstance(one, numbers.Real) or not math.isfinite(one):
                raise UsageError(
                    f'{self.name}: info["cost"] of environment {i} is {in_short(one)}; accepted is '
                    "a finite number at every step, or in Python cost=, a function (obs, action, "
                    "next_obs) -> costs"
                )
        return np.asarray(each, float)

    def step(self, action: Any) -> HostTransition:
        """Step every environment once."""
        self.send(action)
        return self.recv()

    def mark(self) -> Callable[[], list[History]] | None:
        """Remember where the running episodes stand: what is returned tells them, until the next
        mark. `None` where they are not known."""
        return self.stepper.mark()

    def resimulate(self, histories: Sequence[History]) -> Resimulated:
        """Play these episodes again, instead of a reset; observations are encoded."""
        self._resetting = np.zeros(self.num_envs, bool)
        played = self.stepper.resimulate(histories)
        return played._replace(obs=self._encoded(played.obs))

    def _with_final(self, obs: Any, done: np.ndarray, info: dict[str, Any]) -> Any:
        next_obs = jax.tree.map(np.copy, obs)

        def put(into: np.ndarray, final: np.ndarray) -> None:
            into[i] = final

        for i in np.flatnonzero(done):
            jax.tree.map(put, next_obs, self._encoded(self._final(info, i)))
        return next_obs

    def _final(self, info: Any, i: Any) -> Any:
        """The true last observation of environment i, also where Gymnasium's `DictInfoToList` has
        made a list of the infos."""
        try:
            return info[i]["final_obs"] if isinstance(info, list) else info["final_obs"][i]
        except (KeyError, TypeError, IndexError):
            raise UsageError(
                f"{self.name}: the info of a step in which environment {i} was reset has no "
                '"final_obs"; accepted with the auto-reset mode SAME_STEP is the true last '
                'observation there: add it, or declare NEXT_STEP in metadata["autoreset_mode"]'
            ) from None

    def close(self) -> None:
        """Close the environments; threads and processes end."""
        self.stepper.close()


def _writable(action: Any) -> Any:
    if isinstance(action, np.ndarray) and not action.flags.writeable:
        return action.copy()
    return action
