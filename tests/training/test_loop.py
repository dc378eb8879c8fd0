"""The loop on the host: fitting the critic beside the next collection changes no number; and the
keys of the loop on the device."""

import threading
import time
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from support.compiled import forget_programs
from support.runs import BATCH, TINY
from surefoot.core.distributions import DiagGaussian
from surefoot.core.networks import Memoryless
from surefoot.envs.device.classic import CartPole
from surefoot.envs.device.device_env import DeviceState, DeviceTransition
from surefoot.envs.make import make_host
from surefoot.envs.spaces.actions import action_map
from surefoot.methods.learners.learner import Learner
from surefoot.runs.options import prepare
from surefoot.training.host_loop import HostLoop, Programs
from surefoot.training.iteration import FRESH, Seeds
from surefoot.training.rollout import HostRollout, with_old

SEEDS = Seeds.of(3)
HORIZON = TINY["horizon"]


class Walk(gymnasium.Env):
    """A random walk whose reward is the action's distance from it; may fail after some steps. Its
    spaces are CartPole's, whose programs it shares."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,))
    action_space = spaces.Discrete(2)

    def __init__(self, lasts=10**9):
        self._lasts, self._taken = lasts, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._at, self._age = self.np_random.normal(size=4).astype(np.float32), 0
        return self._at, {}

    def step(self, action):
        self._taken, self._age = self._taken + 1, self._age + 1
        if self._taken > self._lasts:
            raise OSError("the environment is gone")
        self._at = (0.9 * self._at + self.np_random.normal(size=4)).astype(np.float32)
        return self._at, -abs(float(action - self._at[0])), False, self._age == 5, {}


def start(env="Walk", *, algorithm="trpo", **options):
    # Several minibatches of the critic: with one, its order and its key decide nothing.
    small = {**TINY, "steps": BATCH * 4, "critic_minibatch_size": 32}
    return prepare(algorithm, Walk if env == "Walk" else env, {**small, **options})


def numbers(tree):
    return [
        np.asarray(
            jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        )
        for x in jax.tree.leaves(tree)
    ]


def test_overlapped_iterations_are_those_of_one_after_the_other():
    run = start()
    learner, state = run.recipe.build(), run.state
    env = make_host(Walk, 4)
    to_env = action_map(Walk.action_space)
    rollout = HostRollout([env], HORIZON, to_env, cache_program=True)
    groups = rollout.init(SEEDS.environment)
    loop = HostLoop([make_host(Walk, 4)], HORIZON, owned=True)
    loop.cache_program = True
    overlapped = loop.iterations(
        learner,
        to_env,
        state,
        steps=run.steps,
        seeds=SEEDS,
        start=FRESH,
    )

    @jax.jit
    def update(state, rows):
        trajectory = with_old(rows, state.policy, state.normalizer)
        return learner.update(state, trajectory)[0]

    for number, told in enumerate(overlapped):
        key = jax.random.split(jax.random.fold_in(SEEDS.collecting, number))[1]
        if number == 0:
            rollout.compile(groups, state.policy, state.normalizer, key)
        groups, rows, _ = rollout(groups, state.policy, state.normalizer, key)
        state = update(state, rows)
        for ours, theirs in zip(numbers(told.state), numbers(state), strict=True):
            if np.issubdtype(ours.dtype, np.floating):
                np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)
            else:
                np.testing.assert_array_equal(ours, theirs)
        # On from the same numbers: what rounding grows to is not under test.
        state = told.state
    assert number == 3


def test_what_was_learned_before_an_environment_failed_is_told():
    env = lambda: Walk(lasts=2 * HORIZON + 3)  # noqa: E731
    run = prepare("trpo", env, {**TINY, "steps": BATCH * 10})
    told = []
    with pytest.raises(OSError, match="is gone"):
        told.extend(run.iterations())  # extend keeps what came before the error
    assert [iteration.number for iteration in told] == [0, 1]
    assert "critic_objective_after" in told[1].metrics


def test_no_step_is_taken_beyond_the_budget_by_collecting_ahead():
    taken = []

    class Counted(Walk):
        def step(self, action):
            taken.append(1)
            return super().step(action)

    run = prepare("trpo", Counted, {**TINY, "steps": BATCH * 3 + 100})
    ahead = [(iteration.steps, len(taken)) for iteration in run.iterations()]
    assert ahead == [(128, 256), (256, 384), (384, 384)]


@pytest.mark.parametrize(
    ("algorithm", "backend"),
    [
        ("trpo", "host"),
        ("reinforce", "device"),
        pytest.param("trpo", "device", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_compiled_after_the_first_iterations(algorithm, backend):
    # What other tests have compiled is of no account.
    forget_programs()
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    # More iterations than the device runs in one call.
    run = start("CartPole-v1", algorithm=algorithm, backend=backend, steps=BATCH * 34)
    iterations = run.iterations()
    for _ in range(2 if backend == "host" else 17):
        next(iterations)
    assert compiled
    compiled.clear()
    assert len(list(iterations)) == (32 if backend == "host" else 17)
    assert not compiled


def test_the_last_iteration_waits_for_its_critic_too():
    told = list(start().iterations())
    assert [iteration.timing.critic > 0 for iteration in told] == [True] * 4
    assert all("critic_objective_after" in iteration.metrics for iteration in told)
    options = {**TINY, "steps": BATCH, "baseline": False}
    (without,) = prepare("reinforce", Walk, options).iterations()
    assert without.timing.critic is None


def test_the_critic_is_fitted_while_the_environments_step(monkeypatch):
    stepped = threading.Event()
    learn = Programs.learn

    def waits(self, state, key, transitions):
        # In the thread of the critic, before its fit: a step of the next collection must come.
        if self.number == 1:
            stepped.clear()
            self._thread.submit(lambda: seen.append(stepped.wait(60)))
        self.number += 1
        return learn(self, state, key, transitions)

    class Signals(Walk):
        def step(self, action):
            stepped.set()
            return super().step(action)

    seen = []
    monkeypatch.setattr(Programs, "number", 0, raising=False)
    monkeypatch.setattr(Programs, "learn", waits)
    run = prepare("trpo", Signals, {**TINY, "steps": BATCH * 3})
    iterations = run.iterations()
    next(iterations)
    next(iterations)
    assert seen == [True]
    assert len(list(iterations)) == 1


def test_what_the_consumer_does_between_iterations_is_not_counted(monkeypatch):
    clock, away = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + away[0])
    told = []
    for iteration in start().iterations():
        told.append(iteration.timing)
        away[0] += 10_000.0
    assert all(timing.total < 5_000.0 for timing in told)


@pytest.mark.parametrize("vectorization", ["sync", "thread", "async"])
def test_a_population_acts_in_all_its_environments_at_once(vectorization):
    options = {**TINY, "elite_fraction": 0.5, "steps": BATCH * 2, "vectorization": vectorization}
    run = prepare("cem", "CartPole-v1", options)
    assert len(list(run.iterations())) == 2


def test_two_groups_that_step_in_threads_learn_the_same_every_time():
    first, second = (list(start(vectorization="thread").iterations())[-1] for _ in "ab")
    for a, b in zip(numbers(first.state), numbers(second.state), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.metrics == second.metrics


def word(key):
    """The first of a key's numbers."""
    return jax.random.key_data(key)[0].astype(jnp.float32)


