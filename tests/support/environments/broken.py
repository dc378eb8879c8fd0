"""Environments with one defect each, and what `check_env` must say of it."""

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

#: (what makes the environment, its kind of defect, what the message must contain), by name.
BROKEN = {}


def broken(kind, *words):
    """Register a defect of that kind, whose message must contain all of these words."""

    def register(make):
        BROKEN[make.__name__] = make, kind, words
        return make

    return register


class Sound(gymnasium.Env):
    """A random walk in the plane without a defect; episodes of ten steps."""

    observation_space = spaces.Box(-100.0, 100.0, (2,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps, self._place = 0, np.zeros(2, np.float32)
        return self._place.copy(), {}

    def step(self, action):
        self._steps += 1
        self._place += np.asarray(action + self.np_random.normal(size=2), np.float32)
        return self._place.copy(), -1.0, False, self._steps == 10, {}


class Returns(Sound):
    """Changes what a step returns."""

    def step(self, action):
        return self.changed(*super().step(action))


@broken("observation", "shape (3,)", "accepted is (2,)")
class WrongShape(Returns):
    def changed(self, obs, *rest):
        return np.zeros(3, np.float32), *rest


@broken("observation", "dtype float64", "accepted is float32", ".astype(float32)")
class WrongDtype(Returns):
    def changed(self, obs, *rest):
        return obs.astype(float), *rest


@broken("observation", "holds 101.0 at [1]", "-100.0 to 100.0", "clip it, or widen")
class OutOfBounds(Returns):
    def changed(self, obs, *rest):
        obs[1] = 101
        return obs, *rest


@broken("observation", "holds nan at [0]", "finite")
class NanObservation(Returns):
    def changed(self, obs, *rest):
        obs[0] = np.nan
        return obs, *rest


@broken("observation", "holds inf at [0]", "finite")
class InfiniteObservation(Returns):
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def changed(self, obs, *rest):
        obs[0] = np.inf
        return obs, *rest


@broken("observation", "is a list", "np.array")
class ListObservation(Returns):
    def changed(self, obs, *rest):
        return obs.tolist(), *rest


@broken("observation", "shape (1, 2)", "accepted is (2,)")
class WrongShapeOfReset(Sound):
    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return obs[None], info


@broken("observation", "is 4", "Discrete(4)")
class DiscreteOutOfRange(Returns):
    observation_space = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        return 0, super().reset(seed=seed)[1]

    def changed(self, obs, *rest):
        return 4, *rest


@broken("observation", "has ['a']", "keys ['a', 'b']")
class MissingKey(Sound):
    observation_space = spaces.Dict({"a": spaces.Discrete(2), "b": Sound.observation_space})

    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return {"a": 0, "b": obs}, info

    def step(self, action):
        return {"a": 1}, *super().step(action)[1:]


@broken("observation", "['b']", "shape (1,)", "accepted is (2,)")
class WrongShapeWithin(MissingKey):
    def step(self, action):
        obs, *rest = Sound.step(self, action)
        return {"a": 1, "b": obs[:1]}, *rest


@broken("observation", "a tuple of 2")
class ShortTuple(Sound):
    observation_space = spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)])

    def reset(self, *, seed=None, options=None):
        return (0, 0), super().reset(seed=seed)[1]

    def step(self, action):
        return (1,), *super().step(action)[1:]


@broken("reset", "reset returned a ndarray", "pair (observation, info)")
class OldReset(Sound):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


@broken("reset", "reset takes ()", "seed=None, options=None", "super().reset(seed=seed)")
class ResetWithoutSeed(Sound):
    def reset(self):
        return super().reset()


@broken("info", "the info is None", "dict")
class NoInfo(Sound):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0], None


@broken("info", "the info is 'ok'", "dict")
class TextInfo(Returns):
    def changed(self, *values):
        return *values[:4], "ok"


@broken("step", "step returned 4 values", "five values", "terminated")
class OldStep(Returns):
    def changed(self, obs, reward, terminated, truncated, info):
        return obs, reward, terminated or truncated, info


@broken("reward", "the reward is None", "float(reward)")
class NoReward(Returns):
    def changed(self, obs, reward, *rest):
        return obs, None, *rest


