"""Agents with a memory or a mask: what `predict` hands back and forth is what an episode has."""

import jax
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.common.errors import UsageError
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.make import make_host
from surefoot.envs.spaces.masks import with_mask_space

BOX, CHOICES = spaces.Box(-np.inf, np.inf, (4,)), spaces.Discrete(2)


def agent_of(observation_space, network="gru", **options):
    spec = PolicySpec(
        observation_space,
        CHOICES,
        Architecture(network, (5,)),
        -0.5,
        False,
        "affine",
        normalize_observations=False,
        **options,
    )
    policy = jax.tree.map(lambda x: 50.0 * x, spec.policy(jax.random.key(1)))
    return sf.Agent(policy, spec.normalizer(), spec, environment="CartPole-v1")


@pytest.fixture(scope="module")
def recurrent():
    return agent_of(BOX)


def test_predict_plays_the_episodes_that_evaluate_plays(recurrent):
    evaluation = recurrent.evaluate(4, seed=3)
    env = make_host("CartPole-v1", 4)
    obs, state, starts = env.reset(3), None, np.ones(4, bool)
    earned, lengths, done = np.zeros(4), np.zeros(4), np.zeros(4, bool)
    while not done.all():
        action, state = recurrent.predict(obs, state, starts)
        step = env.step(action)
        earned += np.where(done, 0, step.reward)
        lengths += ~done
        starts = step.terminated | step.truncated
        done |= starts
        obs = step.obs
    env.close()
    np.testing.assert_array_equal(sorted(earned), sorted(evaluation.returns))


def test_an_episodes_start_is_the_start_whatever_was_remembered(recurrent):
    obs = np.random.default_rng(0).normal(size=(6, 4))
    _, state = recurrent.predict(obs)
    assert state.shape == (6, 5)
    assert isinstance(state, np.ndarray)
    _, again = recurrent.predict(obs, state, np.ones(6, bool))
    np.testing.assert_array_equal(again, state)
    _, further = recurrent.predict(obs, state)
    assert (further != state).any(axis=1).all()
    _, mixed = recurrent.predict(obs, state, np.arange(6) < 3)
    np.testing.assert_array_equal(mixed[:3], state[:3])
    np.testing.assert_array_equal(mixed[3:], further[3:])
    action, single = recurrent.predict(obs[0])
    assert action.shape == ()
    np.testing.assert_allclose(single[0], state[0], atol=1e-6)


def test_a_state_of_another_batch_is_refused(recurrent):
    _, state = recurrent.predict(np.zeros((3, 4)))
    with pytest.raises(UsageError, match=r"state has the shapes .*accepted for 2 observations"):
        recurrent.predict(np.zeros((2, 4)), state)


def test_a_memory_is_saved_with_the_agent(recurrent, tmp_path):
    recurrent.save(tmp_path / "agent")
    again = sf.load(tmp_path / "agent")
    obs = np.random.default_rng(1).normal(size=(3, 4))
    ours, theirs = recurrent.predict(obs), again.predict(obs)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("source", ["auto", "info"])
def test_a_mask_may_be_handed_in_beside_the_observation(source):
    agent = agent_of(with_mask_space(BOX, 2), "mlp", action_masks=source)
    obs = np.random.default_rng(2).normal(size=(20, 4))
    free = agent.predict(obs)[0]
    assert set(free.tolist()) == {0, 1}
    for only in (0, 1):
        mask = np.eye(2, dtype=bool)[only]
        assert (agent.predict(obs, action_masks=np.tile(mask, (20, 1)))[0] == only).all()
        assert agent.predict(obs[0], action_masks=mask)[0] == only
        inside = {"observation": obs, "action_mask": np.tile(mask, (20, 1)).astype(np.int8)}
        assert (agent.predict(inside)[0] == only).all()
        assert (
            agent.predict(obs, deterministic=False, action_masks=np.tile(mask, (20, 1)))[0] == only
        ).all()
    with pytest.raises(UsageError, match=r"action_masks has the shape .*accepted is"):
        agent.predict(obs, action_masks=np.ones((20, 3)))


def test_masks_for_an_agent_without_are_refused(recurrent):
    with pytest.raises(UsageError, match="action_masks was given; accepted by this agent is None"):
        recurrent.predict(np.zeros(4), action_masks=np.ones(2))