class KeyAsNoise(DiagGaussian):
    def noise(self, key):
        return jnp.full(self.mean.shape, word(key))

    def draw(self, noise):
        return noise


class KeyAsReward(sf.DeviceEnv):
    """Stays where it is."""

    def init(self, key, num_envs, *, stagger=False):
        zero = jnp.zeros(num_envs)
        return DeviceState(zero, jnp.zeros((num_envs, 4)), zero.astype(int), None, zero, zero)

    def step(self, state, action, key):
        reward, no = jnp.full(state.age.shape, word(key)), jnp.zeros(state.age.shape, bool)
        return state, DeviceTransition(state.obs, reward, no, no, no, reward, state.age)


class Drawn(NamedTuple):
    action: Any
    reward: Any


class Keys(Memoryless):
    """Noise that tells its key."""

    def __call__(self, obs):
        return KeyAsNoise(obs[..., 0], obs[..., 0])


class Watching(Learner):
    """Learns nothing, and reports what was done and earned."""

    @property
    def critic_update(self):
        return None

    def init_update_states(self, key, policy, critic):
        return None, None

    def behavior(self, state, key):
        return Keys()

    def improve(self, state, data):
        return state, None, Drawn(data.action, data.reward)


def test_on_the_device_no_key_is_used_twice():
    """Neither in two iterations, nor for an action and for the step that it leads to."""
    options = {"num_envs": 1, "horizon": HORIZON, "hidden": (8,), "steps": 2 * HORIZON}
    run = prepare(Watching(), KeyAsReward(CartPole()), options)
    words = [told.metrics[name] for told in run.iterations() for name in Drawn._fields]
    assert len(np.unique(np.float32(words))) == 4 * HORIZON
