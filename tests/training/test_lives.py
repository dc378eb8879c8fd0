"""A lost life ends an episode for learning, and for nothing else: games as they are collected and
learned from against loops over the same games."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from support.oracles import gae_by_hand
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.core.data.following import cut_off, next_rows
from surefoot.core.data.normalization import NoNormalizer
from surefoot.core.data.reward_scaling import scaler_of
from surefoot.core.networks.architecture import Architecture
from surefoot.core.updates import KeepLastBatch, blank_batch
from surefoot.envs.host.atari import MakeAtari, Preprocessing
from surefoot.envs.make import make_groups
from surefoot.training.rollout import HostRollout, with_old

pytest.importorskip("ale_py")
pytest.importorskip("cv2")

ENVS, HORIZON, SEED, ROLLOUTS = 2, 120, 3, 2
GAMES = {"sync": "ALE/Breakout-v5", "async": "ALE/Seaquest-v5", "envpool": "ALE/Seaquest-v5"}
#: Frames enough in a step for several games.
TOLD = Preprocessing(screen_size=16, frame_stack=2, frame_skip=12, terminal_on_life_loss=True)


def spec_of(env, network):
    return PolicySpec(
        observation_space=env.observation_space,
        action_space=env.action_space,
        network=Architecture(network, (4,)),
        log_std=0.0,
        state_dependent_std=False,
        action_map="affine",
        normalize_observations=True,
        preprocessing=TOLD,
    )


@functools.cache
def collected(kind, network="auto"):
    """(spec, policy, each rollout's trajectory, the episodes that each told)."""
    if kind == "envpool":
        pytest.importorskip("envpool")
    backend, vectorization = ("envpool", "sync") if kind == "envpool" else ("host", kind)
    groups = make_groups(
        MakeAtari(GAMES[kind], TOLD),
        ENVS,
        backend=backend,
        vectorization=vectorization,
        env_threads=1,
    )
    spec = spec_of(groups[0], network)
    policy = eqx.filter_jit(spec.policy)(jax.random.key(0))
    rollout = HostRollout(groups, HORIZON, spec.to_environment(), segment_length=HORIZON // 4)
    states, parts = rollout.init(SEED, policy.initial), (policy, NoNormalizer())
    rollout.compile(states, *parts, jax.random.key(0))
    trajectories, episodes = [], []
    for number in range(ROLLOUTS):
        states, rows, told = rollout(states, *parts, jax.random.key(number))
        trajectories.append(eqx.filter_jit(with_old)(rows, *parts))
        episodes.append(told.episodes.ended())
    for group in groups:
        group.close()
    return spec, policy, trajectories, episodes


def joined(trajectories, name):
    return np.concatenate([np.asarray(getattr(t, name)) for t in trajectories])


def played(kind, actions):
    """The same games with these actions [T, N], a row and an environment at a time: arrays [T, N]
    of reward, terminated, truncated, valid, and lives before and after each row."""
    rows = []
    if kind == "envpool":
        import envpool

        seeds = [SEED + i for i in range(ENVS)]
        name = GAMES[kind].removeprefix("ALE/")
        pool = envpool.make_gymnasium(name, num_envs=ENVS, seed=seeds, **TOLD.of_pool())
        _, info = pool.reset()
        before, ended = info["lives"].copy(), np.zeros(ENVS, bool)
        for action in actions:
            _, reward, terminated, truncated, info = pool.step(action)
            rows.append((reward, terminated, truncated, ~ended, before, info["lives"].copy()))
            before, ended = info["lives"].copy(), terminated | truncated
        return tuple(np.array(x) for x in zip(*rows, strict=True))
    for i in range(ENVS):
        env = MakeAtari(GAMES[kind], TOLD)()
        _, info = env.reset(seed=SEED + i)
        before = info["lives"]
        for action in actions[:, i]:
            _, reward, terminated, truncated, info = env.step(action)
            rows.append((reward, terminated, truncated, True, before, info["lives"]))
            if terminated or truncated:
                _, info = env.reset()
            before = info["lives"]
    return tuple(np.array(x).reshape(ENVS, -1).swapaxes(0, 1) for x in zip(*rows, strict=True))


def lengths_since(ends, valid):
    """Rows since an end, up to and with each, of every environment."""
    result = np.zeros(ends.shape, int)
    for i in range(ends.shape[1]):
        count = 0
        for t in range(len(ends)):
            count = count + 1 if valid[t, i] else 0
            result[t, i] = count
            if ends[t, i]:
                count = 0
    return result


@pytest.mark.parametrize("kind", GAMES)
def test_lives_stand_beside_whole_games(kind):
    _, _, trajectories, episodes = collected(kind)
    reward, terminated, truncated, valid, before, after = played(
        kind, joined(trajectories, "action")
    )
    for name, expected in (
        ("reward", reward),
        ("terminated", terminated & valid),
        ("truncated", truncated & valid),
        ("valid", valid),
    ):
        np.testing.assert_array_equal(joined(trajectories, name), expected, err_msg=name)
    over = (terminated | truncated) & valid
    lost = valid & ~over & (after < before) & (after > 0)
    assert lost.sum() > over.sum() > 0
    told = [t.lives for t in trajectories]
    np.testing.assert_array_equal(joined(told, "lost"), lost)
    lived, length = lengths_since(over | lost, valid), lengths_since(over, valid)
    np.testing.assert_array_equal(joined(told, "length"), lived)
    np.testing.assert_array_equal(joined(trajectories, "episode_length"), length)
    # What is told of episodes is of whole games and of the rewards as they are.
    returns, lengths = [], []
    total = np.zeros(ENVS)
    for t in range(len(reward)):
        total += np.where(valid[t], reward[t], 0.0)
        for i in np.flatnonzero(over[t]):
            returns.append(total[i])
            lengths.append(length[t, i])
            total[i] = 0.0
    np.testing.assert_array_equal(np.concatenate([e[0] for e in episodes]), returns)
    np.testing.assert_array_equal(np.concatenate([e[1] for e in episodes]), lengths)
    if GAMES[kind] == "ALE/Seaquest-v5":
        # Seaquest scores by 20: clipped rewards would be seen.
        assert max(returns) >= 20


value_of = eqx.filter_jit(lambda critic, obs: critic.value(obs))


@pytest.mark.parametrize("kind", GAMES)
def test_a_lost_life_cuts_advantages_of_clipped_rewards(kind):
    spec, policy, trajectories, _ = collected(kind)
    trajectory = trajectories[0]
    obs = trajectory.obs.reshape(-1, *trajectory.obs.shape[2:])
    blank = blank_batch(policy, obs)
    step = sf.Step(sf.Surrogate(), sf.Euclidean(), sf.Fixed(0.1))
    fit = sf.Step(sf.Surrogate(), sf.Euclidean(), sf.Fixed(0.1))
    learner = sf.Algorithm(
        KeepLastBatch(step, blank), fit, discount=0.9, gae_lambda=0.8, normalize_advantages=False
    )
    critic = eqx.filter_jit(spec.critic)(jax.random.key(1), spec.network, ())
    state = learner.init(
        jax.random.key(0),
        policy,
        critic,
        normalizer=NoNormalizer(),
        scaler=scaler_of(ENVS, scale=False, clip=True),
        total_steps=1000,
        num_envs=ENVS,
    )
    state, _, _ = eqx.filter_jit(learner.improve)(state, trajectory)
    reward, terminated, truncated, valid, before, after = (
        x[:HORIZON] for x in played(kind, joined(trajectories, "action"))
    )
    over = terminated | truncated
    ends = terminated | (~over & (after < before) & (after > 0))
    value, last, final = (value_of(critic, x) for x in (trajectory.obs, *trajectory.next_obs))
    cut = cut_off(trajectory.terminated, trajectory.truncated, trajectory.valid)
    following = np.asarray(next_rows(value, last, final, cut), float)
    value = np.asarray(value, float)
    flags = ends & valid, truncated & valid, valid
    sign = (reward > 0).astype(float) - (reward < 0)
    expected = gae_by_hand(sign, value, following, *flags, 0.9, 0.8)
    found = np.asarray(state.policy_state.batch.advantage).reshape(HORIZON, ENVS)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # It would prove nothing where lives, or signs, make no difference.
    whole = gae_by_hand(sign, value, following, terminated & valid, *flags[1:], 0.9, 0.8)
    assert np.abs(whole - expected).max() > 1e-3


def test_a_memory_begins_afresh_with_a_life():
    """Also where the life was lost in the last row of a trajectory before."""
    _, policy, trajectories, _ = collected("sync", "cnn+gru")
    lost = np.concatenate([np.asarray(t.lives.lost) for t in trajectories])
    over = joined(trajectories, "terminated") | joined(trajectories, "truncated")
    assert lost.any()
    step = eqx.filter_jit(lambda policy, *args: policy.step(*args))
    memory, starts = policy.initial(ENVS), np.ones(ENVS, bool)
    obs, logits = joined(trajectories, "obs"), []
    for t in range(len(obs)):
        if t % (HORIZON // 4) == 0:
            number, segment = divmod(t // (HORIZON // 4), 4)
            begun = trajectories[number].memory
            for ours, theirs in zip(jax.tree.leaves(begun), jax.tree.leaves(memory), strict=True):
                # Where an episode or a life begins a memory is not looked at.
                np.testing.assert_allclose(
                    ours[segment][~starts], theirs[~starts], rtol=1e-4, atol=1e-5
                )
        dist, memory = step(policy, jnp.asarray(obs[t]), starts, memory)
        logits.append(np.asarray(dist.logits))
        starts = lost[t] | over[t]
    recomputed = np.concatenate([np.asarray(t.old.logits) for t in trajectories])
    np.testing.assert_allclose(recomputed, logits, rtol=1e-4, atol=1e-5)
