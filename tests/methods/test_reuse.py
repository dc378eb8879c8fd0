"""Learning from several batches: what each update sees, and that of one it is what it was."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import surefoot as sf
from support.learning import flags, make_critic, make_trajectory
from support.oracles import gae_by_hand
from support.problems import KEY, OBS, make_batch, make_policy, vector
from surefoot.core.data.normalization import observation_normalizer
from surefoot.core.data.reward_scaling import NoScaler
from surefoot.core.geometry import Optax
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Clipped, Likelihood, RatioPenalized, Surrogate
from surefoot.core.step_size import Fixed
from surefoot.core.updates import LimitTV, MoveInfo, Step, Update, measure
from surefoot.methods.learners.algorithm import Algorithm

BATCHES = 3


class Keep(Update):
    """Moves the parameters a little and keeps what it was given."""

    def init(self, params):
        return None

    def __call__(self, key, params, state, batch):
        theta, static = eqx.partition(params, eqx.is_inexact_array)
        moved = eqx.combine(jax.tree.map(lambda x: 1.1 * x + 0.05, theta), static)
        return moved, batch, measure(Likelihood(), params, moved, batch, MoveInfo((), ()))


@eqx.filter_jit
def improve(algorithm, state, trajectory):
    return algorithm.improve(state, trajectory)


def improved(algorithm, number):
    """What a learner is given in the last of so many iterations, and what it made of it: (states
    before and after, trajectories)."""
    policy, critic = make_policy("categorical"), make_critic()
    first = make_trajectory(policy, 0)
    state = algorithm.init(
        KEY,
        policy,
        critic,
        normalizer=observation_normalizer(OBS).update(first.obs, first.valid),
        scaler=NoScaler(),
        total_steps=1000,
        blank=first,
    )
    seen = []
    for i in range(1, number + 1):
        seen.append(make_trajectory(state.policy, i))
        before = state
        state, critic_batch, metrics = improve(algorithm, state, seen[-1])
    return before, state, critic_batch, metrics, seen


def log_prob(dist, action):
    rows = np.log(np.asarray(jax.nn.softmax(dist.logits)))
    return np.take_along_axis(rows, np.asarray(action)[..., None], -1)[..., 0]


def by_hand(before, trajectories, corrected):
    """(advantages, targets, ratios), [T, N] of each trajectory."""
    found = []
    for data in trajectories:
        obs, after = (np.asarray(before.normalizer(x)) for x in (data.obs, data.next_obs))
        value, next_value = (np.asarray(before.critic.value(jnp.asarray(x))) for x in (obs, after))
        now = before.policy(jnp.asarray(obs))
        ratio = np.ones(value.shape)
        if data is not trajectories[-1]:
            log_ratio = log_prob(now, data.action) - log_prob(data.old, data.action)
            ratio = np.exp(log_ratio)
        trace = np.minimum(ratio, 1) if corrected else np.ones(value.shape)
        rows = np.asarray(data.reward), value, next_value, *flags(data)
        advantage = gae_by_hand(*rows, 0.9, 0.7, trace)
        found.append((advantage, value + trace * advantage, ratio))
    return tuple(np.concatenate(x, axis=1) for x in zip(*found, strict=True))


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_an_update_sees_the_last_batches_by_their_ratio_to_who_acted(number, corrected, x64):
    algorithm = Algorithm(
        Keep(), Keep(), discount=0.9, gae_lambda=0.7, batches=BATCHES, corrected=corrected
    )
    before, after, critic_batch, metrics, seen = improved(algorithm, number)
    batch = after.policy_state
    held = seen[-BATCHES:]
    advantage, target, ratio = by_hand(before, held, corrected)
    valid = np.concatenate([data.valid for data in held], axis=1)

    # In any order of columns: those of the batch are found by what was observed.
    obs = np.concatenate([before.normalizer(data.obs) for data in held], axis=1)
    place = {tuple(x): i for i, x in enumerate(obs.reshape(-1, OBS)) if valid.reshape(-1)[i]}
    counts = np.asarray(batch.weight) > 0
    found = [place[tuple(x)] for x in np.asarray(batch.obs)[counts]]
    assert sorted(found) == sorted(place.values())
    assert int(metrics.learned_rows) == valid.sum()
    assert int(metrics.valid_rows) == seen[-1].valid.sum()

    flat = advantage.reshape(-1)[found]
    share = ratio.reshape(-1)[found] if corrected else np.ones(len(found))
    mean = np.average(flat, weights=share)
    deviation = np.sqrt(np.average((flat - mean) ** 2, weights=share))
    np.testing.assert_allclose(batch.advantage[counts], (flat - mean) / deviation, rtol=1e-9)
    fitted = np.asarray(critic_batch.action)[counts, 0]
    np.testing.assert_allclose(fitted, target.reshape(-1)[found], rtol=1e-9)
    log_ratio = batch.old.log_prob(batch.action) - batch.behavior.log_prob(batch.action)
    np.testing.assert_allclose(
        np.exp(log_ratio)[counts], ratio.reshape(-1)[found], rtol=1e-9, atol=1e-12
    )


def test_statistics_see_new_rows_once(x64):
    algorithm = Algorithm(Keep(), Keep(), batches=BATCHES)
    before, after, *_, seen = improved(algorithm, 4)
    expected = before.normalizer.update(seen[-1].obs, seen[-1].valid)
    np.testing.assert_allclose(after.normalizer.moments.mean, expected.moments.mean, rtol=1e-12)
    np.testing.assert_allclose(after.normalizer.moments.var, expected.moments.var, rtol=1e-12)


def reused(x64_batch, shift=0.5):
    """A batch that another policy drew."""
    other = jax.tree.map(lambda x: x + shift * jnp.sin(7 * x), x64_batch.old)
    return x64_batch._replace(behavior=other)


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_at_the_old_policy_every_objective_has_the_gradient_of_the_surrogate(kind, x64):
    """Whoever acted: clipping and penalty begin at the ratio before the update, not at 1."""
    policy = make_policy(kind)
    batch = reused(make_batch(policy))
    ratios = np.exp(batch.old.log_prob(batch.action) - batch.behavior.log_prob(batch.action))
    assert (np.abs(ratios - 1) > 0.1).sum() > 3

    def gradient(objective):
        return vector(eqx.filter_jit(lambda p, b: LocalModel(objective, p, b).grad)(policy, batch))

    expected = gradient(Surrogate())
    for objective in (Clipped(0.1), RatioPenalized(0.1)):
        np.testing.assert_allclose(gradient(objective), expected, rtol=1e-9, atol=1e-12)
        inside = objective.diagnostics(batch.old, batch)["clip_fraction"]
        np.testing.assert_array_equal(inside, 0.0)


def test_beyond_the_interval_a_clipped_row_has_no_gradient(x64):
    policy = make_policy("categorical")
    batch = reused(make_batch(policy))
    dist = jax.tree.map(lambda x: x + 0.8 * jnp.cos(5 * x), batch.old)
    r, before = (
        np.exp(d.log_prob(batch.action) - batch.behavior.log_prob(batch.action))
        for d in (dist, batch.old)
    )
    advantage = np.asarray(batch.advantage)
    expected = np.minimum(r * advantage, np.clip(r, before - 0.1, before + 0.1) * advantage)
    np.testing.assert_allclose(Clipped(0.1)(dist, batch), expected, rtol=1e-12)
    penalty = np.abs(advantage) / 0.2 * (r - before) ** 2
    np.testing.assert_allclose(RatioPenalized(0.1)(dist, batch), r * advantage - penalty)


def test_a_rate_falls_where_the_total_variation_is_above_its_limit(x64):
    policy = make_policy("categorical")
    batch = reused(make_batch(policy))
    step = Step(Surrogate(), Optax(optax.sgd(1.0)), Fixed(0.3))
    new, _, _ = eqx.filter_jit(step)(KEY, policy, step.init(policy), batch)
    r, before = (
        np.exp(d.log_prob(batch.action) - batch.behavior.log_prob(batch.action))
        for d in (new(batch.obs), policy(batch.obs))
    )
    moved = 0.5 * np.average(np.abs(r - before), weights=np.asarray(batch.weight))
    for limit, rate in ((1.01 * moved, 0.3), (0.99 * moved, 0.3 * 0.8)):
        update = LimitTV(step, "rate", limit=limit, factor=0.8)
        params, state, _ = eqx.filter_jit(update)(KEY, policy, update.init(policy), batch)
        np.testing.assert_allclose(state.value, rate, rtol=1e-12)
        np.testing.assert_allclose(vector(params), vector(new), rtol=1e-12)
    nothing = batch._replace(weight=0 * batch.weight)
    _, state, _ = eqx.filter_jit(update)(KEY, policy, update.init(policy), nothing)
    np.testing.assert_array_equal(state.value, 0.3)


SAME = {"num_envs": 4, "horizon": 16, "minibatch_size": 32, "critic_minibatch_size": 32}
SAME |= {"hidden": (8,), "steps": 4 * 16 * 4, "progress": False}


@pytest.mark.parametrize("backend", ["host", "device"])
def test_geppo_of_one_batch_is_ppo_clip_bit_for_bit(backend):
    one = sf.train("geppo", "CartPole-v1", reuse=1, rate_factor=1, backend=backend, **SAME)
    other = sf.train("ppo_clip", "CartPole-v1", backend=backend, **SAME)
    np.testing.assert_array_equal(vector(one.policy), vector(other.policy))


def test_trpo_bounds_the_kl_by_the_number_of_batches():
    options = {"num_envs": 4, "horizon": 32, "hidden": (8,), "steps": 4 * 32 * 6}
    for reuse, most in ((1, 0.01), (2, 0.01 * 4 / 9)):
        agent = sf.train("trpo", "CartPole-v1", reuse=reuse, progress=False, **options)
        kl = np.asarray(agent.history["kl_mean"])
        assert (kl <= most * 1.001).all()
        assert kl.max() > 0.9 * most
        assert agent.history["learned_rows"][-1] == reuse * 128
