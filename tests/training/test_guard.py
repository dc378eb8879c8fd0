"""What is not finite is not learned from, and is named."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from support import runs
from support.runs import BATCH, TINY
from support.suites import cases
from surefoot.envs.spaces.encoding import Encoding
from surefoot.runs.display.progress import CallbackDisplay
from surefoot.runs.execute import execute
from surefoot.runs.folder import checkpoints
from surefoot.runs.options import prepare

SMALL = {**TINY, "steps": BATCH * 6}


class Broken(gymnasium.Env):
    """A walk. In the steps of `when`, counted over its life, copy 1 gives what is not finite.

    Its observations take four numbers, and its actions are two: CartPole's programs are its own."""

    observation_space = spaces.Dict(
        {"place": spaces.Box(-np.inf, np.inf, (2,)), "mode": spaces.Discrete(2)}
    )
    action_space = spaces.Discrete(2)
    made = 0

    def __init__(self, what="", when=()):
        self._what, self._when = what, when
        self._number, Broken.made = Broken.made % TINY["num_envs"], Broken.made + 1
        self._life = 0

    def _seen(self):
        return {"place": self._at.astype(np.float32), "mode": np.int64(0)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age, self._at = 0, self.np_random.normal(size=2)
        return self._seen(), {}

    def step(self, action):
        self._age, self._life = self._age + 1, self._life + 1
        self._at = 0.9 * self._at + self.np_random.normal(size=2)
        seen, reward = self._seen(), -float(np.abs(self._at).sum())
        if self._number == 1 and self._life in self._when:
            if self._what == "reward":
                reward = -np.inf
            else:
                seen["place"][1] = np.nan
        return seen, reward, False, self._age == 10, {}


class Continuous(Broken):
    """Where an observation is not a number, neither are the Gaussian's actions."""

    action_space = spaces.Box(-1.0, 1.0, (1,))


class Kept(CallbackDisplay):
    def __init__(self):
        self.told, self.notes = [], []
        super().__init__(show=self.told.append, note=self.notes.append)


@pytest.fixture(autouse=True)
def count_anew(monkeypatch):
    monkeypatch.setattr(Broken, "made", 0)


def run(algorithm, what, when, env=Broken, **options):
    run = prepare(algorithm, lambda: env(what, when), {**SMALL, **options})
    shown = Kept()
    start = run.state
    execute([run], [None], shown)
    return start, shown


def learned(state):
    """All that learning changes, but for keys and counts of steps."""
    return state._replace(key=None, steps=None)


def assert_same(one, other):
    ours, theirs = jax.tree.leaves(learned(one)), jax.tree.leaves(learned(other))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def slow(*algorithms):
    return [pytest.param(name, Continuous, marks=pytest.mark.slow) for name in algorithms]


METHODS = [("trpo", Broken), ("reinforce", Broken), ("cem", Broken), ("reinforce", Continuous)]


@pytest.mark.parametrize(
    ("algorithm", "env"), [*METHODS, *slow("trpo", "ppo_clip", "acktr", "cem")]
)
@pytest.mark.parametrize("what", ["observation", "reward"])
def test_an_update_on_what_is_not_finite_changes_nothing_and_names_it(algorithm, env, what):
    # In the third iteration, of steps 65 to 96.
    options = {"elite_fraction": 0.5} if algorithm == "cem" else {}
    _, shown = run(algorithm, what, (80,), env, **options)
    refused = [bool(told.metrics["refused"]) for told in shown.told]
    assert refused == [False, False, True, False, False, False]
    before, after = shown.told[1].state, shown.told[2].state
    assert_same(before, after)
    assert int(after.steps) == int(before.steps) + BATCH
    assert not np.array_equal(jax.random.key_data(before.key), jax.random.key_data(after.key))
    row = shown.told[2].metrics
    assert row["refused_environment"] == 1
    (note,) = shown.notes
    if what == "observation":
        assert row["refused_component"] == 3
        assert "iteration 2 was refused: observation['place'][1] of environment 1 is not" in note
    else:
        assert row["refused_component"] == -1
        assert "iteration 2 was refused: a reward of environment 1 is not finite" in note
    last = shown.told[-1].state
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(learned(last)))
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(after.policy), jax.tree.leaves(last.policy), strict=True)
    )


