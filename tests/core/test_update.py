"""Updates and the algorithm around them: what they report, which rows they see, which they skip."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from support.learning import flags, make_critic, make_trajectory
from support.oracles import finished_by_hand, gae_by_hand, kl_by_hand, log_prob_by_hand, support
from support.problems import KEY, OBS, forward, make_batch, make_policy, vector
from surefoot.core.data.count import Count
from surefoot.core.data.normalization import NoNormalizer, observation_normalizer
from surefoot.core.data.reward_scaling import NoScaler, reward_scaler
from surefoot.core.data.types import take
from surefoot.core.distributions import Categorical
from surefoot.core.geometry import CG, KFAC, Euclidean, FirstOrderInfo, Fisher, Geometry, Optax
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Clipped, Likelihood, Surrogate
from surefoot.core.step_size import Backtrack, Fixed, KLBall
from surefoot.core.step_size.schedules import linear
from surefoot.core.updates import (
    AdaptKL,
    AveragePolicy,
    Epochs,
    MoveInfo,
    Step,
    Update,
    measure,
)
from surefoot.core.updates.shuffle import shuffled
from surefoot.methods.learners.algorithm import Algorithm

ADAM = Step(Clipped(0.05), Optax(optax.adam(1.0)), Fixed(0.02, linear))


@eqx.filter_jit
def apply(update, key, policy, batch):
    return update(key, policy, update.init(policy), batch)


@eqx.filter_jit
def noted(update, key, policy, batch):
    """The state after an update; what it reports is not even computed."""
    return update(key, policy, update.init(policy), batch)[1]


@eqx.filter_jit
def move(step, keys, number, policy, state, batch):
    return step.move(keys[number], policy, state, batch)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def plan(key, epochs, rows, minibatches):
    """The order of rows of each epoch, and the keys of all steps."""

    def of_epoch(key):
        shuffle_key, step_key = jax.random.split(key)
        return shuffled(shuffle_key, rows), jax.random.split(step_key, minibatches)

    orders, keys = jax.vmap(of_epoch)(jax.random.split(key, epochs))
    return orders, keys.reshape(-1)


@eqx.filter_jit
def gradient(objective, policy, batch):
    return LocalModel(objective, policy, batch).grad


@eqx.filter_jit
def observe(normalizer, obs, valid):
    return normalizer.update(obs, valid)


@eqx.filter_jit
def earn(scaler, reward, done, valid):
    return scaler.update(reward, done, valid, 0.9)


@eqx.filter_jit
def seen_by(critic, normalizer, obs):
    """(normalized observations, values)."""
    obs = normalizer(obs)
    return obs, critic.value(obs)


@eqx.filter_jit
def improve(algorithm, state, trajectory):
    """What `Algorithm.improve` returns, without the update's own report."""
    state, critic_batch, metrics = algorithm.improve(state, trajectory)
    return state, critic_batch, metrics._replace(policy=None)


def changed(x, index, value):
    """The array with other entries at an index."""
    x = np.array(x)
    x[index] = value
    return jnp.asarray(x)


