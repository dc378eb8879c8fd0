"""How a vector environment is stepped: a step is asked for in one call and fetched in another, so
that other work can be done in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium.vector import VectorEnv

from surefoot.envs.checking.first_steps import (
    CHECKED,
    checked_vector_reset,
    checked_vector_step,
)
from surefoot.envs.host.episode_history import History


class Stepped(NamedTuple):
    """What `gymnasium.vector.VectorEnv.step` returns, and what became of environments that can be
    lost."""

    obs: Any
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    info: dict[str, Any]
    stepped: np.ndarray | None = None
    """Which environments took the step; the others were lost and begin an episode. `None`: all."""
    notices: tuple[str, ...] = ()
    """A line for every environment that was restarted since the step before."""
    staggered: np.ndarray | None = None
    """Which environments were truncated because their first episode is cut, and reset in this very
    step, as with SAME_STEP. `None`: none."""
    life_lost: np.ndarray | None = None
    """Where a life was lost that ends an episode for learning, while the game goes on. `None`:
    lives end nothing."""
    cost: Any = None
    """What each step cost, `None` where the environment does not say: a sequence of them, or `None`
    where none does."""


class Resimulated(NamedTuple):
    """Where episodes that were played again have come to."""

    obs: Any
    """The last observations."""
    earned: np.ndarray
    """Raw reward since each episode began, [N]."""
    same: np.ndarray
    """Whether each came to its last action, and its generator to where it was, [N]."""


def one_by_one(action: Any, count: int) -> Any:
    """What each environment is given of the actions of all, by its number."""
    match action:
        case dict():
            parts = {key: one_by_one(part, count) for key, part in action.items()}
            return [{key: part[i] for key, part in parts.items()} for i in range(count)]
        case tuple():
            return list(zip(*(one_by_one(part, count) for part in action), strict=True))
        case _:
            return action


class Stepper(Protocol):
    """A vector environment in two calls a step."""

    def reset(self, seed: int | None) -> Any:
        """Start an episode everywhere and return the observations; sub-environment i is seeded with
        seed + i, and without a seed the generators go on."""

    def send(self, action: Any) -> None:
        """Ask for a step, of arrays, or trees of them as `one_by_one` takes them."""

    def recv(self) -> Stepped:
        """The step asked for."""

    def mark(self) -> Callable[[], list[History]] | None:
        """Remember where the running episodes stand: what is returned tells them, until the next
        mark. `None` where they are not known."""

    def resimulate(self, histories: Sequence[History]) -> Resimulated:
        """Play these episodes again, instead of a reset."""

    def close(self) -> None:
        """Close the environments; threads and processes end."""


class Blocking:
    """Steps when the result is fetched: what every vector environment can."""

    def __init__(self, envs: VectorEnv) -> None:
        self.envs = envs
        self._action: Any = None
        self._to_check = CHECKED

    def reset(self, seed: int | None) -> Any:
        return checked_vector_reset(self.envs, seed)[0]

    def send(self, action: Any) -> None:
        self._action = action

    def recv(self) -> Stepped:
        if self._to_check:
            self._to_check -= 1
            return Stepped(*checked_vector_step(self.envs, self._action))
        return Stepped(*self.envs.step(self._action))

    def mark(self) -> None:
        return None

    def resimulate(self, histories: Sequence[History]) -> Resimulated:
        raise NotImplementedError("episodes of a vector environment are not known")

    def close(self) -> None:
        self.envs.close()


class Threaded:
    """Steps in a thread of its own: worth it where a step spends its time outside Python, as
    MuJoCo's does. Environments must share nothing that a step changes, and not be bound to the
    thread that made them."""

    def __init__(self, stepper: Stepper) -> None:
        self.inner = stepper
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="environments")
        self._step: Future[Stepped] | None = None

    def reset(self, seed: int | None) -> Any:
        return self.inner.reset(seed)

    def send(self, action: Any) -> None:
        self.inner.send(action)
        self._step = self._thread.submit(self.inner.recv)

    def recv(self) -> Stepped:
        assert self._step is not None, "no step was asked for"
        return self._step.result()

    def mark(self) -> Callable[[], list[History]] | None:
        return self.inner.mark()

    def resimulate(self, histories: Sequence[History]) -> Resimulated:
        return self.inner.resimulate(histories)

    def close(self) -> None:
        self._thread.shutdown()
        self.inner.close()
