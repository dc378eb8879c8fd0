"""Limits on costs: what an update is told, in which unit, and what it makes of it."""

import collections

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from support.learning import flags, make_critic, make_trajectory
from support.oracles import dense_fisher, gae_by_hand
from support.problems import KEY, OBS, forward, make_batch, make_policy, vector
from surefoot.common.errors import UsageError
from surefoot.core.data.normalization import observation_normalizer
from surefoot.core.data.reward_scaling import NoScaler
from surefoot.core.data.types import Batch, CostRows
from surefoot.core.distributions import Categorical
from surefoot.core.geometry import Cholesky, Fisher
from surefoot.core.local_model import LocalModel
from surefoot.core.networks import Critics
from surefoot.core.objectives import CostSurrogate, Likelihood, Surrogate
from surefoot.core.updates import Constrained, Lagrangian, MoveInfo, Update, measure
from surefoot.core.updates.lqclp import ABOVE, BINDING, FREE, RECOVERY
from surefoot.envs.host.safe_velocity import SafeVelocity
from surefoot.methods.learners.algorithm import Algorithm
from surefoot.methods.learners.cost_limits import CostLimited
from surefoot.methods.learners.ended_episodes import EndedEpisodes


class Keep(Update):
    """Leaves the parameters as they are and keeps what it was given."""

    def init(self, params):
        return None

    def __call__(self, key, params, state, batch):
        return params, batch, measure(Likelihood(), params, params, batch, MoveInfo((), ()))


@eqx.filter_jit
def improve(learner, state, trajectory):
    return learner.improve(state, trajectory)


def two_costs(obs, action, next_obs):
    """One of where it is, one of where it comes to and of what it does."""
    return jnp.stack([obs[..., 0] ** 2, next_obs[..., 1] + action.astype(obs.dtype)], axis=-1)


def with_lengths(trajectory):
    """The random rows, with the lengths of their episodes."""
    terminated, truncated, valid = flags(trajectory)
    length, running = np.zeros(valid.shape, np.int32), np.zeros(valid.shape[1], int)
    for t in range(len(valid)):
        running = np.where(valid[t], running + 1, 0)
        length[t] = running
        running = np.where(terminated[t] | truncated[t], 0, running)
    return trajectory._replace(episode_length=jnp.asarray(length))


def test_costs_are_centered_in_their_own_unit_and_limits_are_on_the_last_whole_episodes(x64):
    policy = make_policy("categorical")
    critics = Critics(tuple(make_critic(seed) for seed in range(3)))
    learner = CostLimited(
        Algorithm(Keep(), Keep()), (1.5, 4.0), two_costs, discount=0.9, gae_lambda=0.7, window=6
    )
    data = [with_lengths(make_trajectory(policy, seed)) for seed in (1, 2)]
    state = learner.init(
        KEY,
        policy,
        critics,
        normalizer=observation_normalizer(OBS).update(data[0].obs, data[0].valid),
        scaler=NoScaler(),
        total_steps=1000,
        num_envs=data[0].reward.shape[1],
    )
    ended = collections.deque(maxlen=6)
    spent = np.zeros((data[0].reward.shape[1], 2))
    for rows in data:
        before = state
        state, batches, metrics = improve(learner, state, rows)
        terminated, truncated, valid = flags(rows)
        cost = np.where(valid[..., None], two_costs(rows.obs, rows.action, rows.next_obs), 0.0)
        for t in range(len(valid)):
            spent = np.where(valid[t][:, None], spent + cost[t], 0.0)
            for n in np.flatnonzero(valid[t] & (terminated[t] | truncated[t])):
                ended.append((*spent[n], rows.episode_length[t, n]))
                spent[n] = 0.0
        *means, length = np.mean(ended, axis=0)
        batch = state.policy_state.inner
        np.testing.assert_allclose(batch.costs.length, length, rtol=1e-9)
        gaps = np.asarray(means) - (1.5, 4.0)
        np.testing.assert_allclose(np.asarray(batch.costs.gap), gaps, rtol=1e-9)
        np.testing.assert_allclose(metrics.episode_costs, means, rtol=1e-9)
        worst = int(np.argmax(gaps))
        np.testing.assert_allclose(metrics.episode_cost, means[worst], rtol=1e-9)
        assert float(metrics.cost_limit) == (1.5, 4.0)[worst]

        obs, after = (before.normalizer(x) for x in (rows.obs, rows.next_obs))
        counts = valid.reshape(-1)
        for k in range(2):
            critic = before.critic.members[1 + k]
            value, later = (np.asarray(critic.value(x)) for x in (obs, after))
            advantage = gae_by_hand(cost[..., k], value, later, *flags(rows), 0.9, 0.7)
            flat = np.where(counts, advantage.reshape(-1) - advantage[valid].mean(), 0.0)
            np.testing.assert_allclose(batch.costs.advantage[:, k], flat, rtol=1e-9, atol=1e-12)
            target = np.asarray(batches[1 + k].action)[counts, 0]
            np.testing.assert_allclose(target, (value + advantage)[valid], rtol=1e-9)
    fitted, _ = eqx.filter_jit(learner.fit_critic)(state, batches)
    assert len(fitted.critic_state) == 3


