"""Every recipe with every action space, and what the recipe files may be."""

import dataclasses
import functools
from pathlib import Path

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.agents.demonstrations import save
from surefoot.methods.families.base import OnPolicy
from surefoot.methods.registry import RECIPES
from surefoot.runs.options import prepare

ACTIONS = {
    "discrete": spaces.Discrete(3),
    "box": spaces.Box(-2.0, 2.0, (2,)),
    "multidiscrete": spaces.MultiDiscrete([3, 2]),
    "multibinary": spaces.MultiBinary(3),
}


class Short:
    """Episodes of four steps; the reward is the sum of the action, the observation noise."""

    observation_space = spaces.Box(-9.0, 9.0, (3,))

    def __init__(self, action_space):
        self.action_space = action_space

    def initial(self, rng):
        return jnp.zeros((), jnp.int32), jax.random.normal(rng, (3,))

    def transition(self, state, action, rng):
        return state[0] + 1, jax.random.normal(rng, (3,))

    def observation(self, state, rng):
        return state[1]

    def reward(self, state, action, next_state, rng):
        return jnp.sum(action).astype(jnp.float32)

    def terminal(self, state, rng):
        return state[0] >= 4


def device_env(kind):
    return sf.DeviceEnv(Short(ACTIONS[kind]), time_limit=4, name=kind)


class ShortOnHost(gymnasium.Env):
    """The same, as Gymnasium has it."""

    observation_space = Short.observation_space

    def __init__(self, action_space):
        self.action_space = action_space

    def _observation(self):
        return self.np_random.normal(size=3).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age = 0
        return self._observation(), {}

    def step(self, action):
        self._age += 1
        return self._observation(), float(np.sum(action)), self._age == 4, False, {}


def host_env(kind):
    return functools.partial(ShortOnHost, ACTIONS[kind])


COLLECTING = [name for name, kind in RECIPES.items() if issubclass(kind, OnPolicy)]


def cost(obs, action, next_obs):
    return next_obs[..., 0] ** 2


def small(name):
    """Options of a run of two batches."""
    found = {"num_envs": 4, "horizon": 8, "hidden": (4,), "steps": 64, "state_dependent_std": True}
    fields = {field.name for field in dataclasses.fields(RECIPES[name])}
    found |= {k: 16 for k in ("minibatch_size", "critic_minibatch_size") if k in fields}
    found |= {"cost": cost} if "cost" in fields else {}
    return found | {k: 1 for k in ("epochs", "critic_epochs") if k in fields}


#: Each recipe once, each action space several times. On the host an action space's sampling and the
#: critic's regression are compiled once for all recipes.
PAIRS = [(name, list(ACTIONS)[-i % len(ACTIONS)]) for i, name in enumerate(COLLECTING)]
#: On the device each has a program of its own, which takes most of the time: each recipe once, with
#: another action space than on the host.
ON_DEVICE = [(name, list(ACTIONS)[(1 - i) % len(ACTIONS)]) for i, name in enumerate(COLLECTING)]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_every_recipe_learns(name, kind):
    check_that_it_learns(prepare(name, host_env(kind), small(name)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), ON_DEVICE)
def test_every_recipe_learns_on_the_device(name, kind):
    check_that_it_learns(prepare(name, device_env(kind), small(name)))


def check_that_it_learns(run):
    """Both batches are learned from whole, the policy moves, and every metric is finite."""
    before = run.state.policy
    iterations = list(run.iterations())
    assert [i.steps for i in iterations] == [32, 64]
    remembers = bool(run.learner.remembers)
    for number, iteration in enumerate(iterations):
        assert all(np.isfinite(x).all() for x in iteration.metrics.values()), iteration.metrics
        assert iteration.metrics["learned_rows"] == (32 * (1 + number) if remembers else 32)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, run.state.policy)
    assert max(jax.tree.leaves(moved)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ACTIONS)
def test_cloning_learns_from_every_action_space(kind, tmp_path):
    options = {"num_envs": 4, "horizon": 8, "steps": 32, "hidden": (4,)}
    expert = sf.train("reinforce", device_env(kind), **options)
    save(expert.record(8), tmp_path / "data.safetensors")
    run = prepare(
        "bc",
        device_env(kind),
        {"data": str(tmp_path / "data.safetensors"), "steps": 320, "hidden": (4,)},
    )
    iterations = list(run.iterations())
    assert [i.steps for i in iterations] == list(range(32, 321, 32))
    objective = [i.metrics["objective_after"] for i in iterations]
    assert np.isfinite(objective).all()
    assert objective[-1] > objective[0]


@pytest.mark.parametrize("name", ["trpo", "kfac_trpo"])
def test_a_line_search_is_what_its_options_say(name):
    options = {"max_kl": 0.02, "decay": 0.5, "tries": 4, "kl_direction": "new_old"}
    options |= {"max_kl_schedule": "linear"}
    for rule, shorten in (("secant", sf.Secant(0.5)), ("decay", sf.Decay(0.5))):
        built = RECIPES[name](line_search=rule, **options).build()
        expected = sf.Backtrack(
            sf.KLBall(0.02, schedule=sf.schedules.linear),
            max_kl=0.02,
            shorten=shorten,
            tries=4,
            kl_direction="new_old",
            schedule=sf.schedules.linear,
        )
        assert bool(eqx.tree_equal(built.policy_update.step_size, expected))


def test_a_recipes_file_is_short():
    found = list((Path(sf.__file__).parent / "methods" / "recipes").glob("*.py"))
    assert len(found) > 10
    for path in found:
        assert len(path.read_text().splitlines()) <= 80, path.name


def test_nothing_branches_on_a_recipes_name():
    root = Path(sf.__file__).parent
    for path in root.rglob("*.py"):
        # The names themselves, what other libraries call them, and other defaults by name.
        if path.name in ("registry.py", "foreign_names.py", "presets.py"):
            continue
        for name in set(RECIPES) - {"bc", "cem"}:
            for quote in "\"'":
                text = path.read_text().replace('("trpo", "ppo_clip", …)', "")
                assert f"{quote}{name}{quote}" not in text, (path, name)
