"""One environment in a worker process that is replaced when it is lost.

A process that dies, or gives no answer in time, is replaced by a new one with a fresh episode. The
step that was asked for is lost then: it is no transition, and its observation begins an episode. An
exception that the environment raises is no accident: it is a defect, and is not tried again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from surefoot.common.errors import FailedEnvironmentError, UsageError
from surefoot.envs.workers.process import Deadline, LostWorkerError, WorkerProcess
from surefoot.envs.workers.worker import EnvInfo, Row, WorkerError

#: Seconds that making an environment, or a reset, gets at least: imports can take long.
_START = 60.0


class Restarts:
    """The restarts of a run: how many there were of those it may have, and what is to be told."""

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 0
        self._notices: list[str] = []

    def take(self, environment: str, lost: LostWorkerError) -> None:
        """Count one more; raise `FailedEnvironmentError` if none is left."""
        if self.count >= self.most:
            raise FailedEnvironmentError(
                f"{environment} {lost}, and the run's {self.most} restarts are used up: fix the "
                "environment, or raise max_env_restarts"
            )
        self.count += 1

    def tell(self, notice: str) -> None:
        """Queue a notice for the next step's report."""
        self._notices.append(notice)

    def told(self) -> tuple[str, ...]:
        """The lines since this was last asked."""
        notices, self._notices = tuple(self._notices), []
        return notices


class Supervised:
    """Environment number `number` of a run. A step may take `timeout` seconds (0: any time)."""

    def __init__(self, program: bytes, number: int, *, timeout: float, restarts: Restarts) -> None:
        self._program, self._number = program, number
        self._timeout, self._restarts = timeout, restarts
        self._seed: int | None = None
        self._first_seed: int | None = None
        self._lives = 0
        self._action: Any = None
        self._fresh: Any = None
        self._deadline: Deadline | None = None
        self._start()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def made(self) -> EnvInfo:
        """What was made. Raises `UsageError` if a package is missing."""
        try:
            answer = self._process.made(self._deadline)
        except LostWorkerError as lost:
            raise FailedEnvironmentError(f"{self._name} {lost} while it was made") from None
        return self._checked(answer)

    def ask_reset(self, seed: int | None) -> None:
        """Begin an episode; without a seed the generator goes on."""
        if seed is not None:
            self._seed = self._first_seed = seed
        self._action, self._fresh = None, None
        self._deadline = self._long()
        self._process.send("reset", seed)

    def reset(self) -> Any:
        """The observation of the reset that was asked for."""
        try:
            return self._answer(self._deadline)
        except LostWorkerError as lost:
            self._restart(lost)
            return self._begun()

    def ask_step(self, action: Any) -> None:
        """Take a step, unless the environment begins an episode that was not told yet."""
        self._action = action
        self._deadline = Deadline.after(self._timeout)
        if self._fresh is None:
            self._process.send("step", action)

    def step(self) -> tuple[Row, bool]:
        """The step that was asked for, and whether it is a transition."""
        try:
            if self._fresh is None:
                return self._answer(self._deadline), True
        except LostWorkerError as lost:
            self._restart(lost)
        return (self._begun(), 0.0, False, False, None, False, False, 0.0), False

    def ask(self, method: str, arguments: tuple) -> None:
        """Call the environment's method of that name."""
        self._process.send(method, arguments)

    def called(self, method: str, arguments: tuple) -> Any:
        """What the method that was called returned, however long it took. A lost environment is
        restarted and asked again; its next step is no transition."""
        while True:
            try:
                return self._answer(None)
            except LostWorkerError as lost:
                self._restart(lost)
                self.ask(method, arguments)

    def clear_pending_reset(self) -> None:
        """Forget a pending reset: the episode has been restored."""
        self._fresh = None

    def ask_to_end(self) -> None:
        """Let the environment close and its process end."""
        self._process.ask_to_end()

    def end(self, deadline: Deadline) -> None:
        """Wait for the end, and force it at the deadline."""
        self._process.end(deadline)

    def _start(self) -> None:
        self._process = WorkerProcess(self._program)
        self._deadline = self._long()

    def _restart(self, lost: LostWorkerError) -> None:
        while True:
            name = self._name
            self._restarts.take(name, lost)
            self._lives += 1
            if self._first_seed is not None:
                self._seed = _fresh_seed(self._first_seed, self._lives)
            self._restarts.tell(f"{name} {lost}: restarted with seed {self._seed}")
            self._start()
            try:
                self._checked(self._process.made(self._deadline))
                self._process.send("reset", self._seed)
                self._fresh = self._answer(self._deadline)
                return
            except LostWorkerError as again:
                lost = again

    def _begun(self) -> Any:
        obs, self._fresh = self._fresh, None
        return obs

    def _answer(self, deadline: Deadline | None) -> Any:
        return self._checked(self._process.receive(deadline))

    def _checked(self, answer: Any) -> Any:
        if not isinstance(answer, WorkerError):
            return answer
        if answer.refused is not None:
            raise UsageError(answer.refused)
        if answer.missing:
            raise UsageError(f"{self._name} needs a package that is not installed: {answer.what}")
        action = np.asarray(self._action).tolist()
        raise FailedEnvironmentError(
            f"{self._name}, last action {action}, raised {answer.what}\n\n{answer.traceback}"
        )

    def _long(self) -> Deadline | None:
        return Deadline.after(self._timeout and max(self._timeout, _START))

    @property
    def _name(self) -> str:
        return f"environment {self._number} (seed {self._seed})"


def _fresh_seed(seed: int, restart: int) -> int:
    """The same for the same run, whatever happens in it, and no other environment's."""
    return int(np.random.SeedSequence((seed, restart)).generate_state(1)[0] >> 1)