@pytest.mark.parametrize(("algorithm", "env"), [("reinforce", Broken), *slow("ppo_clip")])
def test_parameters_that_would_not_be_finite_are_refused(algorithm, env):
    with pytest.raises(sf.TrainingError, match=r"new parameters are not finite.*the last of 10"):
        run(algorithm, "", (), env, learning_rate=1e38, steps=BATCH * 12)


@pytest.mark.parametrize(("algorithm", "env"), [("reinforce", Broken), *slow("ppo_clip")])
def test_a_step_that_overflows_changes_no_optimizer_and_no_critic(algorithm, env):
    run = prepare(algorithm, env, {**SMALL, "learning_rate": 1e38})
    told = next(iter(run.iterations()))
    assert told.metrics["refused"]
    assert told.metrics["critic_refused"]
    assert told.metrics["refused_cause"] == 3
    start = prepare(algorithm, env, {**SMALL, "learning_rate": 1e38}).state
    assert_same(start, told.state)


def test_a_critic_that_would_not_be_finite_is_refused_alone():
    run = prepare("trpo", Broken, {**SMALL, "critic_learning_rate": 1e38, "steps": BATCH})
    (told,) = run.iterations()
    start = prepare("trpo", Broken, SMALL).state
    assert not told.metrics["refused"]
    assert told.metrics["critic_refused"]
    for a, b in zip(jax.tree.leaves(start.critic), jax.tree.leaves(told.state.critic), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(start.policy.layers[0][0] - told.state.policy.layers[0][0]).max() > 0


def test_ten_refusals_in_a_row_end_the_run_at_the_last_good_parameters(tmp_path):
    folder = tmp_path / "run"
    shown = Kept()
    with pytest.raises(sf.TrainingError) as error:
        sf.train(
            "trpo",
            lambda: Broken("observation", range(65, 10**6)),
            out=folder,
            display=lambda _: shown,
            **{**SMALL, "steps": BATCH * 40, "checkpoint_every": 0},
        )
    assert "iteration 11 was refused" in str(error.value)
    assert "it began at iteration 2" in str(error.value)
    assert "\n" not in str(error.value)
    rows = runs.rows(folder)
    assert [row["refused"] for row in rows] == [False] * 2 + [True] * 10
    last = checkpoints.read(checkpoints.paths(folder / "checkpoints")[-1])
    assert last.iterations == 2
    good = shown.told[1].state
    np.testing.assert_array_equal(
        last.state["learner.policy.network.weights[0]"], good.policy.layers[0][0]
    )
    assert all(np.isfinite(x).all() for x in last.state.values() if x.dtype.kind == "f")
    assert len(shown.notes) == 1


def test_one_refusal_is_no_reason_to_end():
    _, shown = run("trpo", "reward", range(1, 10**6, 64), steps=BATCH * 24)
    refused = [bool(told.metrics["refused"]) for told in shown.told]
    assert refused == [True, False] * 12
    assert len(shown.notes) == 12


class Exploding:
    """A functional environment whose observation overflows in the 20th step of an episode."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Discrete(2)

    def initial(self, rng):
        return jnp.zeros(())

    def transition(self, state, action, rng):
        return state + 1

    def observation(self, state, rng):
        return jnp.stack([state / 30, jnp.where(state == 20, jnp.inf, 0.0)])

    def reward(self, state, action, next_state, rng):
        return action * 1.0

    def terminal(self, state, rng):
        return state >= 30


@pytest.mark.parametrize("algorithm", cases(["trpo", "reinforce"], fast=["reinforce"]))
def test_the_device_refuses_within_its_program(algorithm):
    env = sf.DeviceEnv(Exploding(), time_limit=100)
    options = {**SMALL, "horizon": 16, "steps": BATCH // 2 * 4, "stagger_starts": False}
    run = prepare(algorithm, env, options)
    told = list(run.iterations())
    # Episodes have 30 steps and batches 16: steps 20, 50, 80 are those that are not finite.
    assert [bool(one.metrics["refused"]) for one in told] == [False, True, False, True]
    assert told[1].metrics["refused_component"] == 1
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(learned(run.state)))


def test_components_are_named_as_their_space_has_them():
    box = spaces.Box(-1, 1, (2, 2))
    assert Encoding(box).component(3) == "observation[3]"
    nested = spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Tuple([box, spaces.Discrete(2)])})
    assert Encoding(nested).component(2) == "observation['a'][2]"
    assert Encoding(nested).component(3) == "observation['b'][0][0]"
    assert Encoding(nested).component(8) == "observation['b'][1][1]"
