"""Making environments on the host: from a Gymnasium id, a callable, a vector environment, or an id
that EnvPool knows.

`make_host` gives one group of environments. `make_groups` gives those of a run: where environments
step beside the policy, there are two groups, and one steps while the policy acts for the other.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv

from surefoot.common.errors import UsageError, in_short
from surefoot.common.settings import ActionMasks, Backend, RunSettings, Vectorization
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.env_ids import check_env_id, preprocessed
from surefoot.envs.host.action_masks import MakeWithMasks
from surefoot.envs.host.atari import DEFAULT, MakeAtari
from surefoot.envs.host.envpool import make_pool
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.host.serial import Serial
from surefoot.envs.host.stepper import Stepper, Threaded
from surefoot.envs.host.vector_masks import with_masks
from surefoot.envs.registered import MakeCall, called, make_registered
from surefoot.envs.workers.supervised import Restarts
from surefoot.envs.workers.vector import Workers
from surefoot.envs.workers.worker import EnvInfo, EnvMaker

EnvSource = str | Callable[[], gymnasium.Env] | VectorEnv


def make_host(
    source: EnvSource,
    num_envs: int,
    *,
    vectorization: Vectorization = "sync",
    max_steps: int | None = None,
    stagger: bool = False,
    masks: ActionMasks = "none",
) -> HostEnv:
    """A `HostEnv` of `num_envs` copies, from a Gymnasium id or a callable that makes one; a vector
    environment is taken as it is, and must have `num_envs` copies.

    Episodes of copies that are made in this process are truncated after `max_steps` steps, if that
    is given. With `stagger`, the first episode of a copy that is made here is cut within its time
    limit, where that is known.

    "sync" steps the copies when the step is fetched, "thread" in a thread beside it, "async" in one
    worker process each, which `make_groups` has more to say about. `masks` says which masks of
    valid actions become a part of the observations.
    """
    if isinstance(source, VectorEnv):
        if source.num_envs != num_envs:
            raise UsageError(
                f"the vector environment has {source.num_envs} copies and num_envs is {num_envs}: "
                f"pass num_envs={source.num_envs}"
            )
        return HostEnv.of(with_masks(source, masks), name=_name(source))
    if vectorization == "async":
        restarts = Restarts(RunSettings.max_env_restarts)
        timeout = RunSettings.env_timeout
        return _in_workers(
            source,
            num_envs,
            timeout=timeout,
            restarts=restarts,
            first=0,
            stagger=stagger,
            masks=masks,
        )
    make = _maker(source, masks)
    try:
        serial = Serial([make] * num_envs, max_steps=max_steps, stagger=stagger)
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise UsageError(
            f"environment {called(source)} needs a package that is not installed: "
            f"{str(error).splitlines()[0]}"
        ) from error
    stepper: Stepper = Threaded(serial) if vectorization == "thread" else serial
    return _owned(stepper, EnvInfo.of(serial.envs[0]), num_envs)


def _in_workers(
    source: str | EnvMaker,
    num_envs: int,
    *,
    timeout: float,
    restarts: Restarts,
    first: int,
    stagger: bool,
    masks: ActionMasks,
) -> HostEnv:
    make = _maker(source, masks)
    workers = Workers(
        make, num_envs, timeout=timeout, restarts=restarts, first=first, stagger=stagger
    )
    return _owned(workers, workers.made, num_envs)


def _maker(source: Any, masks: ActionMasks) -> EnvMaker:
    source = preprocessed(source, DEFAULT)
    if isinstance(source, str):
        make: EnvMaker = functools.partial(make_registered, gymnasium.spec(check_env_id(source)))
    else:
        check_source(source)
        if (call := MakeCall.of(source)) is not None:
            check_env_id(call.env_id)
        make = source
    return make if masks == "none" else MakeWithMasks(make, masks)


def check_source(source: Any) -> None:
    """Raise `UsageError` for what makes no environment, and is none."""
    if not callable(source) and not isinstance(source, str | VectorEnv | DeviceEnv):
        raise UsageError(
            f"environment {in_short(source)}; accepted are a Gymnasium id, a callable that makes "
            "an environment, a Gymnasium vector environment, or surefoot.DeviceEnv(env)"
        )


def make_groups(
    source: EnvSource,
    num_envs: int,
    *,
    most: int = 2,
    backend: Backend,
    vectorization: Vectorization,
    env_threads: int,
    env_timeout: float = RunSettings.env_timeout,
    max_env_restarts: int = RunSettings.max_env_restarts,
    stagger: bool = False,
    masks: ActionMasks = "none",
) -> list[HostEnv]:
    """`num_envs` environments in one group, or in `most` that step beside the policy.

    An environment in a worker process is restarted if the process dies or a step takes longer than
    `env_timeout` seconds (0: never), `max_env_restarts` times in all groups together.

    With `stagger`, the first episode of every environment is cut at a random step of its time
    limit. Where no limit is known nothing is cut, nor are the episodes of a vector environment.
    """
    if backend == "envpool":
        return [_pool(source, num_envs, vectorization, env_threads, stagger=stagger)]
    if vectorization == "sync":
        return [make_host(source, num_envs, stagger=stagger, masks=masks)]
    if isinstance(source, VectorEnv):
        raise UsageError(
            f"vectorization {vectorization!r} with a vector environment, which steps as it was "
            "made to; accepted is 'sync'"
        )
    restarts, first = Restarts(max_env_restarts), 0
    with contextlib.ExitStack() as on_error:
        groups = []
        for share in _shares(num_envs, most):
            if vectorization == "async":
                group = _in_workers(
                    source,
                    share,
                    timeout=env_timeout,
                    restarts=restarts,
                    first=first,
                    stagger=stagger,
                    masks=masks,
                )
            else:
                group = make_host(
                    source, share, vectorization=vectorization, stagger=stagger, masks=masks
                )
            groups.append(group)
            first += share
            on_error.callback(group.close)
        on_error.pop_all()
    return groups


def _pool(
    source: EnvSource, num_envs: int, vectorization: Vectorization, threads: int, *, stagger: bool
) -> HostEnv:
    source = preprocessed(source, DEFAULT)
    if not isinstance(source, str | MakeAtari):
        raise UsageError(
            f"environment {called(source)} with backend 'envpool'; accepted is an id that "
            "EnvPool knows"
        )
    if vectorization != "sync":
        raise UsageError(
            f"vectorization {vectorization!r} with backend 'envpool', which has threads of its "
            "own: pass --env-threads instead"
        )
    # One pool: on its own threads, two that take turns only make twice as many calls.
    if isinstance(source, MakeAtari):
        env_id, game = source.env_id, source.preprocessing
        return make_pool(env_id, num_envs, threads=threads, stagger=stagger, game=game)
    return make_pool(source, num_envs, threads=threads, stagger=stagger)


def _shares(count: int, most: int) -> list[int]:
    """`count` in at most `most` parts that are as even as can be."""
    parts = min(count, most)
    return [count // parts + (i < count % parts) for i in range(parts)]


def _owned(stepper: Stepper, made: EnvInfo, num_envs: int) -> HostEnv:
    """The host environment, or its refusal with the copies, and their processes, closed."""
    try:
        return HostEnv(
            stepper,
            name=made.name,
            num_envs=num_envs,
            observation_space=made.observation_space,
            action_space=made.action_space,
            autoreset=AutoresetMode.SAME_STEP,
            lives=made.lives,
        )
    except UsageError:
        stepper.close()
        raise


def _name(envs: VectorEnv) -> str:
    spec = getattr(envs, "spec", None)
    return spec.id if spec is not None else type(envs).__name__
