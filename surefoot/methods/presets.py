"""Presets: options that belong together, under one name.

A preset says what it is for, environments and methods, and has the options of each method that
differ from the defaults. They are merely other defaults: what is given explicitly wins. A run keeps
the name, and beside it all values as they were, so that it is the same run whatever the preset will
say later. No JAX is imported: the command line shows the values in its help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from surefoot.common.errors import UsageError, closest, in_short


class Preset(NamedTuple):
    """Options for some methods on some environments."""

    purpose: str
    """What it is for, in words."""
    environments: tuple[str, ...]
    """How the ids of the environments begin that it is for."""
    shared: dict[str, Any]
    """Options of every method that it is for."""
    methods: dict[str, dict[str, Any]]
    """Those of each method beside them, by the method's name."""


#: The Arcade Learning Environment as it is published: 40 million frames, from which a policy sees
#: four pictures and learns by the sign of each reward, one life at a time (Mnih et al. 2015).
#:
#: Published methods share one network between policy and value, and weigh both losses by a value
#: coefficient. Here the critic has a network of its own: no coefficient is needed, and the critic's
#: rate, which is Adam's and constant, is PPO's unless the source has one. Advantages are
#: standardized over the whole batch, which A2C's and ACKTR's are not.
_ATARI = Preset(
    purpose="Atari games",
    environments=("ALE/",),
    shared={
        "steps": 10_000_000,
        "terminal_on_life_loss": True,
        "clip_rewards": "sign",
        "scale_rewards": False,
        "discount": 0.99,
    },
    methods={
        # Schulman et al. 2017, table 5, whose three epochs are four in the reproductions that are
        # compared with (Dhariwal et al. 2017, baselines' ppo2; Huang et al. 2022, "The 37
        # implementation details of PPO"), as is the norm of 0.5. The table lets the clip fall with
        # the rate, and ppo2 clips the value's loss; here ε stays, and the loss is whole.
        "ppo_clip": {
            "num_envs": 8,
            "horizon": 128,
            "learning_rate": 2.5e-4,
            "epochs": 4,
            # Four of them in a batch of 1,024 rows.
            "minibatch_size": 256,
            "clip": 0.1,
            "entropy_coefficient": 0.01,
            "max_grad_norm": 0.5,
            "gae_lambda": 0.95,
            "critic_learning_rate": 2.5e-4,
            "critic_epochs": 4,
            "critic_minibatch_size": 256,
        },
        # Mnih et al. 2016 in the synchronous form of Dhariwal et al. 2017, baselines' a2c.
        "a2c": {
            "num_envs": 16,
            "horizon": 5,
            "learning_rate": 7e-4,
            "entropy_coefficient": 0.01,
            "max_grad_norm": 0.5,
            # Returns of up to five steps, then the value.
            "gae_lambda": 1.0,
            "critic_learning_rate": 2.5e-4,
            "critic_epochs": 1,
            "critic_minibatch_size": 80,
        },
        # Wu et al. 2017, section 5 and appendix; Dhariwal et al. 2017, baselines' acktr. There the
        # largest scale falls linearly, the update has a momentum of 0.9, and the objective an
        # entropy bonus of 0.01: this recipe has none of the three. The critic's radius is the
        # actor's, since one Fisher matrix measures both there.
        "acktr": {
            "num_envs": 32,
            "horizon": 20,
            "max_scale": 0.25,
            "max_kl": 0.001,
            "damping": 0.01,
            "factor_decay": 0.99,
            "gae_lambda": 1.0,
            "critic_max_kl": 0.001,
            "critic_epochs": 1,
            "critic_minibatch_size": 640,
        },
    },
)

PRESETS: dict[str, Preset] = {"atari": _ATARI}


def preset_options(name: Any, method: str) -> dict[str, Any]:
    """What a preset gives a method in the place of its defaults; nothing where `name` is empty.
    Raises `UsageError` where there is no such preset, or it is for other methods."""
    if not name:
        return {}
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        near = closest(name, PRESETS) if isinstance(name, str) else ""
        raise UsageError(
            f"preset is {in_short(name)}; accepted are {_listed(list(PRESETS))}.{near}"
        )
    if method not in preset.methods:
        fitting = [key for key, other in PRESETS.items() if method in other.methods]
        instead = f"; for {method} there are {_listed(fitting)}" if fitting else ""
        raise UsageError(
            f"preset is {name!r} with {method}; accepted with it are {', '.join(preset.methods)}"
            f"{instead}"
        )
    return {"preset": name, **preset.shared, **preset.methods[method]}


def check_environment(name: str, env_id: str | None, called: str) -> None:
    """Raise `UsageError` for an environment that the preset is not for. It is `called` so where it
    is no id."""
    preset = PRESETS[name]
    if env_id is not None and env_id.startswith(preset.environments):
        return
    begin = " or ".join(map(repr, preset.environments))
    raise UsageError(
        f"preset is {name!r} with the environment {called}; accepted are {preset.purpose}, whose "
        f"ids begin with {begin}"
    )


def presets_of(method: str) -> dict[str, Preset]:
    """The presets for a method, by name."""
    return {name: preset for name, preset in PRESETS.items() if method in preset.methods}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
