"""Runs on Atari games: what they keep, that they go on where they were, and that their agents play
whole games."""

import json

import numpy as np
import pytest

import surefoot as sf
from support.runs import arrays, untimed
from surefoot.agents.playing.episodes import Actor
from surefoot.agents.playing.evaluation import evaluate
from surefoot.envs.host.atari import MakeAtari, Preprocessing
from surefoot.runs.display.progress import CallbackDisplay
from surefoot.runs.earlier.reproduce import reproduce

pytest.importorskip("ale_py")
pytest.importorskip("cv2")

GAME = "ALE/Seaquest-v5"
TOLD = Preprocessing(screen_size=16, frame_stack=2, frame_skip=12, terminal_on_life_loss=True)
#: Rows in which several lives are lost, and games end.
SHAPE = {"num_envs": 2, "horizon": 48, "critic_minibatch_size": 96, "steps": 5 * 96}
OPTIONS = {**SHAPE, "preset": "atari", "checkpoint_every": 0, "hidden": (4,)}
OPTIONS |= {"screen_size": 16, "frame_stack": 2, "frame_skip": 12}


class Watch(CallbackDisplay):
    """Ends the process, as it were, after some iterations; keeps what was noted."""

    def __init__(self, after=None):
        self.left, self.notes = after, []
        super().__init__(show=self._count, note=self.notes.append)

    def _count(self, iteration):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("vectorization", "own"),
    [
        pytest.param("sync", {}, marks=pytest.mark.slow),
        ("async", {}),
        pytest.param("async", {"network": "cnn+gru"}, marks=pytest.mark.slow),
    ],
    ids=["sync", "async", "async with a memory"],
)
def test_a_run_goes_on_bit_for_bit_where_it_was_killed(vectorization, own, tmp_path):
    options = {**OPTIONS, **own, "vectorization": vectorization}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    sf.train("a2c", GAME, out=whole, **options)
    with pytest.raises(KeyboardInterrupt):
        sf.train("a2c", GAME, out=cut, display=lambda _: Watch(3), **options)
    assert len(untimed(cut)) < len(untimed(whole))
    watch = Watch()
    sf.resume(cut, display=lambda _: watch)
    # None that an episode began anew: a game was put back.
    assert watch.notes == []
    assert untimed(cut) == untimed(whole)
    ours, theirs = arrays(cut), arrays(whole)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    rows = untimed(whole)
    returns = [value for row in rows for value in row["episode_returns"]]
    assert returns
    # Seaquest scores by 20.
    assert all(value % 20 == 0 for value in returns)
    assert max(returns) >= 20


def test_a_run_keeps_the_preset_and_what_it_gave(trained):
    folder = trained("a2c", GAME, **OPTIONS)
    config = json.loads((folder / "config.json").read_text())
    setup = config["setup"]
    assert config["environment_id"] == GAME
    assert (setup["preset"], setup["clip_rewards"], setup["scale_rewards"]) == (
        "atari",
        "sign",
        False,
    )
    assert {name: setup[name] for name in TOLD._fields} == TOLD._asdict()
    assert config["hyperparameters"]["gae_lambda"] == 1.0
    assert config["hyperparameters"]["num_envs"] == 2


def test_an_agent_plays_whole_games_of_raw_rewards_as_it_learned_to_see_them(trained):
    agent = sf.load(trained("a2c", GAME, **OPTIONS))
    assert agent.spec.preprocessing == TOLD
    env, rng = MakeAtari(GAME, TOLD)(), np.random.default_rng(0)
    _, info = env.reset(seed=4)
    total, steps, over, lives, lost = 0.0, 0, False, info["lives"], 0
    while not over:
        _, reward, terminated, truncated, info = env.step(rng.integers(18))
        total, steps, over = total + reward, steps + 1, terminated or truncated
        lost += info["lives"] < lives
        lives = info["lives"]
    assert lost > 1
    assert total > 0

    for given in (None, GAME):
        rng = np.random.default_rng(0)
        actor = Actor(
            lambda count: None,
            lambda obs, starts, memory, key: (np.array([rng.integers(18)]), None),  # noqa: B023
        )
        with agent.opened(given, 1) as host:
            found = evaluate(actor, host, episodes=1, seed=4)
        np.testing.assert_array_equal(found.returns, [total])
        np.testing.assert_array_equal(found.lengths, [steps])
    sampled = agent.evaluate(1, deterministic=False)
    assert sampled.returns[0] % 20 == 0


def test_an_update_is_reproduced_without_the_preset(trained, monkeypatch):
    monkeypatch.setattr("surefoot.methods.presets.PRESETS", {})
    assert reproduce(trained("a2c", GAME, **OPTIONS), 2)


@pytest.mark.parametrize(
    ("method", "env", "options", "message"),
    [
        ("a2c", "CartPole-v1", {"frame_skip": 2}, "frame_skip is 2 .*accepted is the default, 4"),
        ("a2c", sf.DeviceEnv, {"noop_max": 0}, "noop_max is 0"),
        ("cem", GAME, {"terminal_on_life_loss": True}, "learns from no single rewards"),
        ("cem", "CartPole-v1", {"clip_rewards": "sign"}, "accepted is 'none'"),
        ("a2c", GAME, {"screen_size": 8}, "screen_size is 8; accepted is an integer >= 16"),
        ("a2c", GAME, {"clip_rewards": "log"}, "accepted are 'none', 'sign'"),
    ],
)
def test_a_mistake_is_one_line(method, env, options, message):
    with pytest.raises(sf.UsageError, match=message) as error:
        sf.train(method, env, **options)
    assert "\n" not in str(error.value)
