"""Is what learning recomputes what was acted by?

    python -m benchmarks.policies.exactness [--only NETWORK …] [--precision float32 float64]

For every network × distribution × way of resetting, on the host and on the device, 24 rows of three
environments are collected, in episodes that end inside of segments, twice in a row. Then every
environment is played again row by row, with a memory that is begun anew where an episode begins:
each action must be the one that this policy draws, and its log-probability that of the recomputed
batch, in the trajectory and in segments. Prints the largest difference of each; the exit code is 1
where one is above 1e-4 in float32, or 1e-6 in float64.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import Any, NamedTuple

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import surefoot as sf
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.core.data.segments import first_rows, in_batch
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.make import make_host
from surefoot.training.rollout import DeviceStanding, HostRollout, device_rollout, with_old

ENVS, HORIZON, SEGMENT = 3, 24, 8
TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
NETWORKS = ("mlp", "cnn", "gru", "lstm", "cnn+gru", "cnn+lstm")
BOX = spaces.Box(-2.0, 2.0, (2,))


class Actions(NamedTuple):
    """What a policy does."""

    space: spaces.Space
    distribution: Any = "gaussian"
    masked: bool = False


DISTRIBUTIONS = {
    "gaussian": Actions(BOX),
    "beta": Actions(BOX, "beta"),
    "tanh_gaussian": Actions(BOX, "tanh_gaussian"),
    "categorical": Actions(spaces.Discrete(5)),
    "masked": Actions(spaces.Discrete(5), masked=True),
    "several masked": Actions(spaces.MultiDiscrete([2, 3]), masked=True),
    "product": Actions(spaces.Dict({"amount": BOX, "kind": spaces.Discrete(3)})),
}
MODES = ("same step", "next step", "device")


def observation_space(network: str, actions: Actions) -> spaces.Space:
    """Pictures for networks that see them, vectors for others."""
    image = spaces.Box(0, 255, (8, 8), np.uint8)
    seen = image if "cnn" in network else spaces.Box(-np.inf, np.inf, (2,))
    if not actions.masked:
        return seen
    return spaces.Dict({"action_mask": spaces.MultiBinary(5), "seen": seen})


class Anything(gymnasium.Env):
    """Observations and masks without a pattern, in episodes that end and are cut at random."""

    def __init__(self, network: str, actions: Actions) -> None:
        self.observation_space = observation_space(network, actions)
        self.action_space = actions.space

    def _seen(self) -> Any:
        # Gymnasium's samples are those of `np_random` once it is seeded.
        seen = self.observation_space.sample()
        if isinstance(self.observation_space, spaces.Dict):
            # A choice's first value is always valid.
            seen["action_mask"][[0, 2] if self.action_space.shape else [0]] = 1
        return seen

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        ends, cut = self.np_random.random(2) < 0.15
        return self._seen(), 0.0, bool(ends), bool(cut), {}


class AnythingInJAX:
    """The same as a functional environment."""

    def __init__(self, network: str, actions: Actions) -> None:
        self.observation_space = observation_space(network, actions)
        self.action_space = actions.space

    def initial(self, rng: Any) -> Any:
        return jnp.zeros(())

    def transition(self, state: Any, action: Any, rng: Any) -> Any:
        return state + 1

    def observation(self, state: Any, rng: Any) -> Any:
        def drawn(space: Any) -> Any:
            if space.dtype == np.uint8:
                return jax.random.bits(rng, space.shape, jnp.uint8)
            return jax.random.normal(rng, space.shape, jnp.float32)

        if not isinstance(self.observation_space, spaces.Dict):
            return drawn(self.observation_space)
        mask = jax.random.bernoulli(rng, 0.5, (5,)).astype(jnp.int8)
        first = jnp.array([0, 2] if self.action_space.shape else [0])
        return {"action_mask": mask.at[first].set(1), "seen": drawn(self.observation_space["seen"])}

    def reward(self, *_: Any) -> Any:
        return jnp.zeros((), jnp.float32)

    def terminal(self, state: Any, rng: Any) -> Any:
        return jax.random.bernoulli(rng, 0.15)


def policy_of(network: str, actions: Actions) -> tuple[Any, Any, Any]:
    """(policy, normalizer, action map), of weights large enough to remember."""
    spec = PolicySpec(
        observation_space=observation_space(network, actions),
        action_space=actions.space,
        network=Architecture(network, (3, 4)),
        log_std=-0.5,
        state_dependent_std=False,
        action_map="affine",
        normalize_observations=False,
        action_distribution=actions.distribution,
    )
    policy = eqx.filter_jit(spec.policy)(jax.random.key(7))
    return policy, spec.normalizer(), spec.to_environment()


def on_host(network: str, actions: Actions, mode: str) -> Any:
    """(policy, trajectories, the noise that actions were drawn with)."""
    parts = policy_of(network, actions)
    policy, normalizer, to_env = parts
    makes = [lambda: Anything(network, actions)] * ENVS
    if mode == "same step":
        groups = [make_host(makes[0], 2), make_host(makes[0], 1)]
    else:
        groups = [make_host(SyncVectorEnv(makes, autoreset_mode=AutoresetMode.NEXT_STEP), ENVS)]
    rollout = HostRollout(groups, HORIZON, to_env, segment_length=SEGMENT)
    states = rollout.init(5, policy.initial)
    rollout.compile(states, policy, normalizer, jax.random.key(0))
    trajectories, noise = [], []
    for number in range(2):
        key = jax.random.key(number)
        drawn = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *rollout._draw(key))
        states, rows, _ = rollout(states, policy, normalizer, key)
        trajectories.append(eqx.filter_jit(with_old)(rows, policy, normalizer))
        noise.append(drawn)
    return policy, normalizer, trajectories, noise


def on_device(network: str, actions: Actions) -> Any:
    """The same in JAX."""
    policy, normalizer, to_env = policy_of(network, actions)
    env = sf.DeviceEnv(AnythingInJAX(network, actions), time_limit=9)

    @jax.jit
    def collect(standing: Any, key: Any) -> Any:
        standing, rows, _ = device_rollout(
            env, HORIZON, to_env, standing, policy, normalizer, key, segment_length=SEGMENT
        )
        act_keys, _ = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key, HORIZON))
        dist = jax.tree.map(lambda x: x[0], rows.old)
        return standing, rows, jax.vmap(dist.noise)(act_keys)

    standing = DeviceStanding(env.init(jax.random.key(3), ENVS), policy.initial(ENVS))
    trajectories, noise = [], []
    for number in range(2):
        standing, rows, drawn = collect(standing, jax.random.key(number))
        trajectories.append(rows)
        noise.append(drawn)
    return policy, normalizer, trajectories, noise


def replayed(policy: Any, normalizer: Any, trajectory: Any, starts: Any, memory: Any) -> Any:
    """Distributions of all rows, one row after the other: leaves [T, N, …]; the memory after."""
    step = eqx.filter_jit(lambda obs, starts, memory: policy.step(normalizer(obs), starts, memory))
    dists = []
    for t in range(HORIZON):
        dist, memory = step(jax.tree.map(lambda x, t=t: x[t], trajectory.obs), starts[t], memory)
        dists.append(dist)
    return jax.tree.map(lambda *x: jnp.stack(x), *dists), memory


def differences(network: str, name: str, mode: str) -> dict[str, float]:
    """The largest ones."""
    actions = DISTRIBUTIONS[name]
    if mode == "device":
        policy, normalizer, trajectories, noise = on_device(network, actions)
    else:
        policy, normalizer, trajectories, noise = on_host(network, actions, mode)
    memory, largest = policy.initial(ENVS), {"drawn": 0.0, "trajectory": 0.0, "segments": 0.0}
    before = np.ones(ENVS, bool)
    for trajectory, drawn in zip(trajectories, noise, strict=True):
        valid = np.asarray(trajectory.valid)
        ended = np.asarray(trajectory.terminated | trajectory.truncated)
        # What follows an end is a start; with NEXT_STEP, what follows the row after it.
        over = ~valid if mode == "next step" else ended
        starts = np.concatenate([before[None], over[:-1]])
        before = over[-1]
        assert ended[:-1].any(), "no episode ends inside of a segment"
        dist, memory = replayed(policy, normalizer, trajectory, jnp.asarray(starts), memory)
        action = jax.vmap(lambda d, z: d.draw(z))(dist, drawn)
        for ours, theirs in zip(
            jax.tree.leaves(action), jax.tree.leaves(trajectory.action), strict=True
        ):
            gap = np.abs(np.asarray(ours, float) - np.asarray(theirs, float))
            _more(largest, "drawn", gap[valid])
        acted_by = dist.log_prob(trajectory.action)
        _more(largest, "trajectory", (acted_by - trajectory.old.log_prob(trajectory.action))[valid])
        if trajectory.memory is not None:
            segmented = jax.tree.map(lambda x: in_batch(x, SEGMENT), normalizer(trajectory.obs))
            begun = jax.tree.map(in_batch, trajectory.memory)
            first = in_batch(first_rows(trajectory), SEGMENT)
            again, _ = eqx.filter_jit(policy.unroll)(segmented, first, begun)
            taken = jax.tree.map(lambda x: in_batch(x, SEGMENT), trajectory.action)
            gap = again.log_prob(taken) - in_batch(acted_by, SEGMENT)
            _more(largest, "segments", gap[in_batch(jnp.asarray(valid), SEGMENT)])
    return largest


def _more(largest: dict[str, float], name: str, gap: Any) -> None:
    largest[name] = max(largest[name], float(np.abs(gap).max()))


def main() -> int:
    """Run the command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--distributions", nargs="+", default=[*DISTRIBUTIONS])
    parser.add_argument("--precision", nargs="+", choices=[*TOLERANCE], default=[*TOLERANCE])
    args = parser.parse_args()
    failed = 0
    print("| network | distribution | resets | precision | drawn | trajectory | segments |")
    print("|---|---|---|---|---|---|---|")
    for precision in args.precision:
        jax.config.update("jax_enable_x64", precision == "float64")
        for network, name, mode in itertools.product(args.only, args.distributions, MODES):
            gaps = differences(network, name, mode)
            failed += not all(gap <= TOLERANCE[precision] for gap in gaps.values())
            numbers = " | ".join(f"{gap:.0e}" for gap in gaps.values())
            print(f"| {network} | {name} | {mode} | {precision} | {numbers} |", flush=True)
    print(f"\n{failed} above the tolerance")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
