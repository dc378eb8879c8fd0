"""Which loop a recipe is trained by, opened from what the user passed."""

from __future__ import annotations

from gymnasium.vector import VectorEnv

from surefoot.agents.demonstrations import load
from surefoot.agents.playing.policy_spec import Source
from surefoot.common.errors import UsageError, closest
from surefoot.common.settings import Setup
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import check_env_id, make_groups
from surefoot.envs.registered import called
from surefoot.methods.learners.learner import Learner
from surefoot.methods.recipes import RECIPES, Recipe
from surefoot.methods.recipes.base import Offline, OnPolicy
from surefoot.training.device_loop import DeviceEnvironments
from surefoot.training.host_loop import HostEnvironments
from surefoot.training.loop import DataSource
from surefoot.training.offline_loop import Recording


def open_source(recipe: Recipe, learner: Learner, env: Source, setup: Setup) -> DataSource:
    """What a recipe learns from. Raises `UsageError` if it cannot."""
    source = _opened(recipe, learner, env, setup)
    source.keep = type(recipe) in RECIPES.values() and (
        not isinstance(source, DeviceEnvironments) or source.env in DEVICE_ENVS.values()
    )
    return source


def _opened(recipe: Recipe, learner: Learner, env: Source, setup: Setup) -> DataSource:
    match recipe:
        case OnPolicy():
            if on_device := device_env(env, setup):
                return DeviceEnvironments(on_device, recipe.num_envs, recipe.horizon, setup)
            if setup.devices > 1:
                raise UsageError(
                    f"devices is {setup.devices} with environments on the host; accepted is 1, or "
                    "--backend device"
                )
            owned = not isinstance(env, VectorEnv)
            groups = _groups(env, recipe.num_envs, setup, most=1 if learner.acts_for_all else 2)
            return HostEnvironments(groups, recipe.horizon, owned=owned)
        case Offline():
            if not recipe.data:
                raise UsageError(
                    "there is no data; accepted is a file that 'surefoot record' wrote or "
                    "minari:DATASET: pass --data, or data= in Python"
                )
            if on_device := device_env(env, setup):
                return Recording(load(recipe.data), on_device)
            given = isinstance(env, VectorEnv)
            count = env.num_envs if isinstance(env, VectorEnv) else 1
            (group,) = _groups(env, count, setup, most=1)
            try:
                return Recording(load(recipe.data), group)
            finally:
                if not given:
                    group.close()
        case _:
            raise TypeError(f"{type(recipe)} is neither OnPolicy nor Offline")


def _groups(env: Source, num_envs: int, setup: Setup, *, most: int) -> list[HostEnv]:
    assert not isinstance(env, DeviceEnv)
    return make_groups(
        env,
        num_envs,
        most=most,
        backend=setup.backend,
        vectorization=setup.vectorization,
        env_threads=setup.env_threads,
        env_timeout=setup.env_timeout,
        max_env_restarts=setup.max_env_restarts,
    )


def device_env(env: Source, setup: Setup) -> DeviceEnv | None:
    """The device environment that is meant, `None` if one on the host is."""
    if isinstance(env, DeviceEnv):
        return env
    if setup.backend != "device":
        return None
    if isinstance(env, str) and env in DEVICE_ENVS:
        return DEVICE_ENVS[env]
    near = closest(check_env_id(env), DEVICE_ENVS) if isinstance(env, str) else ""
    raise UsageError(
        f"environment {called(env)} has no device version; accepted are {', '.join(DEVICE_ENVS)} "
        f"and surefoot.DeviceEnv(env, time_limit=STEPS) around a functional environment.{near}"
    )
