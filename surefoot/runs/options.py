"""What a run is made of but for its environment: a method, its name, and settings. Options that are
given side by side, as keywords, are told apart here and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common import jax_setup
from surefoot.common.errors import UsageError, in_short
from surefoot.common.foreign_names import option_hint
from surefoot.common.settings import RunSettings
from surefoot.core.networks.architecture import OWN
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.atari import gymnasium_id
from surefoot.envs.registered import called
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.learner import Learner
from surefoot.methods.presets import check_environment, preset_options
from surefoot.methods.registry import RECIPES, find_recipe
from surefoot.runs import loggers
from surefoot.runs.own_learner import composed
from surefoot.runs.run import DEFAULT_MAKES, Makes, Run


class Options(NamedTuple):
    """A run's method and settings."""

    name: str
    """The method's, in the run's records."""
    recipe: Recipe
    settings: RunSettings
    makes: Makes = DEFAULT_MAKES

    @classmethod
    def split(cls, algorithm: str | Recipe | Learner, options: dict[str, Any]) -> Options:
        """Those of an algorithm with `options`, the fields of `RunSettings` and of the recipe side
        by side; one that is neither is a `UsageError` with the closest match."""
        jax_setup.configure_before_compute()
        _check_algorithm(algorithm)
        names = {field.name for field in dataclasses.fields(RunSettings)}
        options = {**_preset(algorithm, options.get("preset")), **options}
        options, makes = _networks_made(options)
        settings = RunSettings(**{k: v for k, v in options.items() if k in names})
        rest = {k: v for k, v in options.items() if k not in names}
        if isinstance(algorithm, str):
            name, recipe = algorithm, find_recipe(algorithm)()
        else:
            recipe = composed(algorithm) if isinstance(algorithm, Learner) else algorithm
            known: dict[type, str] = {kind: key for key, kind in RECIPES.items()}
            own = type(recipe).__name__.lower()
            # A recipe of the user's own may have the name of one of the library's.
            name = known.get(type(recipe), f"own {own}" if own in RECIPES else own)
        accepted = {field.name for field in dataclasses.fields(recipe)} - {"learner"}
        for option in rest:
            if option not in accepted:
                every = sorted(accepted | names)
                raise UsageError(
                    f"unknown option {option!r} for {name}; accepted are "
                    f"{', '.join(every)}.{option_hint(option, [*every, 'out', 'on_iteration'])}"
                )
        return cls(name, dataclasses.replace(recipe, **rest), settings, makes)

    def run(self, env: EnvLike) -> Run:
        """The run, checked and built."""
        jax_setup.configure_before_compute()
        loggers.check(self.settings.log)
        env = gymnasium_id(env, self.settings.backend)
        if self.settings.preset:
            env_id = env if isinstance(env, str) else None
            check_environment(self.settings.preset, env_id, called(env))
        return Run(self.name, self.recipe, env, self.settings, self.makes)

    def runs(self, env: EnvLike, seeds: Sequence[int]) -> list[Run]:
        """One for each of these seeds, in the place of the settings' own."""
        backend = "device" if isinstance(env, DeviceEnv) else self.settings.backend
        if len(seeds) > 1 and backend != "device":
            raise UsageError(
                f"{len(seeds)} seeds at once on the backend {backend!r}; accepted is 'device': "
                "pass another backend, or train one seed after the other"
            )
        jax_setup.allow_parallel_runs(len(seeds))
        each = (dataclasses.replace(self.settings, seed=seed) for seed in seeds)
        return [self._replace(settings=settings).run(env) for settings in each]


def _preset(algorithm: str | Recipe | Learner, name: Any) -> dict[str, Any]:
    """What the preset of that name gives in the place of defaults."""
    if name and not isinstance(algorithm, str):
        raise UsageError(
            f"preset is {in_short(name)} with {in_short(algorithm)}, which has all of its numbers; "
            "accepted is a method by its name, with options beside it"
        )
    return preset_options(name, algorithm) if isinstance(algorithm, str) else {}


def _networks_made(options: dict[str, Any]) -> tuple[dict[str, Any], Makes]:
    """The options with the names of networks of one's own in the place of what makes them, and
    that."""
    made = {k: options[k] for k in Makes._fields if callable(options.get(k))}
    names = {
        k: f"{OWN}{getattr(make, '__qualname__', type(make).__name__)}" for k, make in made.items()
    }
    return options | names, Makes(**made)


def _check_algorithm(algorithm: Any) -> None:
    """Raise `UsageError` for what is no method."""
    if isinstance(algorithm, str | Recipe | Learner):
        return
    made = isinstance(algorithm, type) and issubclass(algorithm, Recipe)
    fix = f": pass {algorithm.__name__}()" if made else ""
    raise UsageError(
        f"algorithm is {in_short(algorithm)}; accepted are a recipe's name, one of "
        f"'surefoot list algorithms', a recipe object, or a Learner{fix}"
    )


def prepare(algorithm: str | Recipe | Learner, env: EnvLike, options: dict[str, Any]) -> Run:
    """The run of an algorithm with these options, checked and built."""
    return Options.split(algorithm, options).run(env)
