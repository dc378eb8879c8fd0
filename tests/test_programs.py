"""A sweep compiles nothing: what differs in numbers only shares one program."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from surefoot import programs
from surefoot.programs import compiled, constants
from surefoot.recipes import RECIPES


@pytest.fixture
def made(monkeypatch):
    """The programs of this test alone."""
    kept = type(programs._programs)()
    monkeypatch.setattr(programs, "_programs", kept)
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
        if (field, name) not in UNUSED:
            assert any(np.any(a != b) for a, b in zip(before, after, strict=True)), field
    assert constants(RECIPES[name]().build()) == constants(learner)


#: A number of rows, on which shapes depend.
COUNTS = {("elite_fraction", "cem")}
#: Of a baseline that is not there by default.
UNUSED = {("critic_learning_rate", "reinforce")}


@pytest.mark.parametrize("backend", ["host", "device"])
def test_a_sweep_compiles_once(made, backend):
    options = {"backend": backend, "steps": 256, "horizon": 16, "hidden": (8,)}
    agents = [
        sf.train("trpo", "CartPole-v1", max_kl=max_kl, damping=damping, **options)
        for max_kl, damping in ((0.01, 0.1), (0.1, 0.1), (0.1, 1.0))
    ]
    assert len(made) == {"host": 3, "device": 1}[backend]
    weights = [np.asarray(jax.tree.leaves(agent.policy)[0]) for agent in agents]
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])


def test_a_program_is_of_its_function_shapes_and_constants(made):
    def double(x):
        return 2 * x

    def triple(x):
        return 3 * x

    x = jnp.ones(3)
    assert compiled(double, x) is compiled(double, x + 1)
    assert compiled(triple, x)(x).tolist() == [3, 3, 3]
    assert compiled(double, jnp.ones(4))(jnp.ones(4)).shape == (4,)
    assert compiled(double, np.ones(3, np.int32))(np.ones(3, np.int32)).dtype == jnp.int32
    assert len(made) == 4


def test_a_function_defined_anew_is_known_by_what_it_closes_over(made):
    def program(factor):
        def times(x):
            return factor * x

        return compiled(times, jnp.ones(2), closed_over=(factor,))

    assert program(2) is program(2)
    assert program(3)(jnp.ones(2)).tolist() == [3, 3]


def test_what_has_no_hash_is_compiled_each_time(made):
    def program():
        return compiled(lambda x: x + 1, jnp.ones(2), closed_over=([],))

    assert program() is not program()
    assert not made


def test_programs_not_used_for_longest_go_first(made, monkeypatch):
    monkeypatch.setattr(programs, "MOST", 2)

    def square(x):
        return x**2

    one, two = compiled(square, jnp.ones(1)), compiled(square, jnp.ones(2))
    assert compiled(square, jnp.ones(1)) is one
    compiled(square, jnp.ones(3))
    assert len(made) == 2
    assert compiled(square, jnp.ones(1)) is one
    assert compiled(square, jnp.ones(2)) is not two