@pytest.mark.parametrize("seed", range(3))
def test_the_window_holds_the_last_episodes_in_time_order(seed):
    rng = np.random.default_rng(seed)
    kept, expected = EndedEpisodes.none(5, 1), collections.deque(maxlen=5)
    step = jax.jit(EndedEpisodes.with_those)
    for _ in range(12):
        cost = rng.normal(size=(4, 3, 1)).astype(np.float32)
        length = rng.integers(1, 99, size=(4, 3)).astype(np.int32)
        ended = rng.random((4, 3)) < rng.choice([0.0, 0.1, 0.9])
        kept = step(kept, jnp.asarray(cost), jnp.asarray(length), jnp.asarray(ended))
        expected.extend(zip(cost[ended][:, 0], length[ended], strict=True))
        mean, steps, some = kept.means()
        assert bool(some) == bool(expected)
        if expected:
            np.testing.assert_allclose(mean[0], np.mean([c for c, _ in expected]), rtol=1e-5)
            np.testing.assert_allclose(steps, np.mean([n for _, n in expected]), rtol=1e-6)


class Table(eqx.Module):
    """Logits of a table, of observations that are one-hot states."""

    logits: jax.Array

    def __call__(self, obs):
        return Categorical(obs @ self.logits)


def test_a_gradient_over_rows_times_an_episode_s_length_is_the_change_of_its_cost(x64):
    """A constrained MDP of three steps, exactly: J_C(θ + Δ) − J_C(θ) = H·bᵀΔ to first order."""
    rng = np.random.default_rng(0)
    states, actions, steps = 4, 3, 3
    P = rng.dirichlet(np.ones(states), size=(states, actions))
    C, start = rng.random((states, actions)), rng.dirichlet(np.ones(states))
    theta = rng.normal(size=(states, actions))

    def policy_of(theta):
        p = np.exp(theta)
        return p / p.sum(axis=1, keepdims=True)

    def cost_of(theta):
        d, total = start, 0.0
        for _ in range(steps):
            mass = d[:, None] * policy_of(theta)
            total += np.sum(mass * C)
            d = np.einsum("sa,sax->x", mass, P)
        return total

    # Rows: every (t, s, a) by its probability; advantages of the cost to go.
    d, value, rows = [start], np.zeros(states), []
    for _ in range(steps - 1):
        d.append(np.einsum("s,sa,sax->x", d[-1], policy_of(theta), P))
    for t in reversed(range(steps)):
        q = C + P @ value
        value = np.sum(policy_of(theta) * q, axis=1)
        rows.append((d[t][:, None] * policy_of(theta), q - value[:, None]))
    weight = np.stack([w for w, _ in rows]).reshape(-1)
    advantage = np.stack([a for _, a in rows]).reshape(-1)
    s, a = np.divmod(np.tile(np.arange(states * actions), steps), actions)
    policy = Table(jnp.asarray(theta))
    obs = jnp.asarray(np.eye(states)[s])
    batch = Batch(
        obs=obs,
        action=jnp.asarray(a),
        old=policy(obs),
        advantage=jnp.zeros(len(s)),
        weight=jnp.asarray(weight),
        progress=jnp.zeros(()),
        costs=CostRows(jnp.asarray(advantage)[:, None], (jnp.zeros(()),), jnp.asarray(3.0)),
    )
    gradient = jax.jit(lambda p, b: LocalModel(CostSurrogate(), p, b).grad)(policy, batch).logits
    step = rng.normal(size=theta.shape)
    change = (cost_of(theta + 1e-5 * step) - cost_of(theta - 1e-5 * step)) / 2e-5
    np.testing.assert_allclose(steps * np.sum(np.asarray(gradient) * step), change, rtol=1e-6)


