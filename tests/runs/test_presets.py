"""Presets: what they give, what wins over them, and what a run keeps of them."""

import dataclasses
import json

import pytest

import surefoot as sf
from surefoot.cli.commands import train
from surefoot.cli.main import main
from surefoot.common.settings import RunSettings
from surefoot.methods.presets import PRESETS, preset_options
from surefoot.methods.registry import RECIPES
from surefoot.runs.folder import command_line
from surefoot.runs.options import Options

EVERY = [(name, method) for name, preset in PRESETS.items() for method in preset.methods]


def flat(name, options):
    """A run's options as its configuration has them."""
    _, recipe, settings, _ = Options.split(name, options)
    return {**dataclasses.asdict(settings), **recipe.hyperparameters()}


@pytest.mark.parametrize(("name", "method"), EVERY)
def test_a_preset_gives_options_that_there_are_and_leaves_the_others(name, method):
    given = preset_options(name, method)
    defaults, found = flat(method, {}), flat(method, {"preset": name})
    assert given.items() <= found.items()
    assert given["preset"] == name
    assert {k: v for k, v in found.items() if k not in given} == {
        k: v for k, v in defaults.items() if k not in given
    }
    RECIPES[method](**{k: v for k, v in given.items() if k not in vars(RunSettings())}).build()


def test_methods_have_values_of_their_own():
    shapes = {
        method: (found["num_envs"], found["horizon"], found["gae_lambda"])
        for method in PRESETS["atari"].methods
        for found in [flat(method, {"preset": "atari"})]
    }
    assert shapes == {"ppo_clip": (8, 128, 0.95), "a2c": (16, 5, 1.0), "acktr": (32, 20, 1.0)}


#: The second of them is the default, which the preset changes.
OWN = {"clip": 0.3, "scale_rewards": True, "epochs": 7, "steps": 512}


def test_what_is_given_wins_also_where_it_is_the_default():
    for options in ({"preset": "atari", **OWN}, {**OWN, "preset": "atari"}):
        found = flat("ppo_clip", options)
        assert found["scale_rewards"] == RunSettings.scale_rewards
        assert OWN.items() <= found.items()
        rest = preset_options("atari", "ppo_clip").keys() - OWN.keys()
        assert all(found[k] == preset_options("atari", "ppo_clip")[k] for k in rest)


def parsed(monkeypatch, *words):
    """What the command line makes of these words, as a configuration has it."""
    told = []
    monkeypatch.setattr(train, "_run_training", lambda name, options, command: told.append(options))
    train.main(["ppo_clip", "ALE/Pong-v5", *words])
    (options,) = told
    return {**dataclasses.asdict(options.run), **options.hyperparameters.hyperparameters()}


@pytest.mark.parametrize("preset", [["--preset", "atari"], ["--preset=atari"]])
def test_the_command_line_gives_the_same(monkeypatch, preset):
    own = ["--clip", "0.3", "--scale-rewards", "--epochs", "7", "--steps", "512"]
    expected = flat("ppo_clip", {"preset": "atari", **OWN})
    for words in ([*preset, *own], [*own, *preset]):
        assert parsed(monkeypatch, *words) == expected
    assert parsed(monkeypatch) == flat("ppo_clip", {})


def test_the_command_that_makes_a_run_again_has_the_values_and_no_preset(monkeypatch):
    """Also where a value was given that the preset changes."""
    given = {"preset": "atari", **OWN}
    _, recipe, settings, _ = Options.split("ppo_clip", given)
    config = {
        "algorithm": "ppo_clip",
        "environment_id": "ALE/Pong-v5",
        "setup": dataclasses.asdict(settings),
        "hyperparameters": recipe.hyperparameters(),
        "command": ["surefoot", "train", "ppo_clip", "ALE/Pong-v5", "--preset", "atari"],
    }
    _, _, method, env_id, *words = command_line.command(json.loads(json.dumps(config))).split()
    assert (method, env_id) == ("ppo_clip", "ALE/Pong-v5")
    assert parsed(monkeypatch, *words) == {**flat("ppo_clip", given), "preset": ""}


MISTAKES = {
    "unknown": (
        ("ppo_clip", "ALE/Pong-v5", "atri"),
        "preset is 'atri'; accepted are 'atari'. Did you mean 'atari'?",
    ),
    "method": (
        ("trpo", "ALE/Pong-v5", "atari"),
        "preset is 'atari' with trpo; accepted with it are ppo_clip, a2c, acktr",
    ),
    "environment": (
        ("a2c", "CartPole-v1", "atari"),
        "preset is 'atari' with the environment 'CartPole-v1'; accepted are Atari games, whose "
        "ids begin with 'ALE/'",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(case, capsys, tmp_path):
    (method, env_id, preset), message = MISTAKES[case]
    with pytest.raises(sf.UsageError) as error:
        sf.train(method, env_id, preset=preset, out=tmp_path / "run")
    assert str(error.value) == message
    out = str(tmp_path / "run")
    assert main(["train", method, env_id, "--preset", preset, "--out", out]) == 2
    assert capsys.readouterr().err == f"surefoot: {message}\n"
    assert not (tmp_path / "run").exists()


def test_other_mistakes_from_python():
    for env in (lambda: None, sf.DeviceEnv):
        with pytest.raises(sf.UsageError, match="accepted are Atari games"):
            sf.train("ppo_clip", env, preset="atari")
    with pytest.raises(sf.UsageError, match="accepted is a method by its name"):
        sf.train(RECIPES["ppo_clip"](), "ALE/Pong-v5", preset="atari")
    for preset in (["atari"], 3):
        with pytest.raises(sf.UsageError, match=r"preset is .*; accepted are 'atari'"):
            sf.train("ppo_clip", "ALE/Pong-v5", preset=preset)


def test_help_tells_which_there_are(capsys):
    assert main(["train", "--help"]) == 0
    assert "--preset atari: Atari games, by ppo_clip, a2c, acktr" in capsys.readouterr().out
    for method, there in (("a2c", True), ("trpo", False)):
        with pytest.raises(SystemExit):
            main(["train", method, "--help"])
        assert ("--preset atari: Atari games" in capsys.readouterr().out) == there
