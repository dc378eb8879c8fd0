"""Environments in a worker process each, stepped as one; any of them can be lost without the
run's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from surefoot.common.errors import UsageError
from surefoot.envs.host.episode_history import History, Kept
from surefoot.envs.host.stepper import Resimulated, Stepped, one_by_one
from surefoot.envs.module_finder import pickled
from surefoot.envs.workers.process import Deadline
from surefoot.envs.workers.supervised import Restarts, Supervised
from surefoot.envs.workers.worker import EnvMaker

#: Seconds that environments get to close.
_END = 5.0


class Workers:
    """`num_envs` environments in SAME_STEP mode.

    A step may take `timeout` seconds (0: any time). The pools of a run share `restarts`, and number
    their environments from `first` on. With `stagger`, first episodes are cut.
    """

    def __init__(
        self,
        make: EnvMaker,
        num_envs: int,
        *,
        timeout: float,
        restarts: Restarts,
        first: int = 0,
        stagger: bool = False,
    ) -> None:
        self._restarts = restarts
        self._envs: list[Supervised] = []
        self._kept = [Kept()] * num_envs
        program = _pickled(make, stagger)
        try:
            for number in range(first, first + num_envs):
                self._envs.append(Supervised(program, number, timeout=timeout, restarts=restarts))
            self.made, *others = (env.made() for env in self._envs)
            for other in others:
                if other != self.made:
                    raise UsageError(
                        f"copies of the environment differ, {self.made} and {other}; accepted are "
                        "copies with the same spaces"
                    )
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [env.pid for env in self._envs]

    def reset(self, seed: int | None) -> Any:
        for i, env in enumerate(self._envs):
            env.ask_reset(None if seed is None else seed + i)
        return self._batch([env.reset() for env in self._envs])

    def send(self, action: Any) -> None:
        for env, one in zip(self._envs, one_by_one(action, len(self._envs)), strict=True):
            env.ask_step(one)

    def recv(self) -> Stepped:
        rows, valid = zip(*(env.step() for env in self._envs), strict=True)
        obs, reward, terminated, truncated, final_obs, *more = zip(*rows, strict=True)
        staggered, lost, cost = more
        return Stepped(
            self._batch(obs),
            np.array(reward, float),
            np.array(terminated, bool),
            np.array(truncated, bool),
            {"final_obs": final_obs},
            np.array(valid),
            self._restarts.told(),
            np.array(staggered, bool),
            np.array(lost, bool) if self.made.lives else None,
            cost,
        )

    def mark(self) -> Callable[[], list[History]]:
        # All of it is held here: a worker may be lost, or be at work, when it is asked for.
        pieces = self.call("since", [(kept.episode, kept.length) for kept in self._kept])
        self._kept = [k.with_piece(p) for k, p in zip(self._kept, pieces, strict=True)]
        marked = self._kept
        return lambda: [kept.history() for kept in marked]

    def resimulate(self, histories: Sequence[History]) -> Resimulated:
        played = self.call("resimulate", [(history,) for history in histories])
        for env in self._envs:
            env.clear_pending_reset()
        obs, earned, same = zip(*played, strict=True)
        return Resimulated(self._batch(obs), np.array(earned), np.array(same))

    def call(self, method: str, arguments: Sequence[tuple]) -> list[Any]:
        """What each environment's method of that name returns for its arguments, however long it
        takes; between two steps only. An environment that is lost meanwhile is restarted and asked
        again, and its next row is no transition."""
        asked = list(zip(self._envs, arguments, strict=True))
        for env, argument in asked:
            env.ask(method, argument)
        return [env.called(method, argument) for env, argument in asked]

    def close(self) -> None:
        for env in self._envs:
            env.ask_to_end()
        deadline = Deadline(time.monotonic() + _END, _END)
        for env in self._envs:
            env.end(deadline)
        self._envs = []

    def _batch(self, observations: Sequence[Any]) -> Any:
        space = self.made.observation_space
        into: Any = create_empty_array(space, len(observations))
        return concatenate(space, observations, into)


def _pickled(make: EnvMaker, stagger: bool) -> bytes:
    try:
        return pickled((make, stagger))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{make!r} cannot be sent to a worker process: {reason}; accepted with vectorization "
            "'async' is a callable that can be pickled: make what cannot be inside of it, or pass "
            "'sync'"
        ) from error