def limited(batch, gap, seed=0, costs=1):
    """A batch with costs of mean zero, so far above their limit."""
    rng = np.random.default_rng(seed)
    weight = np.asarray(batch.weight)
    raw = rng.normal(size=(len(weight), costs))
    raw -= np.average(raw, axis=0, weights=weight)
    raw = np.where(weight[:, None] > 0, raw, 0.0)
    gaps = tuple(jnp.asarray(float(g)) for g in np.broadcast_to(gap, costs))
    rows = CostRows(jnp.asarray(raw), gaps, jnp.asarray(100.0))
    return batch._replace(costs=rows)


def on_policy(policy):
    """A batch that this very policy drew."""
    batch = make_batch(policy)
    return batch._replace(old=forward(policy, batch.obs))


#: Enough that no direction leads where the model ends.
DAMPING = 0.01


def constrained(batch, policy, max_kl=1e-6):
    update = Constrained(Surrogate(), Fisher(Cholesky(), DAMPING), max_kl=max_kl)
    new, _, info = eqx.filter_jit(update)(KEY, policy, update.init(policy), batch)
    return vector(new) - vector(policy), info


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_a_small_step_is_the_one_of_dense_matrices(kind, x64):
    """Within the ball and below the limit exactly, or as far below as the ball allows."""
    policy = make_policy(kind)
    plain = on_policy(policy)
    fisher = dense_fisher(policy, plain)
    damped = fisher + DAMPING * np.eye(len(fisher))
    b = limited(plain, 0.0)

    def gradient(objective):
        return vector(jax.jit(lambda p, x: LocalModel(objective, p, x).grad)(policy, b))

    slope, rise = gradient(CostSurrogate()), gradient(Surrogate())
    max_kl = 1e-6
    plane = np.stack([np.linalg.solve(damped, rise), np.linalg.solve(damped, slope)])
    gram = np.linalg.inv(plane @ fisher @ plane.T)
    reach = np.sqrt(2 * max_kl * (plane @ slope) @ gram @ (plane @ slope))
    # What the best step without a limit makes of the cost, as a part of that.
    best = gram @ (plane @ rise)
    free = (plane @ slope) @ best * np.sqrt(2 * max_kl / ((plane @ rise) @ best)) / reach
    # Of the cost that this step raises: where it lowers one, of its negative.
    sign, seen = np.sign(free), set()
    slope = sign * slope
    for part in (-2.0, -0.5 * abs(free), 0.0, 0.6, 1.5):
        batch = limited(plain, 100 * part * reach)
        costs = batch.costs._replace(advantage=sign * batch.costs.advantage)
        step, info = constrained(batch._replace(costs=costs), policy, max_kl)
        case = int(info.move.length.constraint_case)
        seen.add(case)
        assert bool(info.move.length.accepted)
        shrink = float(info.move.length.shrink)
        if shrink == 1:
            np.testing.assert_allclose(step @ fisher @ step / 2, max_kl, rtol=1e-3)
        rises = slope @ step / shrink
        expected = {BINDING: -part * reach, ABOVE: -part * reach, RECOVERY: -reach}
        if case in expected:
            np.testing.assert_allclose(rises, expected[case], rtol=1e-3, atol=1e-3 * reach)
        told = float(info.move.length.cost_predicted)
        np.testing.assert_allclose(told, 100 * rises, rtol=1e-3, atol=0.1 * reach)
    assert seen == {FREE, BINDING, ABOVE, RECOVERY}


