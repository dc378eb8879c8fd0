"""A sweep compiles nothing: what differs in numbers only shares one program."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from support.runs import BATCH, TINY
from surefoot.common import compile_cache
from surefoot.common.compile_cache import compile_cached, constants
from surefoot.methods.registry import RECIPES
from surefoot.runs.options import prepare


@pytest.fixture
def made(monkeypatch):
    """The programs of this test alone."""
    kept = type(compile_cache._programs)()
    monkeypatch.setattr(compile_cache, "_programs", kept)
    return kept


@pytest.mark.parametrize("name", RECIPES)
def test_every_real_hyperparameter_is_an_array(name):
    recipe = RECIPES[name]()
    learner = recipe.build()
    fields = recipe.hyperparameters().items()
    numbers = {k: v for k, v in fields if isinstance(v, float) and (k, name) not in COUNTS}
    for field, value in numbers.items():
        other = dataclasses.replace(recipe, **{field: value * 0.875 if value else 0.125}).build()
        assert constants(other) == constants(learner), field
        before, after = jax.tree.leaves(learner), jax.tree.leaves(other)
        assert any(np.any(a != b) for a, b in zip(before, after, strict=True)), field
    assert constants(RECIPES[name]().build()) == constants(learner)


#: A number of rows, on which shapes depend.
COUNTS = {("elite_fraction", "cem")}


SWEEPS = {
    ("trpo", "host"): [{"max_kl": 0.01}, {"max_kl": 0.1}, {"max_kl": 0.1, "damping": 1.0}],
    ("trpo", "device"): [{"max_kl": 0.01}, {"max_kl": 0.1}, {"max_kl": 0.1, "damping": 1.0}],
    ("reinforce", "device"): [{}, {"learning_rate": 0.1}, {"learning_rate": 0.1, "discount": 0.5}],
}


@pytest.mark.parametrize(
    ("method", "backend"),
    [
        pytest.param(*sweep, marks=pytest.mark.slow if sweep == ("trpo", "device") else ())
        for sweep in SWEEPS
    ],
)
def test_a_sweep_compiles_once(made, method, backend):
    options = {**TINY, "backend": backend, "steps": BATCH * 2}
    agents = [
        sf.train(method, "CartPole-v1", **options, **numbers) for numbers in SWEEPS[method, backend]
    ]
    assert len(made) == {"host": 4, "device": 1}[backend]
    weights = [np.asarray(jax.tree.leaves(agent.policy)[0]) for agent in agents]
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])


def test_a_program_is_of_its_function_shapes_and_constants(made):
    def double(x):
        return 2 * x

    def triple(x):
        return 3 * x

    x = jnp.ones(3)
    assert compile_cached(double, x, cache_program=True) is compile_cached(
        double, x + 1, cache_program=True
    )
    assert compile_cached(triple, x, cache_program=True)(x).tolist() == [3, 3, 3]
    assert compile_cached(double, jnp.ones(4), cache_program=True)(jnp.ones(4)).shape == (4,)
    assert (
        compile_cached(double, np.ones(3, np.int32), cache_program=True)(np.ones(3, np.int32)).dtype
        == jnp.int32
    )
    assert len(made) == 4


def test_a_function_defined_anew_is_known_by_what_it_closes_over(made):
    def program(factor):
        def times(x):
            return factor * x

        return compile_cached(times, jnp.ones(2), cache_program=True, closed_over=(factor,))

    assert program(2) is program(2)
    assert program(3)(jnp.ones(2)).tolist() == [3, 3]


def test_what_is_not_to_be_kept_is_compiled_each_time(made):
    def double(x):
        return 2 * x

    x = jnp.ones(2)
    assert compile_cached(double, x, cache_program=False) is not compile_cached(
        double, x, cache_program=False
    )
    assert not made


def test_a_users_environment_is_read_anew_in_every_run(made):
    class Paying:
        """Pays `bonus` a step, which may be changed between two runs."""

        observation_space = spaces.Box(-1.0, 1.0, (1,))
        action_space = spaces.Discrete(2)
        bonus = 1.0

        def initial(self, rng):
            return jnp.zeros(())

        def transition(self, state, action, rng):
            return state + 1

        def observation(self, state, rng):
            return jnp.zeros(1)

        def reward(self, state, action, next_state, rng):
            return self.bonus

        def terminal(self, state, rng):
            return state >= 4

    env = sf.DeviceEnv(Paying(), time_limit=10)
    for bonus in (1.0, 5.0):
        env.env.bonus = bonus
        run = prepare("reinforce", env, {**TINY, "steps": BATCH, "baseline": False})
        (told,) = run.iterations()
        assert set(told.episode_returns.tolist()) == {4 * bonus}
    assert not made


def test_programs_not_used_for_longest_go_first(made, monkeypatch):
    monkeypatch.setattr(compile_cache, "MAX_PROGRAMS", 2)

    def square(x):
        return x**2

    one, two = (
        compile_cached(square, jnp.ones(1), cache_program=True),
        compile_cached(square, jnp.ones(2), cache_program=True),
    )
    assert compile_cached(square, jnp.ones(1), cache_program=True) is one
    compile_cached(square, jnp.ones(3), cache_program=True)
    assert len(made) == 2
    assert compile_cached(square, jnp.ones(1), cache_program=True) is one
    assert compile_cached(square, jnp.ones(2), cache_program=True) is not two
