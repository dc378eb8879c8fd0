"""The table of cases: what is made, and the options of each run.

A case is `GROUP/NAME` and becomes the file `GROUP/NAME.json`. This module imports nothing of
surefoot's, so that the process that starts the others can read the table, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

RECIPES = [
    "reinforce",
    "a2c",
    "vpg_adaptive",
    "a2c_trust_region",
    "npg",
    "npg_penalty",
    "trpo",
    "acktr",
    "kfac_trpo",
    "ppo_clip",
    "ppo_kl",
    "ppo_fixed_kl",
    "ppo_adaptive_lr",
    "spo",
    "cem",
    "bc",
]
SPACES = ("categorical", "gaussian", "multi_categorical", "bernoulli")
BACKENDS = ("host", "device")
COMMANDS = [
    "train",
    "resume",
    "watch",
    "evaluate",
    "record",
    "export",
    "inspect",
    "report",
    "list",
    "check-env",
    "doctor",
]

#: Two time limits and more of each environment an iteration.
TINY: dict[str, Any] = {"num_envs": 2, "horizon": 16, "hidden": (4,), "checkpoint_every": 0}
#: Minibatches are smaller than the batch.
_CRITIC = {"critic_minibatch_size": 8, "critic_epochs": 2}
_PASSES = {**_CRITIC, "minibatch_size": 8, "epochs": 3}
#: What a recipe has beside `TINY`.
OWN: dict[str, dict[str, Any]] = {
    "a2c": _CRITIC,
    "vpg_adaptive": _CRITIC,
    "a2c_trust_region": _CRITIC,
    "npg": _CRITIC,
    "npg_penalty": _CRITIC,
    "trpo": _CRITIC,
    "kfac_trpo": _CRITIC,
    "ppo_clip": _PASSES,
    "ppo_kl": _PASSES,
    "ppo_fixed_kl": _PASSES,
    "ppo_adaptive_lr": _PASSES,
    "spo": _PASSES,
    "cem": {"num_envs": 4, "elite_fraction": 0.5},
    "bc": {"minibatch_size": 8},
}


class Training(NamedTuple):
    """A run."""

    recipe: str
    env: str
    """Gymnasium id, or the action space's name in `tasks`."""
    backend: str = "host"
    options: dict[str, Any] = {}
    """Beside the number of steps."""
    iterations: int = 3
    default_size: bool = False
    """With the recipe's own batches and networks."""
    seeds: tuple[int, ...] = ()
    """Several at once."""

    def arguments(self) -> dict[str, Any]:
        """What `train` is called with; for `bc` without `steps`, which depend on its recording."""
        sized: dict[str, Any] = {"num_envs": 8, "horizon": 256}
        if not self.default_size:
            sized = {**TINY, **OWN.get(self.recipe, {})}
        if self.recipe == "bc":
            sized = {k: v for k, v in sized.items() if k not in ("num_envs", "horizon")}
        given = {**sized, **self.options}
        if self.recipe != "bc":
            given["steps"] = given["num_envs"] * given["horizon"] * self.iterations
        return {**given, "backend": self.backend}


#: Every recipe on every kind of action space, on the host and on the device.
RUNS = {
    f"{recipe}-{backend}-{space}": Training(recipe, space, backend)
    for recipe in RECIPES
    for backend in BACKENDS
    for space in SPACES
}

#: A task of the usual size.
CHEETAH = {
    recipe: Training(recipe, "HalfCheetah-v5", default_size=True)
    for recipe in ("trpo", "ppo_clip", "acktr")
}

#: What runs can have beside a method.
VARIANTS = {
    "threads": Training("trpo", "CartPole-v1", options={"vectorization": "thread"}),
    "workers": Training("trpo", "CartPole-v1", options={"vectorization": "async"}),
    "evaluated": Training(
        "ppo_clip", "CartPole-v1", options={"evaluate_every": 32, "evaluation_episodes": 2}
    ),
    "evaluated-device": Training(
        "trpo",
        "CartPole-v1",
        "device",
        options={"evaluate_every": 32, "evaluation_episodes": 2},
    ),
    "clip": Training("trpo", "Pendulum-v1", options={"action_map": "clip"}),
    "state-dependent-std": Training("acktr", "gaussian", options={"state_dependent_std": True}),
    "unscaled": Training(
        "a2c", "gaussian", options={"scale_rewards": False, "normalize_observations": False}
    ),
    "hessian-free": Training(
        "trpo",
        "gaussian",
        options={"cg_progress": True, "cg_preconditioner": True, "cg_warm_start": True},
    ),
    "exact": Training("trpo", "categorical", options={"solver": "exact"}),
    "envpool": Training("ppo_clip", "CartPole-v1", "envpool"),
    "baseline": Training("reinforce", "categorical", options={"baseline": True}),
    "two-seeds": Training("trpo", "gaussian", "device", seeds=(3, 4)),
    "no-hidden-layer": Training("npg", "gaussian", "device", options={"hidden": ()}),
}

#: Runs that are stopped after `STOPPED_AFTER` of their five iterations.
STOPPED = {
    "trpo-host": Training("trpo", "Pendulum-v1", iterations=5),
    "ppo_clip-host": Training("ppo_clip", "CartPole-v1", iterations=5),
    "acktr-device": Training("acktr", "CartPole-v1", "device", iterations=5),
    "cem-host": Training("cem", "CartPole-v1", iterations=5),
    "ppo_kl-device": Training("ppo_kl", "Pendulum-v1", "device", iterations=5),
    "bc": Training("bc", "CartPole-v1", iterations=5),
}
STOPPED_AFTER = 3

#: The names of the cases of each group, in the order in which they are made.
GROUPS: dict[str, list[str]] = {
    "options": ["surefoot", *COMMANDS, *(f"train-{recipe}" for recipe in RECIPES)],
    "runs": [*RUNS],
    "cheetah": [*CHEETAH],
    "variants": [*VARIANTS],
    "reports": ["one", "several"],
    "exports": ["categorical", "gaussian"],
    "stopped": [*STOPPED],
    "resumed": [*STOPPED],
}
