"""Which loop a recipe is trained by, opened from what the user passed."""

from __future__ import annotations

from gymnasium.vector import VectorEnv

from surefoot.agents.demonstrations import load
from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common.errors import UsageError, closest
from surefoot.common.settings import RunSettings
from surefoot.envs.checking.check_device import check_device_env
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.env_ids import check_env_id, preprocessed
from surefoot.envs.host.atari import Preprocessing, check_settings
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import make_groups
from surefoot.envs.registered import called
from surefoot.methods.families.base import Offline, OnPolicy, Recipe
from surefoot.methods.learners.learner import Learner
from surefoot.methods.registry import RECIPES
from surefoot.training.device_loop import DeviceLoop
from surefoot.training.host_loop import HostLoop
from surefoot.training.loop import TrainingLoop
from surefoot.training.offline_loop import OfflineLoop


def open_loop(
    recipe: Recipe, learner: Learner, env: EnvLike, settings: RunSettings
) -> TrainingLoop:
    """The loop that a recipe is trained by. Raises `UsageError` if it cannot."""
    if not learner.sees_rewards:
        _check_rewards_as_they_are(settings)
    check_settings(env, settings)
    loop = _opened(recipe, learner, env, settings)
    loop.cache_program = type(recipe) in RECIPES.values() and (
        not isinstance(loop, DeviceLoop) or loop.env in DEVICE_ENVS.values()
    )
    return loop


def _opened(recipe: Recipe, learner: Learner, env: EnvLike, settings: RunSettings) -> TrainingLoop:
    match recipe:
        case OnPolicy():
            # Episodes that begin anew in every iteration have no phase; and without a critic
            # there is no value to put in the place of what a cut takes off.
            stagger = (
                settings.stagger_starts
                and not learner.fresh_episodes
                and learner.critic_update is not None
            )
            if on_device := device_env(env, settings):
                if learner.asks_for_costs:
                    raise UsageError(
                        "an environment on the device says no cost; accepted is in Python cost=, a "
                        "function (obs, action, next_obs) -> costs, or an environment on the host "
                        "with info['cost']"
                    )
                return DeviceLoop(
                    on_device,
                    recipe.num_envs,
                    recipe.horizon,
                    settings,
                    fresh_episodes=learner.fresh_episodes,
                    stagger=stagger,
                    segment_length=_segment_length(recipe, settings),
                )
            if settings.devices > 1:
                raise UsageError(
                    f"devices is {settings.devices} with environments on the host; accepted is 1, "
                    "or --backend device"
                )
            owned = not isinstance(env, VectorEnv)
            groups = _groups(
                env,
                recipe.num_envs,
                settings,
                most=1 if learner.needs_single_group else 2,
                stagger=stagger,
            )
            for group in groups:
                group.costs = learner.asks_for_costs
            return HostLoop(
                groups,
                recipe.horizon,
                owned=owned,
                fresh_episodes=learner.fresh_episodes,
                segment_length=_segment_length(recipe, settings),
            )
        case Offline():
            if not recipe.data:
                raise UsageError(
                    "there is no data; accepted is a file that 'surefoot record' wrote or "
                    "minari:DATASET: pass --data, or data= in Python"
                )
            length = settings.segment_length or None
            if on_device := device_env(env, settings):
                return OfflineLoop(load(recipe.data), on_device, segment_length=length)
            given = isinstance(env, VectorEnv)
            count = env.num_envs if isinstance(env, VectorEnv) else 1
            (group,) = _groups(env, count, settings, most=1)
            try:
                return OfflineLoop(load(recipe.data), group, segment_length=length)
            finally:
                if not given:
                    group.close()
        case _:
            raise TypeError(f"{type(recipe)} is neither OnPolicy nor Offline")


def _check_rewards_as_they_are(settings: RunSettings) -> None:
    """Raise `UsageError` for what changes rewards, or where episodes end, for learning alone."""
    for name, default in (("clip_rewards", "none"), ("terminal_on_life_loss", False)):
        if (value := getattr(settings, name)) != default:
            raise UsageError(
                f"{name} is {value!r}, and this method learns from no single rewards; accepted is "
                f"{default!r}"
            )


def _segment_length(recipe: OnPolicy, settings: RunSettings) -> int | None:
    length = settings.segment_length
    if length and recipe.horizon % length:
        raise UsageError(
            f"segment_length is {length}; accepted with horizon {recipe.horizon} is a number that "
            "divides it, or 0"
        )
    return length or None


def _groups(
    env: EnvLike, num_envs: int, settings: RunSettings, *, most: int, stagger: bool = False
) -> list[HostEnv]:
    assert not isinstance(env, DeviceEnv)
    return make_groups(
        preprocessed(env, Preprocessing.of(settings)),
        num_envs,
        most=most,
        backend=settings.backend,
        vectorization=settings.vectorization,
        env_threads=settings.env_threads,
        env_timeout=settings.env_timeout,
        max_env_restarts=settings.max_env_restarts,
        stagger=stagger,
        masks=settings.action_masks,
    )


def device_env(env: EnvLike, settings: RunSettings) -> DeviceEnv | None:
    """The device environment that is meant, `None` if one on the host is."""
    if isinstance(env, DeviceEnv):
        if env not in DEVICE_ENVS.values():
            check_device_env(env)
        return env
    if settings.backend != "device":
        return None
    if isinstance(env, str) and env in DEVICE_ENVS:
        return DEVICE_ENVS[env]
    near = closest(check_env_id(env), DEVICE_ENVS) if isinstance(env, str) else ""
    raise UsageError(
        f"environment {called(env)} has no device version; accepted are {', '.join(DEVICE_ENVS)} "
        f"and surefoot.DeviceEnv(env, time_limit=STEPS) around a functional environment.{near}"
    )
