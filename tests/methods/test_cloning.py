"""Behavior cloning, from recorded transitions to an agent that acts as they do."""

import json
from pathlib import Path

import equinox as eqx
import gymnasium
import jax
import numpy as np
import optax
import pytest

import surefoot as sf
from support.problems import KEY, make_batch, make_policy, vector
from surefoot.agents.demonstrations import Demonstrations, save
from surefoot.methods.recipes import BC
from surefoot.runs.options import prepare

HIDDEN = (8,)
ROWS = 2_000
#: Where the recorded observations are, with a spread of 0.1: raw, they can hardly be told apart.
FAR = np.array([1.0, -4.0, 3.0, 6.0], np.float32)


def transitions(obs, action, env):
    """Rewards and ends do not matter to a clone."""
    made = gymnasium.make(env)
    zeros = np.zeros(len(obs), np.float32)
    flags = zeros.astype(bool)
    return Demonstrations(
        obs, action, zeros, flags, flags, made.observation_space, made.action_space, env
    )


def leaning(obs):
    """The way the pole falls."""
    return (obs[:, 2] + 0.2 * obs[:, 3] > FAR[2] + 0.2 * FAR[3]).astype(np.int64)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Actions of a rule in CartPole."""
    obs = np.random.default_rng(0).normal(FAR, 0.1, size=(ROWS, 4)).astype(np.float32)
    demonstrations = transitions(obs, leaning(obs), "CartPole-v1")
    path = tmp_path_factory.mktemp("data") / "cartpole.safetensors"
    save(demonstrations, path)
    return demonstrations, str(path)


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    """Twenty episodes of a TRPO agent that has learned CartPole."""
    agent = sf.train("trpo", "CartPole-v1", backend="device", steps=102_400, seed=0)
    demonstrations = agent.record(20, seed=3, env="CartPole-v1")
    path = tmp_path_factory.mktemp("data") / "cartpole.safetensors"
    save(demonstrations, path)
    assert demonstrations.returns.mean() >= 475
    return demonstrations, str(path)


def clone(path, *, steps=200_000, **options):
    run = prepare("bc", "CartPole-v1", {"data": path, "steps": steps, **options})
    return run, list(run.iterations())


def test_a_clone_acts_as_was_recorded_however_far_from_zero_the_observations_are(recorded):
    demonstrations, path = recorded
    run, iterations = clone(path, steps=20 * ROWS, hidden=HIDDEN)
    objective = [iteration.metrics["objective_after"] for iteration in iterations]
    assert objective[-1] > objective[0]
    predicted, _ = run.agent().predict(demonstrations.obs)
    assert (predicted == demonstrations.action).mean() > 0.95


@pytest.mark.slow
def test_a_clone_of_a_good_agent_is_good_and_a_regularized_one_keeps_its_entropy(expert):
    demonstrations, path = expert
    run, iterations = clone(path)
    assert iterations[-1].steps == 200_000 // len(demonstrations) * len(demonstrations)
    assert iterations[-1].metrics["objective_after"] > iterations[0].metrics["objective_after"]
    assert run.agent().evaluate(20, seed=5).mean >= 450

    entropy = iterations[-1].metrics["entropy"]
    _, regularized = clone(path, entropy_coefficient=0.5)
    assert regularized[-1].metrics["entropy"] > entropy + 0.1
    _, decayed = clone(path, weight_decay=1e-3)
    assert decayed[-1].metrics["entropy"] > entropy


def test_the_clones_normalizer_has_seen_the_data_once_and_all_of_it(recorded):
    demonstrations, path = recorded
    run, _ = clone(path, steps=3 * len(demonstrations), hidden=HIDDEN)
    moments = run.state.normalizer.moments
    assert int(moments.seen) == len(demonstrations)
    np.testing.assert_allclose(moments.mean, demonstrations.obs.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(moments.var, demonstrations.obs.var(axis=0), rtol=1e-3)


def test_the_l2_regularizer_is_added_to_the_gradient_ahead_of_adam(x64):
    policy = make_policy("categorical")
    batch = make_batch(policy)
    step = BC(weight_decay=0.3, learning_rate=0.01).build().policy_update.step

    @eqx.filter_jit
    def taken(step, policy, batch):
        return step(KEY, policy, step.init(policy), batch)[0]

    @eqx.filter_jit
    def by_hand(policy, batch):
        likelihood = sf.LocalModel(sf.Likelihood(), policy, batch).grad
        loss = jax.tree.map(lambda g, p: -g + 0.3 * p, likelihood, policy)
        adam = optax.adam(0.01)
        # Optax raises a decay to the power of its count of steps, an integer.
        with jax.numpy_dtype_promotion("standard"):
            return adam.update(loss, adam.init(policy))[0]

    new, updates = taken(step, policy, batch), by_hand(policy, batch)
    left = 1.0 - float(batch.progress)  # The rate falls linearly.
    np.testing.assert_allclose(vector(new), vector(policy) + left * vector(updates), rtol=1e-9)


def test_a_box_actions_recording_is_mapped_back(tmp_path):
    """The environment's torque in [−2, 2] is twice what the policy samples."""
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(4000, 3)).astype(np.float32)
    action = np.clip(1.2 * obs[:, :1], -2, 2).astype(np.float32)
    data = transitions(obs, action, "Pendulum-v1")
    save(data, tmp_path / "pendulum.safetensors")
    agent = sf.train(
        "bc",
        "Pendulum-v1",
        data=str(tmp_path / "pendulum.safetensors"),
        steps=80_000,
        hidden=(16,),
        normalize_observations=False,
        learning_rate=3e-3,
    )
    predicted, _ = agent.predict(obs[:100])
    assert np.abs(predicted - action[:100]).mean() < 0.15


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Acrobot-v1", "Acrobot-v1 has the observation space .*, which the recording is of"),
        ("CartPole-v9", "CartPole-v9"),
    ],
)
def test_a_recording_of_another_environment_is_refused(env, message, recorded, tmp_path):
    with pytest.raises(sf.UsageError, match=message):
        sf.train("bc", env, data=recorded[1], out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_fewer_steps_than_recorded_transitions_are_refused(recorded):
    with pytest.raises(sf.UsageError, match="steps is 10; accepted is at least one pass over"):
        sf.train("bc", "CartPole-v1", data=recorded[1], steps=10)


def test_the_cloning_learner_weighs_all_rows_alike_and_leaves_its_input(recorded):
    demonstrations, path = recorded
    run, iterations = clone(path, steps=len(demonstrations), minibatch_size=7, hidden=HIDDEN)
    assert len(iterations) == 1
    metrics = iterations[0].metrics
    assert metrics["valid_rows"] == metrics["learned_rows"] == len(demonstrations)
    assert int(run.state.steps) == len(demonstrations)


def test_a_learner_composed_by_hand_clones_too_and_a_path_is_as_good_as_text(recorded, tmp_path):
    _, path = recorded
    learner = BC().build()
    options = {"data": Path(path), "steps": 10 * ROWS, "hidden": HIDDEN}
    agent = sf.train(learner, "CartPole-v1", **options, out=tmp_path / "run")
    named = sf.train("bc", "CartPole-v1", **options | {"data": path})
    np.testing.assert_array_equal(vector(agent.policy), vector(named.policy))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["hyperparameters"]["data"] == path
    assert "Likelihood" in config["hyperparameters"]["learner"]


def test_data_that_is_no_path_is_refused_in_a_line(recorded):
    demonstrations, _ = recorded
    with pytest.raises(sf.UsageError, match="data is a Demonstrations; accepted is a path or text"):
        sf.train("bc", "CartPole-v1", data=demonstrations)