def test_a_cost_has_no_more_than_its_room(x64):
    """Also where the model is wrong: of a step as large as a nat, the search minds the costs."""
    policy = make_policy("categorical")
    for seed in range(10):
        batch = limited(on_policy(policy), (-3.0, 2.0), seed, costs=2)
        step, info = constrained(batch, policy, max_kl=0.3)
        length = info.move.length
        assert float(info.kl_mean) <= 0.3 * (1 + 1e-9)
        theta, static = eqx.partition(policy, eqx.is_inexact_array)
        flat, unravel = jax.flatten_util.ravel_pytree(theta)
        moved = eqx.combine(unravel(flat + step), static)
        dist = moved(batch.obs)
        for k, room in ((0, 0.03), (1, 0.0)):
            rows = CostSurrogate(k)(dist, batch)
            change = np.average(rows, weights=np.asarray(batch.weight))
            assert change <= room + 1e-9
        if not bool(length.accepted):
            np.testing.assert_array_equal(step, 0.0)


def test_without_a_cost_that_moves_it_is_trpo(x64):
    """Where no limit binds and the costs' gradients vanish: the same step."""
    policy = make_policy("gaussian")
    batch = limited(on_policy(policy), -50.0)
    batch = batch._replace(costs=batch.costs._replace(advantage=0 * batch.costs.advantage))
    step, info = constrained(batch, policy, max_kl=1e-6)
    assert int(info.move.length.constraint_case) == FREE
    geometry = Fisher(Cholesky(), DAMPING)
    plain = sf.Step(Surrogate(), geometry, sf.KLBall(1e-6))
    new, _, _ = eqx.filter_jit(plain)(KEY, policy, plain.init(policy), batch)
    np.testing.assert_allclose(step, vector(new) - vector(policy), rtol=1e-6, atol=1e-12)


