"""Recorded episodes in lanes, and what a policy with a memory learns from there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from support.problems import KEY
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.core.data.normalization import NoNormalizer
from surefoot.core.data.reward_scaling import NoScaler
from surefoot.core.data.types import OfflineData
from surefoot.core.networks.architecture import Architecture
from surefoot.core.updates import Update
from surefoot.methods.learners.behavior_cloning import Cloning
from surefoot.training.lanes import Lanes


def ends_of(sizes):
    ends = np.zeros(sum(sizes), bool)
    ends[np.cumsum(sizes) - 1] = True
    return ends


@pytest.mark.parametrize("length", [None, 1, 3, 4, 100])
@pytest.mark.parametrize("sizes", [[5], [1, 1, 1], [2, 7, 3, 1, 4], [6, 1, 1, 1, 1, 1]])
def test_every_transition_lies_in_one_place_and_episodes_lie_whole(sizes, length):
    ends = ends_of(sizes)
    row, starts = Lanes.of(ends, length)
    assert row.shape == starts.shape
    assert row.shape[2] == min(length or max(sizes), max(sizes))
    lanes = row.reshape(len(row), -1)
    assert sorted(lanes[lanes >= 0]) == list(range(len(ends)))
    begins = np.append(True, ends[:-1])
    for lane, start in zip(lanes, starts.reshape(lanes.shape), strict=True):
        used = int((lane >= 0).sum())
        assert (lane[used:] == -1).all()
        assert not start[used:].any()
        np.testing.assert_array_equal(start[:used], begins[lane[:used]])
        # What follows a row is the next one, but where an episode begins.
        follows = ~start[1:used]
        np.testing.assert_array_equal(lane[1:used][follows], lane[: used - 1][follows] + 1)


def test_an_episode_that_the_recording_cuts_off_counts_too():
    row, starts = Lanes.of(np.array([False, True, False, False]), None)
    np.testing.assert_array_equal(row[:, 0], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(starts[:, 0], [[True, False], [True, False]])


def test_lanes_are_more_than_half_full():
    sizes = np.random.default_rng(0).integers(1, 40, 200).tolist()
    row, _ = Lanes.of(ends_of(sizes), None)
    assert (row >= 0).mean() > 0.9
    row, _ = Lanes.of(ends_of([1_000, *[10] * 100]), None)
    assert row.shape == (2, 1, 1_000)


class Keep(Update):
    """Learns nothing and keeps what it was to learn from."""

    def init(self, params):
        return None

    def __call__(self, key, params, state, batch):
        return params, batch, ()


@pytest.mark.parametrize("length", [None, 2, 3])
def test_a_segment_starts_with_the_memory_that_the_policy_has_there(length, x64):
    rng = np.random.default_rng(1)
    sizes = [4, 7, 2, 5]
    ends = ends_of(sizes)
    seen, action = rng.normal(size=(len(ends), 3)), rng.integers(0, 2, len(ends))
    policy = PolicySpec(
        spaces.Box(-np.inf, np.inf, (3,)),
        spaces.Discrete(2),
        Architecture("gru", (6,)),
        -0.5,
        False,
        "affine",
        normalize_observations=False,
    ).policy(KEY)
    lanes = Lanes.of(ends, length)
    counts = lanes.row >= 0
    data = OfflineData(
        jnp.where(counts[..., None], seen[lanes.row], 0.0),
        jnp.where(counts, action[lanes.row], 0),
        jnp.asarray(lanes.starts),
        jnp.asarray(counts),
    )
    learner = Cloning(Keep())
    state = learner.init(
        KEY, policy, None, normalizer=NoNormalizer(), scaler=NoScaler(), total_steps=99, num_envs=1
    )
    after, _, metrics = jax.jit(learner.improve)(state, data)
    batch = after.policy_state
    assert int(metrics.valid_rows) == int(after.steps) == len(ends)

    # Episode by episode, step by step.
    memories, logits = [], []
    for t in range(len(ends)):
        if t == 0 or ends[t - 1]:
            memory = policy.initial(1)
        memories.append(memory)
        dist, memory = policy.step(jnp.asarray(seen[None, t]), jnp.zeros(1, bool), memory)
        logits.append(dist.logits[0])
    memories = jax.tree.map(lambda *x: np.concatenate(x), *memories)

    row = lanes.row.reshape(-1, lanes.row.shape[2])
    assert batch.weight.shape == row.shape
    np.testing.assert_array_equal(batch.weight, row >= 0)
    np.testing.assert_array_equal(batch.advantage, batch.weight)
    np.testing.assert_array_equal(batch.starts, lanes.starts.reshape(row.shape))
    np.testing.assert_allclose(
        np.asarray(batch.old.logits)[row >= 0], np.stack(logits)[row[row >= 0]], rtol=1e-12
    )
    np.testing.assert_array_equal(np.asarray(batch.action)[row >= 0], action[row[row >= 0]])
    inside = (row[:, 0] >= 0) & ~np.asarray(batch.starts)[:, 0]
    assert inside.any() == (length is not None)
    jax.tree.map(
        lambda got, at: np.testing.assert_allclose(got[inside], at[row[inside, 0]], rtol=1e-12),
        batch.memory,
        memories,
    )
