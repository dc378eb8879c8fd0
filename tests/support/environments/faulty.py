"""Environments for worker processes, some of which die, hang or raise. A worker imports no JAX."""

import os
import signal
import sys
import time

import gymnasium
import numpy as np
from gymnasium import spaces


class Counter(gymnasium.Env):
    """Episodes of `length` steps; the observation is (seed, steps taken), the reward their number.

    Action 1 does what the subclass makes of it.
    """

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Discrete(2)

    def __init__(self, length=10**6):
        self._length, self._seed, self._steps = length, -1, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._seed = self._seed if seed is None else seed
        self._steps = 0
        return self._observation(), {}

    def step(self, action):
        if action == 1:
            self.misbehave()
        self._steps += 1
        return self._observation(), float(self._steps), self._steps == self._length, False, {}

    def _observation(self):
        return np.array([self._seed, self._steps], float)

    def misbehave(self):
        pass

    def pid(self):
        return os.getpid()

    def imported(self, module):
        return module in sys.modules

    def add(self, a, b):
        return self._steps + a + b


class Reuses(Counter):
    """Returns the same array every time, overwritten by each step and each reset."""

    def __init__(self, length=10**6):
        super().__init__(length)
        self._array = np.empty(2)

    def _observation(self):
        self._array[:] = super()._observation()
        return self._array


class Dies(Counter):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Exits(Counter):
    def misbehave(self):
        os._exit(3)


class Hangs(Counter):
    def misbehave(self):
        time.sleep(60)


class Raises(Counter):
    def misbehave(self):
        raise ZeroDivisionError("a defect\nof two lines")


class RaisesAfter(Raises):
    """After 20 steps, whatever the action."""

    def step(self, action):
        return super().step(int(self._steps == 20))


class DiesAfter(Dies):
    def step(self, action):
        return super().step(int(self._steps == 20))


class DiesOnReset(Counter):
    def reset(self, *, seed=None, options=None):
        if self._steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset(seed=seed)


class CannotBeMade(Counter):
    def __init__(self):
        raise ValueError("never")


class NeedsMore(Counter):
    def __init__(self):
        import no_such_package  # noqa: F401


class InPlace(gymnasium.Env):
    """Halves its action where it lies, as many environments scale theirs, and earns it."""

    observation_space = spaces.Box(-2.0, 2.0, (2,))
    action_space = spaces.Box(-2.0, 2.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        self._steps += 1
        action *= 0.5
        obs = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return obs, float(action[0]), False, self._steps == 8, {}
