"""Looking for defects of an environment before anything is trained on it.

An environment is made, played for a few hundred steps with random actions, and played again with
the same seed and actions, in the same copy and in another one.
"""

from __future__ import annotations

import copy
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from surefoot.common.errors import UsageError
from surefoot.envs.checking.faults import (
    flag_fault,
    info_fault,
    observation_fault,
    reset_fault,
    reward_fault,
    same,
    signature_fault,
    space_fault,
    step_fault,
)
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.observations import check_observation_space

#: Steps of each of the three plays.
STEPS = 250
_SEED = 7


class Defect(NamedTuple):
    """Something that an environment does and should not."""

    kind: str
    """Where it shows: "observation", "reward", "seed", …; at most one of each is reported."""
    message: str
    """One line: what was found, what is accepted, and how to fix it."""


class _StopError(Exception):
    """A defect after which nothing more can be found out."""


def check_env(make: Callable[[], Any]) -> list[Defect]:
    """The defects that show in a few hundred steps of what `make` makes, a Gymnasium environment;
    of a vector environment, what it declares. None is no proof that there are none."""
    found: dict[str, Defect] = {}
    with warnings.catch_warnings():
        # Gymnasium remarks on some of the same.
        warnings.simplefilter("ignore")
        try:
            for kind, message in _defects(make):
                found.setdefault(kind, Defect(kind, message))
        except _StopError as stop:
            kind, message = stop.args
            found.setdefault(kind, Defect(kind, message))
    return list(found.values())


def _defects(make: Callable[[], Any]) -> Iterator[tuple[str, str]]:
    env = _run("making it", make)
    if isinstance(env, VectorEnv):
        yield from _vector_defects(env)
        return
    if not isinstance(env, gymnasium.Env):
        raise _StopError(
            "environment",
            f"made was a {type(env).__name__}; accepted is a gymnasium.Env: derive the class from "
            "it",
        )
    observation_space, action_space = _spaces(env)
    _stop_at("reset", signature_fault(env))
    sampler = copy.deepcopy(action_space)
    sampler.seed(_SEED)
    actions = [sampler.sample() for _ in range(STEPS)]
    first: list[Any] = []
    yield from _play(env, observation_space, actions, first)
    for name, before in (("observation", observation_space), ("action", action_space)):
        after = getattr(env, f"{name}_space")
        if after != before:
            yield (
                "spaces",
                f"the {name} space was {_line(before)} and became {_line(after)}; accepted is one "
                "that stays as it is: do not change it in reset or step",
            )
    yield from _seed_defects(env, "in the same environment", first, actions)
    other = _run("making it again", make)
    yield from _seed_defects(other, "in another copy", first, actions)
    for each in (env, other):
        _run("close()", each.close)


def _vector_defects(env: VectorEnv) -> Iterator[tuple[str, str]]:
    declared = env.metadata.get("autoreset_mode")
    if declared not in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        yield (
            "autoreset",
            f'metadata["autoreset_mode"] is {declared}; accepted are AutoresetMode.NEXT_STEP and '
            "SAME_STEP of gymnasium.vector: declare what the vector environment does",
        )
    _run("close()", env.close)


def _spaces(env: gymnasium.Env) -> tuple[spaces.Space, spaces.Space]:
    """Copies of the spaces, if they can be learned in."""
    kept = []
    for name in ("observation_space", "action_space"):
        _stop_at("spaces", space_fault(env, name))
        space = getattr(env, name)
        try:
            check_observation_space(space) if name == "observation_space" else action_head(space)
        except UsageError as error:
            raise _StopError("spaces", _line(error)) from None
        kept.append(copy.deepcopy(space))
    return kept[0], kept[1]


def _play(
    env: gymnasium.Env, space: spaces.Space, actions: list[Any], results: list[Any]
) -> Iterator[tuple[str, str]]:
    """The defects of what is returned, which is added to `results`."""

    def faults(obs: Any, info: Any) -> Iterator[tuple[str, str | None]]:
        yield "observation", observation_fault(space, obs)
        yield "info", info_fault(info)

    obs, info = _reset(env, _SEED)
    results.append(copy.deepcopy(obs))
    found = list(faults(obs, info))
    for action in actions:
        given, kept = copy.deepcopy(action), copy.deepcopy(obs)
        step = _step(env, given)
        if not same(obs, kept):
            found.append(("aliasing", _ALIASED))
        if not same(given, action):
            found.append(("action", _ACTION_CHANGED))
        obs, reward, terminated, truncated, info = step
        results.append(copy.deepcopy(step[:4]))
        found += faults(obs, info)
        found.append(("reward", reward_fault(reward)))
        found.append(("terminated", flag_fault("terminated", terminated)))
        found.append(("truncated", flag_fault("truncated", truncated)))
        if np.any(terminated) or np.any(truncated):
            obs, info = _reset(env)
            results.append(copy.deepcopy(obs))
            found += faults(obs, info)
        yield from ((kind, fault) for kind, fault in found if fault)
        found.clear()


_ALIASED = (
    "an observation changes after it was returned, when the next step is taken; accepted is one "
    "that stays as it is: return a copy of the internal array"
)
_ACTION_CHANGED = "step changes the action that it is given; accepted is to leave it: copy it first"


def _seed_defects(
    env: gymnasium.Env, where: str, first: list[Any], actions: list[Any]
) -> Iterator[tuple[str, str]]:
    """What differs from the first play, with the same seed and actions."""
    for number, (one, other) in enumerate(zip(first, _resimulate(env, actions), strict=False)):
        if not same(one, other):
            moment = f"at step {number}" if number else "from reset"
            yield (
                "seed",
                f"the same seed and actions give something else {where}, {moment}; "
                "accepted is the same: draw from self.np_random only, seed it in reset by "
                "super().reset(seed=seed), and begin every episode from nothing",
            )
            return


def _resimulate(env: gymnasium.Env, actions: list[Any]) -> Iterator[Any]:
    yield _reset(env, _SEED)[0]
    for action in actions:
        step = _step(env, copy.deepcopy(action))
        yield step[:4]
        if np.any(step[2]) or np.any(step[3]):
            yield _reset(env)[0]


def _reset(env: gymnasium.Env, seed: int | None = None) -> tuple[Any, Any]:
    given = "" if seed is None else f"seed={seed}"
    result: Any = _run(f"reset({given})", lambda: env.reset(seed=seed))
    _stop_at("reset", reset_fault(result))
    return result


def _step(env: gymnasium.Env, action: Any) -> tuple[Any, Any, Any, Any, Any]:
    result: Any = _run(f"step({_line(action)})", lambda: env.step(action))
    _stop_at("step", step_fault(result))
    return result


def _stop_at(kind: str, fault: str | None) -> None:
    if fault is not None:
        raise _StopError(kind, fault)


def _run(what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise _StopError(
            "exception",
            f"{what} raised {type(error).__name__}: {_line(error)} ({frame.filename}:"
            f"{frame.lineno}, in {frame.name}); accepted is none: fix what raises it",
        ) from error


def _line(value: Any) -> str:
    return " ".join(str(value).split())
