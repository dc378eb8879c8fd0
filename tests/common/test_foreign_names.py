"""Names of other libraries are answered with this one's."""

import dataclasses

import pytest

import surefoot as sf
from surefoot.common import foreign_names
from surefoot.common.foreign_names import algorithm_hint, option_hint
from surefoot.common.settings import RunSettings
from surefoot.methods.registry import RECIPES

SETTINGS = [field.name for field in dataclasses.fields(RunSettings)]


def options(recipe):
    """What `train` accepts of that recipe, with what is no field."""
    return [*SETTINGS, *(field.name for field in dataclasses.fields(RECIPES[recipe])), "out"]


#: By library: its names, and what they are for PPO here.
LIBRARIES = {
    "Stable-Baselines3": {
        "total_timesteps": "steps",
        "n_steps": "horizon",
        "n_envs": "num_envs",
        "gamma": "discount",
        "ent_coef": "entropy_coefficient",
        "clip_range": "clip",
        "batch_size": "minibatch_size",
        "n_epochs": "epochs",
        "eval_freq": "evaluate_every",
        "tensorboard_log": "log",
        "n_stack": "frame_stack",
        "clip_reward": "clip_rewards",
    },
    "EnvPool": {
        "stack_num": "frame_stack",
        "episodic_life": "terminal_on_life_loss",
        "reward_clip": "clip_rewards",
    },
    "CleanRL": {
        "total_timesteps": "steps",
        "num_steps": "horizon",
        "update_epochs": "epochs",
        "clip_coef": "clip",
        "ent_coef": "entropy_coefficient",
    },
    "Tianshou": {
        "lr": "learning_rate",
        "eps_clip": "clip",
        "training_num": "num_envs",
        "hidden_sizes": "hidden",
        "return_scaling": "scale_rewards",
    },
    "Brax": {
        "num_timesteps": "steps",
        "unroll_length": "horizon",
        "entropy_cost": "entropy_coefficient",
        "discounting": "discount",
        "clipping_epsilon": "clip",
        "num_updates_per_batch": "epochs",
    },
}
TABLE = [pair for names in LIBRARIES.values() for pair in names.items()]


@pytest.mark.parametrize(("theirs", "ours"), TABLE)
def test_an_option_of_another_library_is_answered_with_this_ones(theirs, ours):
    accepted = options("ppo_clip")
    assert f" It is called '{ours}'" in option_hint(theirs, accepted)
    dashed = [name.replace("_", "-") for name in accepted]
    for spelled in (theirs, theirs.replace("_", "-"), theirs.upper()):
        hint = option_hint(spelled, dashed, prefix="--")
        assert f" It is called --{ours.replace('_', '-')}" in hint
        assert "'" not in hint


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_hint_names_an_option_that_the_method_has_not(recipe):
    accepted = options(recipe)
    for theirs in foreign_names._OPTIONS | foreign_names._ABSENT:
        hint = option_hint(theirs, accepted)
        assert hint
        if "It is called" in hint:
            assert set(hint.split("'")[1::2]) <= set(accepted)


def test_every_name_stands_for_something_here():
    every = {name for recipe in RECIPES for name in options(recipe)}
    for theirs, ours in foreign_names._OPTIONS.items():
        assert set(ours) <= every, theirs
        assert theirs not in ours or len(ours) > 1
    assert set(foreign_names._ALGORITHMS.values()) <= set(RECIPES)
    assert not set(foreign_names._ALGORITHMS) & set(RECIPES)


def test_a_name_that_two_methods_mean_otherwise_is_that_of_the_method():
    assert "'max_kl'" in option_hint("target_kl", options("trpo"))
    assert "ppo_kl and trpo" in option_hint("target_kl", options("ppo_clip"))
    assert "policy and critic share no parameters" in option_hint("vf_coef", options("a2c"))
    assert option_hint("gamma", options("bc")) == " There is no discount here."


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ("sac", "off-policy"),
        ("TD3", "off-policy"),
        ("qr-dqn", "off-policy"),
        ("DreamerV3", "learns a model"),
        ("PPO2", "'ppo_clip'"),
        ("A3C", "'a2c'"),
        ("CMA-ES", "'cma_es'"),
        ("TRPO", "Did you mean 'trpo'"),
        ("tpro", "Did you mean 'trpo'"),
        ("zzz", "^$"),
    ],
)
def test_an_algorithm_of_another_library_is_answered_with_what_there_is(theirs, says):
    hint = algorithm_hint(theirs, RECIPES)
    assert hint == "" if says == "^$" else says in hint
    with pytest.raises(sf.UsageError, match="unknown algorithm"):
        sf.train(theirs, "CartPole-v1")


def test_python_and_the_command_line_say_the_same():
    with pytest.raises(sf.UsageError, match="It is called 'discount' here"):
        sf.train("trpo", "CartPole-v1", gamma=0.9)