@broken("reward", "the reward is array([-1.])", "one number")
class ArrayReward(Returns):
    def changed(self, obs, reward, *rest):
        return obs, np.array([reward]), *rest


@broken("reward", "the reward is nan", "finite")
class NanReward(Returns):
    def changed(self, obs, reward, *rest):
        return obs, np.nan, *rest


@broken("reward", "the reward is -inf", "finite")
class InfiniteReward(Returns):
    def changed(self, obs, reward, *rest):
        return obs, -np.inf, *rest


@broken("terminated", "terminated is 0", "True and False")
class IntegerTerminated(Returns):
    def changed(self, obs, reward, terminated, *rest):
        return obs, reward, int(terminated), *rest


@broken("truncated", "truncated is array([False])", "bool(truncated)")
class ArrayTruncated(Returns):
    def changed(self, obs, reward, terminated, truncated, info):
        return obs, reward, terminated, np.array([truncated]), info


@broken("seed", "in the same environment", "self.np_random")
class GlobalRandomness(Returns):
    def changed(self, obs, *rest):
        return obs + np.random.normal(size=2).astype(np.float32), *rest


@broken("seed", "in the same environment")
class ForgetsItsSeed(Sound):
    def reset(self, *, seed=None, options=None):
        return super().reset()


@broken("seed", "in the same environment", "begin every episode from nothing")
class KeepsState(Sound):
    def reset(self, *, seed=None, options=None):
        place = getattr(self, "_place", np.zeros(2, np.float32))
        _, info = super().reset(seed=seed)
        self._place = np.clip(place, -1, 1)
        return self._place.copy(), info


@broken("seed", "in another copy")
class DiffersFromCopyToCopy(Returns):
    copies = 0

    def __init__(self):
        type(self).copies += 1
        self._shift = np.float32(type(self).copies)

    def changed(self, obs, *rest):
        return obs + self._shift, *rest


@broken("aliasing", "changes after it was returned", "copy")
class ReturnsItsBuffer(Returns):
    def changed(self, obs, *rest):
        return self._place, *rest


@broken("action", "changes the action", "copy it first")
class ChangesTheAction(Sound):
    def step(self, action):
        action *= 0.5
        return super().step(action)


@broken("spaces", "the action space was Box(-1.0, 1.0", "became Box(-2.0, 2.0")
class ChangesItsActionSpace(Sound):
    def step(self, action):
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)
        return super().step(action)


@broken("spaces", "observation_space is None", "in __init__")
class WithoutSpace(Sound):
    observation_space = None


@broken("spaces", "observation space Text", "not supported", "wrap the environment")
class TextSpace(Sound):
    observation_space = spaces.Text(5)


@broken("spaces", "action space Sequence", "not supported", "wrap the environment")
class SequenceOfActions(Sound):
    action_space = spaces.Sequence(spaces.Discrete(2))


@broken("spaces", "action space Box(0, 3", "a Box of floats")
class BoxOfIntegers(Sound):
    action_space = spaces.Box(0, 3, (2,), np.int64)


@broken("exception", "step(", "raised ZeroDivisionError: in the", "broken.py:", "in step")
class RaisesInStep(Sound):
    def step(self, action):
        raise ZeroDivisionError("in the\nphysics")


@broken("exception", "reset(seed=7) raised KeyError", "broken.py:", "in reset")
class RaisesInReset(Sound):
    def reset(self, *, seed=None, options=None):
        raise KeyError("start")


@broken("exception", "close() raised RuntimeError", "in close")
class RaisesInClose(Sound):
    def close(self):
        raise RuntimeError("closed twice")


@broken("exception", "making it raised FileNotFoundError: no model", "in RaisesWhenMade")
def RaisesWhenMade():
    raise FileNotFoundError("no model")


@broken("environment", "made was a dict", "gymnasium.Env")
def NoEnvironment():
    return {}


@broken("autoreset", "is None", "NEXT_STEP and SAME_STEP")
def UndeclaredAutoreset():
    vector = SyncVectorEnv([Sound])
    del vector.metadata["autoreset_mode"]
    return vector


@broken("autoreset", "DISABLED", "NEXT_STEP and SAME_STEP")
def DisabledAutoreset():
    return SyncVectorEnv([Sound], autoreset_mode=AutoresetMode.DISABLED)