def test_a_multiplier_climbs_by_adam_and_trades_costs_for_advantages(x64):
    policy = make_policy("categorical")
    update = Lagrangian(Keep(), 2, rate=0.1, initial=0.5)
    state = update.init(policy)
    run = eqx.filter_jit(update)
    rising, squares, multiplier = np.zeros(2), np.zeros(2), np.full(2, 0.5)
    for call in range(1, 8):
        gap = np.array([3.0 * call, -40.0])
        batch = limited(make_batch(policy), gap, call, costs=2)
        _, state, info = run(KEY, policy, state, batch)
        rising, squares = 0.9 * rising + 0.1 * gap, 0.999 * squares + 0.001 * gap**2
        mean, square = rising / (1 - 0.9**call), squares / (1 - 0.999**call)
        multiplier = np.maximum(0, multiplier + 0.1 * mean / (np.sqrt(square) + 1e-8))
        np.testing.assert_allclose(state.multiplier, multiplier, rtol=1e-9, atol=1e-12)
        traded = np.asarray(batch.advantage) - np.asarray(batch.costs.advantage) @ multiplier
        expected = traded / (1 + multiplier.sum())
        np.testing.assert_allclose(state.inner.advantage, expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(info.diagnostics["cost_multiplier"], multiplier[0], rtol=1e-9)
    assert multiplier[0] > 1
    assert multiplier[1] < 1e-12


def far(obs, action, next_obs):
    return (jnp.abs(next_obs[..., 0]) > 0.2).astype(jnp.float32)


def test_a_function_limits_four_seeds_at_once_on_the_device():
    options = {"num_envs": 8, "horizon": 250, "steps": 2000 * 20, "hidden": (16,)}
    options |= {"backend": "device", "cost": far, "cost_limit": 5, "progress": False}
    for agent in sf.train_seeds("cpo", "CartPole-v1", range(4), **options):
        costs = np.asarray(agent.history["episode_cost"])
        # Without a limit it is above 200 on the way to as good a policy.
        assert costs.max() < 25
        assert costs[10:].mean() < 10
        assert agent.evaluate(5).mean > 200
        np.testing.assert_array_equal(agent.history["cost_limit"], 5.0)


class Telling(gymnasium.Env):
    """Costs a tenth of the observation, which is large."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)
    wrong = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age = 0
        return np.array([1e6]), {}

    def step(self, action):
        self._age += 1
        at = 1e6 + self._age
        info = {} if self.wrong == "missing" else {"cost": self.wrong or at / 10}
        return np.array([at]), 1.0, False, self._age == 4, info


class Silent(Telling):
    wrong = "missing"


class Infinite(Telling):
    wrong = float("inf")


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_costs_of_infos_and_of_a_function_are_the_same(vectorization):
    """A function sees whole observations, also where networks see them less an offset."""
    options = {"num_envs": 2, "horizon": 8, "steps": 48, "hidden": (4,), "progress": False}
    options |= {"critic_epochs": 1, "cost_limit": 1e5, "vectorization": vectorization}
    told = sf.train("cpo", Telling, **options)
    computed = sf.train(
        "cpo", Telling, cost=lambda obs, action, after: after[..., 0] / 10, **options
    )
    np.testing.assert_allclose(told.history["episode_cost"][-1], 4e5 + 1, rtol=1e-6)
    np.testing.assert_array_equal(told.history["episode_cost"], computed.history["episode_cost"])


@pytest.mark.parametrize("env", [Silent, Infinite])
def test_an_environment_without_a_cost_is_one_line(env):
    with pytest.raises(UsageError, match=r'info\["cost"\] of environment 0 is (None|inf); accept'):
        sf.train("cpo", env, num_envs=2, horizon=8, steps=16, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cost_limit": -1}, "cost_limit is -1; accepted is a finite number >= 0"),
        ({"cost_limit": ()}, r"cost_limit is \(\); accepted"),
        ({"cost": 3}, "cost is 3; accepted is a function"),
        ({"cost": lambda o, a, n: jnp.zeros(3)}, r"the costs have the shape \(3,\); accepted"),
        ({"backend": "device"}, "an environment on the device says no cost; accepted is in Python"),
    ],
)
def test_what_is_no_limit_or_no_cost_is_one_line(options, message):
    given = {"num_envs": 2, "horizon": 8, "steps": 16, "progress": False, **options}
    with pytest.raises(UsageError, match=message):
        sf.train("cpo", "CartPole-v1", **given)


def test_safe_velocity_costs_one_where_it_is_faster_than_its_threshold():
    made = gymnasium.make("surefoot/SafeHopperVelocity-v0")
    assert made.spec.max_episode_steps == 1000
    assert made.get_wrapper_attr("threshold") == 0.7402
    plain = gymnasium.make("Hopper-v5")
    env = SafeVelocity(gymnasium.make("Hopper-v5"), 0.1, planar=False)
    env.reset(seed=1), plain.reset(seed=1)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(300):
        action = rng.uniform(-1, 1, 3).astype(np.float32)
        obs, reward, terminated, truncated, info = env.step(action)
        theirs = plain.step(action)
        np.testing.assert_array_equal(obs, theirs[0])
        assert (reward, terminated, truncated) == theirs[1:4]
        assert info["cost"] == float(theirs[4]["x_velocity"] > 0.1)
        seen.add(info["cost"])
        if terminated:
            env.reset(seed=2), plain.reset(seed=2)
    assert seen == {0.0, 1.0}
