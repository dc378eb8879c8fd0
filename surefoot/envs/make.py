"""Making environments on the host: from a Gymnasium id, a callable, a vector environment, or an id
that EnvPool knows.

`make_host` gives one group of environments. `make_groups` gives those of a run: where environments
step beside the policy, there are two groups, and one steps while the policy acts for the other.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv

from surefoot.config import Backend, Vectorization
from surefoot.envs.host import HostEnv
from surefoot.envs.pool import make_pool
from surefoot.envs.serial import Serial
from surefoot.envs.stepping import Threaded, Workers
from surefoot.errors import UsageError, closest

EnvSource = str | Callable[[], gymnasium.Env] | VectorEnv


def make_host(
    source: EnvSource, num_envs: int, *, vectorization: Vectorization = "sync"
) -> HostEnv:
    """A `HostEnv` of `num_envs` copies, from a Gymnasium id or a callable that makes one; a vector
    environment is taken as it is, and must have `num_envs` copies.

    "sync" steps the copies when the step is fetched, "thread" in a thread beside it, "async" in one
    worker process each.
    """
    if isinstance(source, VectorEnv):
        if source.num_envs != num_envs:
            raise UsageError(
                f"the vector environment has {source.num_envs} copies and num_envs is {num_envs}: "
                f"pass num_envs={source.num_envs}"
            )
        return HostEnv.of(source, name=_name(source))
    if isinstance(source, str):
        maker: Callable[[], gymnasium.Env] = functools.partial(gymnasium.make, check_env_id(source))
        if str(gymnasium.spec(source).entry_point).startswith("gymnasium.envs.mujoco"):
            _quiet_mujoco()
    elif callable(source):
        maker = source
    else:
        raise UsageError(
            f"environment {source!r}; accepted are a Gymnasium id, a callable that makes an "
            "environment, a Gymnasium vector environment, or surefoot.DeviceEnv(env)"
        )
    try:
        if vectorization == "async":
            # Started afresh: forking a process that already runs JAX's threads can deadlock.
            vector = AsyncVectorEnv(
                [maker] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP, context="forkserver"
            )
            return _owned(HostEnv.of, vector, name=_name(vector), stepper=Workers(vector))
        stepper = Serial([maker] * num_envs)
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise UsageError(
            f"environment {source!r} needs a package that is not installed: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return _owned(
        HostEnv,
        Threaded(stepper) if vectorization == "thread" else stepper,
        name=_name(stepper.envs[0]),
        num_envs=num_envs,
        observation_space=stepper.observation_space,
        action_space=stepper.action_space,
        autoreset=AutoresetMode.SAME_STEP,
    )


def make_groups(
    source: EnvSource,
    num_envs: int,
    *,
    most: int = 2,
    backend: Backend,
    vectorization: Vectorization,
    env_threads: int,
) -> list[HostEnv]:
    """`num_envs` environments in one group, or in `most` that step beside the policy."""
    if backend == "envpool":
        if not isinstance(source, str):
            raise UsageError(
                f"environment {source!r} with backend 'envpool'; accepted is an id that EnvPool "
                "knows"
            )
        if vectorization != "sync":
            raise UsageError(
                f"vectorization {vectorization!r} with backend 'envpool', which has threads of its "
                "own: pass --env-threads instead"
            )
        return [make_pool(source, n, threads=env_threads) for n in _shares(num_envs, most)]
    if vectorization == "sync":
        return [make_host(source, num_envs)]
    if isinstance(source, VectorEnv):
        raise UsageError(
            f"vectorization {vectorization!r} with a vector environment, which steps as it was "
            "made to; accepted is 'sync'"
        )
    with contextlib.ExitStack() as on_error:
        groups = []
        for share in _shares(num_envs, most):
            groups.append(make_host(source, share, vectorization=vectorization))
            on_error.callback(groups[-1].close)
        on_error.pop_all()
    return groups


def _shares(count: int, most: int) -> list[int]:
    """`count` in at most `most` parts that are as even as can be."""
    parts = min(count, most)
    return [count // parts + (i < count % parts) for i in range(parts)]


def _owned(make: Callable[..., HostEnv], stepped: Any, **facts: Any) -> HostEnv:
    """The host environment, or its refusal with the copies, and their processes, closed."""
    try:
        return make(stepped, **facts)
    except UsageError:
        stepped.close()
        raise


def _name(env: Any) -> str:
    spec = getattr(env, "spec", None)
    return spec.id if spec is not None else type(getattr(env, "unwrapped", env)).__name__


def check_env_id(env_id: str) -> str:
    """The id, if Gymnasium knows it and what it needs is installed; `UsageError` otherwise."""
    try:
        spec = gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        near = closest(env_id, list_env_ids())
        reason = "" if near else f" ({str(error).splitlines()[0]})"
        raise UsageError(
            f"environment {env_id!r} is not registered with Gymnasium{reason}; "
            f"'surefoot list envs' shows those that are.{near}"
        ) from None
    for prefix, needs, install in _EXTRAS:
        if str(spec.entry_point).startswith(prefix) and importlib.util.find_spec(needs) is None:
            raise UsageError(
                f"environment {env_id!r} needs the package {needs!r}: pip install '{install}'"
            )
    return env_id


_EXTRAS = (
    ("gymnasium.envs.mujoco", "mujoco", "surefoot[mujoco]"),
    ("gymnasium.envs.box2d", "Box2D", "gymnasium[box2d]"),
)


def _quiet_mujoco() -> None:
    """MuJoCo says, once for every copy, that Gymnasium's own models use an attribute that will go,
    and writes it to a file in the working folder too. Nobody who trains can mend that: this one
    message is dropped, and every other becomes a Python warning."""
    import mujoco

    def handler(message: str) -> None:
        if "'settotalmass' is deprecated" not in message:
            warnings.warn(f"MuJoCo: {message.strip()}", RuntimeWarning, stacklevel=2)

    mujoco.set_mju_user_warning(handler)


def list_env_ids() -> list[str]:
    """All ids registered with Gymnasium, sorted."""
    return sorted(gymnasium.registry)
