"""What runs in a worker process: one environment that answers one request after the other.

Nothing here imports JAX, so that a worker starts quickly and stays small. Requests and answers are
pickled, as multiprocessing's own are; they pass between a process and the one that started it.
"""

from __future__ import annotations

import contextlib
import copy
import pickle
import signal
import socket
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import cloudpickle
import gymnasium
from gymnasium import spaces

from surefoot.common.errors import UsageError
from surefoot.envs.checking.first_steps import make_checked
from surefoot.envs.host.atari import game_of
from surefoot.envs.host.episode_history import EpisodeHistoryWrapper
from surefoot.envs.module_finder import unpickled
from surefoot.envs.workers.channel import Channel

#: Makes the environment, in the process where it will live.
EnvMaker = Callable[[], gymnasium.Env]

#: The answer to a step: the observation that the next action answers to, reward, terminated,
#: truncated, where the episode ended, when the environment is reset in the same step, the true last
#: observation, whether it was its first one, which is cut, whether a life was lost, and the cost.
Row = tuple[Any, float, bool, bool, Any, bool, bool, Any]


class EnvInfo(NamedTuple):
    """The first answer: what was made."""

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    lives: bool
    """Whether a lost life ends an episode for learning."""

    @classmethod
    def of(cls, env: gymnasium.Env) -> EnvInfo:
        """Of this environment."""
        name = type(env.unwrapped).__name__ if env.spec is None else env.spec.id
        game = game_of(env)
        lives = game is not None and game.lives_end
        return cls(name, env.observation_space, env.action_space, lives)


class WorkerError(NamedTuple):
    """The answer where the environment raised an exception."""

    what: str
    """Its type and message, one line."""
    traceback: str
    missing: bool
    """Whether a package is missing."""
    refused: str | None = None
    """The message of a `UsageError`: the environment is none that can be learned from."""


def work(connected: socket.socket, program: bytes) -> None:
    """Serve until the other end is closed. `program` is a `pickled` pair: an `EnvMaker`, and
    whether a first episode is cut."""
    # Both may be sent to the whole group of processes: whoever started this one handles them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel = Channel(connected)
    env: EpisodeHistoryWrapper | None = None
    try:
        make, stagger = unpickled(program)
        env = EpisodeHistoryWrapper(make_checked(make), stagger=stagger)
        # A space's class may be one that only the worker can import by name.
        answer = cloudpickle.dumps(EnvInfo.of(env))
    except Exception as error:
        answer = _raised(error)
    try:
        while True:
            channel.send(answer)
            request = channel.receive(None)
            try:
                assert env is not None, "the environment was not made"
                answer = pickle.dumps(_answer(env, *pickle.loads(request)), pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                answer = _raised(error)
    except (EOFError, OSError):
        pass  # The other end was closed.
    finally:
        if env is not None:
            with contextlib.suppress(Exception):
                env.close()


def _answer(env: EpisodeHistoryWrapper, request: str, argument: Any) -> Any:
    match request:
        case "step":
            obs, reward, terminated, truncated, _ = env.step(argument)
            flags, final_obs = (env.staggered, env.life_lost, env.cost), None
            if terminated or truncated:
                # A reset may overwrite it in place.
                final_obs = copy.deepcopy(obs)
                obs, _ = env.reset()
            return obs, float(reward), bool(terminated), bool(truncated), final_obs, *flags
        case "reset":
            return env.reset(seed=argument)[0]
        case _:
            return env.get_wrapper_attr(request)(*argument)


def _raised(error: Exception) -> bytes:
    what = " ".join(traceback.format_exception_only(error)[-1].split())
    text = "".join(traceback.format_exception(error))
    missing = isinstance(error, ImportError | gymnasium.error.DependencyNotInstalled)
    refused = str(error) if isinstance(error, UsageError) else None
    return pickle.dumps(WorkerError(what, text, missing, refused))