def close(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def check_report(info, clip, old, new, batch):
    """Every number of an `UpdateInfo` for the clipped objective, by loops over weighted rows."""
    advantage = np.asarray(batch.advantage)
    kept = np.flatnonzero(batch.weight)
    log_old = log_prob_by_hand(batch.old, batch.action)

    def ratios(policy):
        return np.exp(log_prob_by_hand(forward(policy, batch.obs), batch.action) - log_old)

    def objective(policy):
        r = ratios(policy)
        bounded = np.clip(r, 1 - clip, 1 + clip)
        return np.mean([min(r[i] * advantage[i], bounded[i] * advantage[i]) for i in kept])

    np.testing.assert_allclose(info.objective_before, objective(old), rtol=1e-9)
    np.testing.assert_allclose(info.objective_after, objective(new), rtol=1e-9)
    predicted = vector(gradient(Clipped(clip), old, batch)) @ (vector(new) - vector(old))
    np.testing.assert_allclose(info.predicted_improvement, predicted, rtol=1e-9)
    dist = forward(new, batch.obs)
    kl = kl_by_hand(batch.old, dist)
    np.testing.assert_allclose(info.kl_mean, np.mean([kl[i] for i in kept]), rtol=1e-9)
    np.testing.assert_allclose(info.kl_max, max(kl[i] for i in kept), rtol=1e-9)
    entropy = stats.entropy(support(dist)[1], axis=0)
    np.testing.assert_allclose(info.entropy, np.mean([entropy[i] for i in kept]), rtol=1e-9)
    outside = [float(abs(ratios(new)[i] - 1) > clip) for i in kept]
    np.testing.assert_allclose(info.diagnostics["clip_fraction"], np.mean(outside))
    assert 0 < np.mean(outside) < 1


def test_step_reports_what_it_did_over_the_weighted_rows(x64):
    policy = make_policy("categorical")
    old = make_policy("categorical", 1, near=policy, distance=0.1)
    batch = make_batch(old, rows=12)
    # The row that moved furthest carries no weight.
    logits = np.asarray(batch.old.logits)
    far = changed(logits, (0, 0), logits[0, 0] + 5.0)
    batch = batch._replace(old=Categorical(far), weight=changed(batch.weight, 0, 0.0))
    new, _, info = apply(Step(Clipped(0.1), Fisher(CG(10)), KLBall(0.01)), KEY, policy, batch)
    check_report(info, 0.1, policy, new, batch)
    assert info.predicted_improvement > 0
    assert np.argmax(kl_by_hand(batch.old, forward(new, batch.obs))) == 0


def test_the_predicted_improvement_is_the_improvement_of_a_small_step(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    step = Step(Surrogate(), Optax(optax.sgd(1.0)), Fixed(1e-5))
    _, _, info = apply(step, KEY, policy, batch)
    gained = float(info.objective_after) - float(info.objective_before)
    np.testing.assert_allclose(gained, info.predicted_improvement, rtol=1e-3)
    norm = float(info.move.direction.grad_norm)
    np.testing.assert_allclose(info.predicted_improvement, 1e-5 * norm**2, rtol=1e-9)


class Notes(NamedTuple):
    count: jax.Array
    rows: jax.Array
    weights: jax.Array
    keys: jax.Array


class Recorder(Geometry):
    """Goes nowhere and notes the rows, by their first observation, their weights, and the key of
    every call."""

    calls: int = eqx.field(static=True)
    rows: int = eqx.field(static=True)

    def init(self, params):
        weights = jnp.zeros((self.calls, self.rows))
        keys = jnp.zeros((self.calls, 2), jnp.uint32)
        return Notes(jnp.zeros((), int), weights.astype(int), weights, keys)

    def direction(self, key, local, state):
        count, rows, weights, keys = state
        notes = Notes(
            count + 1,
            rows.at[count].set(local.batch.obs[:, 0].astype(int)),
            weights.at[count].set(local.batch.weight),
            keys.at[count].set(jax.random.key_data(key)),
        )
        return jax.tree.map(jnp.zeros_like, local.grad), notes, FirstOrderInfo(jnp.zeros(()))


def test_epochs_visits_every_row_once_an_epoch_in_a_new_order_each_time():
    policy = make_policy("categorical")
    batch = make_batch(policy, rows=12)
    batch = batch._replace(obs=changed(batch.obs, (slice(None), 0), np.arange(12)))
    update = Epochs(Step(Surrogate(), Recorder(9, 4), Fixed(1.0)), epochs=3, minibatch_size=4)
    orders = []
    for seed in range(2):
        notes = noted(update, jax.random.key(seed), policy, batch)
        assert int(notes.count) == 9
        keys = {tuple(key) for key in np.asarray(notes.keys)}
        assert len(keys) == 9, "every step has its own key"
        for epoch in np.asarray(notes.rows).reshape(3, 12):
            np.testing.assert_array_equal(np.sort(epoch), np.arange(12))
            orders.append(tuple(epoch))
    assert len(set(orders)) == 6, "no order twice, in no epoch and for no key"
    assert tuple(range(12)) not in orders


def test_epochs_is_a_loop_of_steps_and_reports_on_the_whole_batch(x64):
    policy = make_policy("categorical")
    batch = make_batch(policy, rows=12)
    new, state, info = apply(Epochs(ADAM, epochs=3, minibatch_size=4), KEY, policy, batch)

    looped, looped_state, norms = policy, eqx.filter_jit(ADAM.init)(policy), []
    arrays = jax.tree.map(np.asarray, batch)
    orders, keys = plan(KEY, 3, 12, 3)
    chosen = [order[i::3] for order in np.asarray(orders) for i in range(3)]
    for number, rows in enumerate(chosen):
        minibatch = take(arrays, rows)
        looped, looped_state, moved = move(
            ADAM, keys, np.int32(number), looped, looped_state, minibatch
        )
        norms.append(float(moved.direction.grad_norm))
    close(new, looped, rtol=1e-9, atol=1e-12)
    close(state, looped_state, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(info.move.direction.grad_norm, np.mean(norms), rtol=1e-9)
    check_report(info, 0.05, policy, new, batch)


@pytest.mark.parametrize(("minibatch_size", "sizes"), [(5, [4, 4, 4]), (7, [6, 6]), (99, [12])])
def test_minibatches_that_do_not_divide_the_batch_are_of_nearly_equal_size(minibatch_size, sizes):
    check_sizes(12, minibatch_size, sizes)


def test_rows_that_fill_a_minibatch_up_have_no_weight():
    check_sizes(11, 4, [3, 4, 4])


def check_sizes(rows, minibatch_size, sizes):
    policy = make_policy("categorical")
    weight = 1.0 + np.arange(rows)
    batch = make_batch(policy, rows=rows)._replace(weight=jnp.asarray(weight))
    recorder = Recorder(len(sizes), -(-rows // len(sizes)))
    step = Step(Surrogate(), recorder, Fixed(0.0))
    notes = noted(Epochs(step, epochs=1, minibatch_size=minibatch_size), KEY, policy, batch)
    assert int(notes.count) == len(sizes)
    weights = np.asarray(notes.weights)
    assert sorted((weights > 0).sum(axis=1)) == sizes
    np.testing.assert_array_equal(np.sort(weights.ravel())[-rows:], weight)


def test_epochs_learns_nothing_from_rows_without_weight(x64):
    policy = make_policy("categorical")
    batch = make_batch(policy, rows=12)
    # Two rows in three minibatches, so that some hold no weight at all.
    batch = batch._replace(weight=jnp.asarray(np.isin(np.arange(12), (2, 7)).astype(float)))
    update = Epochs(ADAM, epochs=3, minibatch_size=4)
    new, _, info = apply(update, KEY, policy, batch)
    assert np.isfinite(vector(new)).all()
    empty = np.asarray(batch.weight) == 0
    other = make_batch(policy, 1, rows=12)
    garbage = batch._replace(
        obs=changed(batch.obs, empty, 9 * np.asarray(other.obs)[empty]),
        action=changed(batch.action, empty, np.asarray(other.action)[empty]),
        advantage=changed(batch.advantage, empty, 1e3),
    )
    unmoved, _, same_info = apply(update, KEY, policy, garbage)
    np.testing.assert_array_equal(vector(unmoved), vector(new))
    close(same_info, info, rtol=1e-12)

    weightless = batch._replace(weight=jnp.asarray(np.zeros(12)))
    unmoved, _, info = apply(update, KEY, policy, weightless)
    np.testing.assert_array_equal(vector(unmoved), vector(policy))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(info))


class Keep(Update):
    """Leaves the parameters alone and keeps the batch and its key as its state."""

    def init(self, params):
        return None

    def __call__(self, key, params, state, batch):
        info = measure(Likelihood(), params, params, batch, MoveInfo((), ()))
        return params, (batch, key), info


FIT = Step(Likelihood(), Optax(optax.sgd(1.0)), Fixed(0.01))


@eqx.filter_jit
def begin(algorithm, policy, critic, obs, valid):
    return algorithm.init(
        KEY,
        policy,
        critic,
        normalizer=observation_normalizer(OBS).update(obs, valid),
        scaler=reward_scaler(obs.shape[1]),
        total_steps=200,
    )


def start(algorithm, policy, critic, **fields):
    """The state before the first iteration, with statistics of some observations."""
    before = make_trajectory(policy, 1)
    state = begin(algorithm, policy, critic, before.obs, before.valid)
    return state._replace(**fields)


def test_without_a_critic_only_rows_of_finished_episodes_count_and_earn_their_return(x64):
    policy = make_policy("categorical")
    trajectory = make_trajectory(policy)
    reward, zero = np.asarray(trajectory.reward), np.zeros(trajectory.reward.shape)
    ended = finished_by_hand(*flags(trajectory))
    valid = np.asarray(trajectory.valid)
    assert 0 < ended.sum() < valid.sum() < ended.size
    returns = gae_by_hand(reward, zero, zero, *flags(trajectory), 0.9, 1.0)
    for standardized in (False, True):
        # Returns are Monte Carlo whatever λ is.
        algorithm = Algorithm(
            Keep(), discount=0.9, gae_lambda=0.3, normalize_advantages=standardized
        )
        state = algorithm.init(
            KEY, policy, None, normalizer=NoNormalizer(), scaler=NoScaler(), total_steps=100
        )
        state, critic_batch, metrics = improve(algorithm, state, trajectory)
        batch, _ = state.policy_state
        assert critic_batch is None
        np.testing.assert_array_equal(batch.weight, ended.reshape(-1))
        kept = returns[ended]
        shift, scale = (kept.mean(), kept.std()) if standardized else (0.0, 1.0)
        expected = np.where(ended, (returns - shift) / scale, 0.0)
        np.testing.assert_allclose(batch.advantage, expected.reshape(-1), rtol=1e-9, atol=1e-12)
        assert int(metrics.learned_rows) == ended.sum()
        assert int(metrics.valid_rows) == valid.sum()
        assert float(metrics.explained_variance) == float(metrics.value_mean) == 0


def test_every_update_has_a_key_of_its_own(x64):
    policy = make_policy("categorical")
    trajectory = make_trajectory(policy)
    algorithm = Algorithm(Keep(), discount=0.9, gae_lambda=0.3, normalize_advantages=True)
    keys = []
    for seed in range(2):
        key = jax.random.key(seed)
        state = algorithm.init(
            key, policy, None, normalizer=NoNormalizer(), scaler=NoScaler(), total_steps=100
        )
        for _ in range(3):
            state, _, _ = improve(algorithm, state, trajectory)
            keys.append(tuple(jax.random.key_data(state.policy_state[1]).tolist()))
            state = state._replace(policy_state=None)
    assert len(set(keys)) == 6


def test_with_a_critic_its_batch_has_targets_value_plus_advantage_and_the_old_value(x64):
    policy, critic = make_policy("categorical"), make_critic()
    trajectory = make_trajectory(policy)
    algorithm = Algorithm(Keep(), FIT, discount=0.9, gae_lambda=0.7)
    state = start(algorithm, policy, critic, steps=Count.of(50))
    new, critic_batch, metrics = improve(algorithm, state, trajectory)
    batch, _ = new.policy_state

    # The statistics of the observations are frozen for the batch; those of the rewards are not.
    terminated, truncated, valid = flags(trajectory)
    done = jnp.asarray((terminated | truncated) & valid)
    seen = earn(state.scaler, trajectory.reward, done, trajectory.valid)
    obs, value = seen_by(critic, state.normalizer, trajectory.obs)
    _, next_value = seen_by(critic, state.normalizer, trajectory.next_obs)
    value, next_value = np.asarray(value), np.asarray(next_value)
    reward = np.asarray(trajectory.reward) / np.sqrt(np.asarray(seen.moments.var))
    advantage = gae_by_hand(reward, value, next_value, *flags(trajectory), 0.9, 0.7)

    shown = np.where(valid[..., None], obs, 0.0)
    np.testing.assert_allclose(batch.obs, shown.reshape(-1, OBS), rtol=1e-12)
    np.testing.assert_array_equal(batch.weight, valid.reshape(-1))
    np.testing.assert_allclose(batch.progress, 50 / 200)
    kept = advantage[valid]
    expected = np.where(valid, (advantage - kept.mean()) / kept.std(), 0.0)
    np.testing.assert_allclose(batch.advantage, expected.reshape(-1), rtol=1e-9, atol=1e-12)

    np.testing.assert_array_equal(critic_batch.weight, batch.weight)
    np.testing.assert_array_equal(critic_batch.obs, batch.obs)
    counts = valid.reshape(-1)
    target = (value + advantage).reshape(-1)
    learned, before = np.asarray(critic_batch.action), np.asarray(critic_batch.old.mean)
    np.testing.assert_allclose(learned[counts, 0], target[counts], rtol=1e-9)
    old = value.reshape(-1)
    np.testing.assert_allclose(before[counts, 0], old[counts], rtol=1e-12)
    np.testing.assert_array_equal(critic_batch.old.log_std, 0.0)

    share = 1 - np.var(kept) / np.var(target[counts])
    np.testing.assert_allclose(metrics.explained_variance, share, rtol=1e-9)
    np.testing.assert_allclose(metrics.value_mean, value[valid].mean(), rtol=1e-9)
    np.testing.assert_allclose(metrics.reward_scale, 1 / np.sqrt(seen.moments.var), rtol=1e-9)
    assert int(new.steps) == 50 + valid.sum()
    close(new.normalizer, observe(state.normalizer, trajectory.obs, trajectory.valid), rtol=1e-12)
    close(new.scaler, seen, rtol=1e-12)


def test_update_is_improve_then_fit_critic_and_the_critic_approaches_its_targets(x64):
    policy, critic = make_policy("categorical"), make_critic()
    trajectory = make_trajectory(policy)
    algorithm = Algorithm(Keep(), FIT)
    state = start(algorithm, policy, critic)

    @eqx.filter_jit
    def both_ways(algorithm, state, trajectory):
        improved, critic_batch, _ = algorithm.improve(state, trajectory)
        fitted, _ = algorithm.fit_critic(improved, critic_batch)
        together, _, info = algorithm.update(state, trajectory)
        return critic_batch, fitted, together, info

    critic_batch, fitted, together, info = both_ways(algorithm, state, trajectory)
    np.testing.assert_allclose(vector(together.critic), vector(fitted.critic), rtol=1e-12)

    def error(critic):
        value = forward(critic, critic_batch.obs).mean
        miss = np.asarray(value) - np.asarray(critic_batch.action)
        return np.average(miss[:, 0] ** 2, weights=np.asarray(critic_batch.weight))

    assert error(fitted.critic) < error(critic)
    gained = float(info.objective_after) - float(info.objective_before)
    np.testing.assert_allclose(gained, (error(critic) - error(fitted.critic)) / 2, rtol=1e-9)


@pytest.mark.parametrize("with_critic", [True, False])
def test_a_critic_and_its_update_come_together(with_critic):
    algorithm = Algorithm(Keep(), None if with_critic else Keep())
    with pytest.raises(ValueError, match="both a critic and a critic_update, or neither"):
        algorithm.init(
            KEY,
            make_policy("categorical"),
            make_critic() if with_critic else None,
            normalizer=NoNormalizer(),
            scaler=NoScaler(),
            total_steps=1,
        )


def test_invalid_rows_change_nothing_whatever_they_hold(x64):
    policy, critic = make_policy("gaussian"), make_critic()
    trajectory = make_trajectory(policy)
    fit = Step(Likelihood(), Optax(optax.adam(1.0)), Fixed(0.01))
    algorithm = Algorithm(
        Step(Surrogate(), Fisher(CG(10)), Backtrack(KLBall(0.01), max_kl=0.01)),
        Epochs(fit, epochs=2, minibatch_size=trajectory.valid.size // 4),
    )
    state = start(algorithm, policy, critic)
    counts = np.asarray(trajectory.valid)
    assert not counts.all()

    def spoil(x, garbage):
        return changed(x, ~counts, garbage)

    spoilt = trajectory._replace(
        obs=spoil(trajectory.obs, np.nan),
        next_obs=spoil(trajectory.next_obs, np.nan),
        action=spoil(trajectory.action, np.nan),
        old=jax.tree.map(lambda x: spoil(x, np.nan), trajectory.old),
        reward=spoil(trajectory.reward, np.nan),
        terminated=spoil(trajectory.terminated, True),
        truncated=spoil(trajectory.truncated, True),
    )
    update = eqx.filter_jit(algorithm.update)
    (clean, metrics, fitted), (same, same_metrics, same_fitted) = (
        update(state, t) for t in (trajectory, spoilt)
    )
    assert metrics.policy.move.length.accepted
    close(same._replace(key=None), clean._replace(key=None), rtol=1e-9, atol=1e-12)
    close(same_metrics, metrics, rtol=1e-9)
    close(same_fitted, fitted, rtol=1e-9)

    obs, _ = seen_by(critic, state.normalizer, trajectory.obs)
    new, old = jax.tree.map(np.asarray, (forward(clean.policy, obs), trajectory.old))
    action = np.asarray(trajectory.action)

    def log_density(dist):
        z = (action - dist.mean) / np.exp(dist.log_std)
        return (-0.5 * z**2 - dist.log_std - 0.5 * np.log(2 * np.pi)).sum(-1)[counts]

    r = np.exp(log_density(new) - log_density(old))
    share = r.sum() ** 2 / (len(r) * (r**2).sum())
    assert share < 0.999
    np.testing.assert_allclose(metrics.effective_sample_size, share, rtol=1e-9)
    std = np.broadcast_to(np.exp(new.log_std), action.shape)[counts].mean(axis=0)
    np.testing.assert_allclose(metrics.distribution["std"], std, rtol=1e-9)


EMPTY = {
    "optimizer": Step(Surrogate(), Optax(optax.adam(1.0)), Fixed(0.01)),
    "natural gradient": Step(Surrogate(), Fisher(CG(10)), Backtrack(KLBall(0.01), max_kl=0.01)),
    "kfac": Step(Surrogate(), KFAC(), KLBall(0.01)),
    "minibatches": Epochs(
        Step(Surrogate(), Optax(optax.adam(1.0)), Fixed(0.01)), epochs=2, minibatch_size=5
    ),
    "average": AveragePolicy(Step(Surrogate(), Euclidean(), Fixed(0.1)), 0.5),
    "adapted": AdaptKL(
        Step(Surrogate(), Euclidean(), Fixed(0.1)),
        "rate",
        target=0.01,
        factor=2.0,
        low=1e-3,
        high=1.0,
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_batch_without_weight_changes_nothing_bit_for_bit(name):
    """Parameters, momentum, averages, counters: after a batch that was learned from."""
    update, policy = EMPTY[name], make_policy("gaussian")
    batch = make_batch(policy)
    run = eqx.filter_jit(lambda update, *args: update(KEY, *args))
    policy, state, _ = run(update, policy, update.init(policy), batch)
    none = batch._replace(weight=jnp.zeros_like(batch.weight))
    after, after_state, info = run(update, policy, state, none)
    for a, b in zip(*map(jax.tree.leaves, ((after, after_state), (policy, state))), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert float(info.kl_mean) == 0


def test_a_minibatch_without_weight_counts_in_no_average():
    """Of two minibatches one has weight: all is that of one step, and the report is its report."""
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    rows = batch.weight.shape[0]
    first = jnp.zeros(rows).at[0].set(1.0)
    step = Step(Surrogate(), Optax(optax.adam(1.0)), Fixed(0.01))
    run = eqx.filter_jit(lambda update, *args: update(KEY, *args))
    alone = batch._replace(weight=first)
    epochs = Epochs(step, epochs=1, minibatch_size=-(-rows // 2))
    new, _, info = run(epochs, policy, epochs.init(policy), alone)
    expected, _, whole = run(step, policy, step.init(policy), alone)
    np.testing.assert_allclose(vector(new), vector(expected), rtol=1e-5)
    np.testing.assert_allclose(
        info.move.direction.grad_norm, whole.move.direction.grad_norm, rtol=1e-5
    )
