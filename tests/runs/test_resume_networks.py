"""Runs of policies with a memory, a mask or a network of one's own are gone on with bit for bit."""

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.common.errors import UsageError
from surefoot.runs.folder import compare_rows

SMALL = {
    "num_envs": 2,
    "horizon": 16,
    "steps": 16 * 2 * 5,
    "seed": 4,
    "hidden": (4,),
    "critic_epochs": 1,
    "checkpoint_every": 0.0,
    "progress": False,
}


class Choices(gymnasium.Env):
    """Three of five actions are valid, others at each step; episodes of nine steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Discrete(5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action):
        assert self.valid[action], "a masked action was taken"
        self.time += 1
        return self._seen(), float(action == self.np_random.integers(5)), self.time == 9, False, {}

    def action_masks(self):
        return self.valid

    def _seen(self):
        self.valid = self.np_random.permutation(5) < 3
        return self.np_random.normal(size=2).astype(np.float32)


class Pictures(gymnasium.Env):
    """Noise of 8 × 8; episodes are cut after five steps."""

    observation_space = spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action):
        self.time += 1
        return self._seen(), float(action), False, self.time == 5, {}

    def _seen(self):
        return self.np_random.integers(0, 256, (8, 8, 1)).astype(np.uint8)


class Amounts(gymnasium.Env):
    """An action of two kinds."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Dict(
        {"amount": spaces.Box(-2.0, 2.0, (1,)), "kind": spaces.MultiDiscrete([2, 3])}
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size=2).astype(np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        obs = self.np_random.normal(size=2).astype(np.float32)
        reward = float(action["amount"][0]) + action["kind"][1]
        return obs, reward, bool(self.np_random.random() < 0.1), False, {}


def own(key, spec):
    weight = jax.random.normal(key, (spec.shape[0], 3))
    return lambda x: jax.numpy.tanh(x @ weight)


CASES = {
    "gru": ("a2c", "CartPole-v1", {"network": "gru", "segment_length": 8}),
    "lstm in JAX": ("ppo_clip", "CartPole-v1", {"network": "lstm", "backend": "device"}),
    "a critic with a memory": ("a2c", "CartPole-v1", {"critic_network": "gru"}),
    "a memory of each member": (
        "cem",
        "CartPole-v1",
        {"network": "gru", "num_envs": 4, "horizon": 8, "critic_epochs": None},
    ),
    "masks": ("npg", Choices, {}),
    "earlier batches, two memories": (
        "geppo",
        "CartPole-v1",
        {"network": "gru", "critic_network": "gru", "segment_length": 8, "epochs": 1},
    ),
    "earlier batches of masks": ("trpo", Choices, {"reuse": 2}),
    "earlier batches of images": ("geppo", Pictures, {"epochs": 1}),
    "masks and a memory in worker processes": (
        "a2c",
        Choices,
        {"network": "gru", "vectorization": "async"},
    ),
    "actions of two kinds": ("trpo", Amounts, {}),
    "actions within bounds": ("a2c", "Pendulum-v1", {"action_distribution": "beta"}),
    "trpo with a memory": ("trpo", "CartPole-v1", {"network": "gru", "segment_length": 8}),
}
SLOW = {"trpo with a memory"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES]
)
def test_a_resumed_run_is_the_run_that_was_not_stopped(name, tmp_path):
    method, env, options = CASES[name]
    options = {k: v for k, v in (SMALL | options).items() if v is not None}
    whole = sf.train(method, env, out=tmp_path / "whole", **options)

    def stop(row, agent):
        return row["iteration"] < 1

    sf.train(method, env, out=tmp_path / "parts", on_iteration=stop, **options)
    given = {} if isinstance(env, str) else {"env": env}
    resumed = sf.resume(tmp_path / "parts", progress=False, **given)
    for ours, theirs in zip(
        jax.tree.leaves(whole.policy), jax.tree.leaves(resumed.policy), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    rows = [
        compare_rows.read(tmp_path / folder / "metrics.jsonl", None)
        for folder in ("whole", "parts")
    ]
    assert [len(r) for r in rows] == [5, 5]
    for one, other in zip(*rows, strict=True):
        assert {k: v for k, v in one.items() if k != "timing"} == {
            k: v for k, v in other.items() if k != "timing"
        }
    assert any(row["kl_mean"] > 0 for row in rows[0])
    loaded = sf.load(tmp_path / "whole")
    assert len(loaded.evaluate(2, env=env).returns) == 2


def test_a_network_of_ones_own_is_handed_in_again(tmp_path):
    options = SMALL | {"network": own, "critic_network": own}

    def stop(row, agent):
        return row["iteration"] < 1

    whole = sf.train("a2c", "CartPole-v1", out=tmp_path / "whole", **options)
    sf.train("a2c", "CartPole-v1", out=tmp_path / "parts", on_iteration=stop, **options)
    with pytest.raises(UsageError, match="the network is 'own own'; accepted with it is network="):
        sf.resume(tmp_path / "parts", progress=False)
    with pytest.raises(UsageError, match="the network is 'own own'; accepted with it is network="):
        sf.load(tmp_path / "whole")
    resumed = sf.resume(tmp_path / "parts", progress=False, network=own, critic_network=own)
    loaded = sf.load(tmp_path / "whole", network=own)
    for agent in (resumed, loaded):
        for ours, theirs in zip(
            jax.tree.leaves(whole.policy.network.output),
            jax.tree.leaves(agent.policy.network.output),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("acktr", {"network": "gru"}, "K-FAC was asked for Recurrent"),
        ("trpo", {"network": "gru", "segment_length": 7}, "segment_length is 7; accepted with"),
        ("trpo", {"network": "cnn"}, "which sees images, and the observation is a vector of 4"),
        ("trpo", {"policy_keys": ("position",)}, "the observation has no part 'position'"),
        ("trpo", {"action_distribution": "beta", "action_map": "clip"}, "accepted is 'affine'"),
    ],
)
def test_what_fits_nothing_is_told_before_anything_is_written(method, options, words, tmp_path):
    given = SMALL | options
    if method == "acktr":
        given = {k: v for k, v in given.items() if k != "critic_epochs"}
    with pytest.raises(UsageError, match=words):
        sf.train(method, "CartPole-v1", out=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()
