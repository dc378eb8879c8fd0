"""AdaptKL and AveragePolicy: what they remember, and when it changes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support.problems import KEY, forward, make_batch, make_policy, vector
from surefoot.common.errors import UsageError
from surefoot.core.geometry import Euclidean, Optax
from surefoot.core.objectives import EntropyBonus, KLPenalized, Surrogate
from surefoot.core.step_size import Fixed
from surefoot.core.updates import AdaptKL, AveragePolicy, Epochs, MoveInfo, Step, Update, UpdateInfo
from surefoot.methods.recipes import PPOKL, PPOAdaptiveLR, VPGAdaptive

TARGET = 0.01
#: Three times a power of two: divided by 1.5, and multiplied by that number's rounded inverse, as
#: compilers do, it is the same.
EXACT = 3 / 256


class Told(Update):
    """An update whose KL is the batch's progress; it reports the value it was given."""

    adaptable = ("value",)

    value: jax.Array = eqx.field(converter=jnp.asarray)

    def init(self, params):
        return jnp.zeros((), jnp.int32)

    def __call__(self, key, params, state, batch):
        zero = jnp.zeros(())
        info = UpdateInfo(
            *[zero] * 3,
            kl_mean=batch.progress,
            kl_max=zero,
            entropy=zero,
            diagnostics={"value": self.value},
            move=MoveInfo((), ()),
        )
        return params, state + 1, info


def adapt(factor, initial=1.0, low=1e-3, high=1e3):
    return AdaptKL(Told(initial), "value", target=EXACT, factor=factor, low=low, high=high)


@eqx.filter_jit
def begin(update, policy):
    return update.init(policy)


@eqx.filter_jit
def stepping(update, policy, state, batch):
    """The new parameters alone."""
    return update(KEY, policy, state, batch)[0]


@eqx.filter_jit
def call(update, policy, state, batch):
    return update(KEY, policy, state, batch)


def follow(update, kls):
    """The values that the inner update was given, and the last one after it."""
    policy = make_policy("categorical")
    batch = make_batch(policy)
    state, values = begin(update, policy), []
    for kl in kls:
        batch = batch._replace(progress=np.asarray(kl))
        policy, state, info = call(update, policy, state, batch)
        values.append(float(info.diagnostics["value"]))
    assert int(state.inner) == len(kls)
    return [*values, float(state.value)]


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_the_value_moves_at_15_and_at_its_inverse_and_once_a_call(factor, x64):
    up = 1.5 * EXACT
    down = EXACT / 1.5
    kls = [up, np.nextafter(up, 0), np.nextafter(down, 1), down, 10 * up, 0.0, EXACT]
    expected = [1.0, factor, factor, factor, 1.0, factor, 1.0, 1.0]
    assert follow(adapt(factor), kls) == expected


def test_another_band_moves_the_value_at_its_ends(x64):
    update = AdaptKL(Told(1.0), "value", target=0.25, factor=0.5, low=1e-3, high=1e3, band=2.0)
    kls = [0.5, np.nextafter(0.5, 0), np.nextafter(0.125, 1), 0.125, 0.17]
    assert follow(update, kls) == [1.0, 0.5, 0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("band", [1.0, 0.5, float("nan")])
def test_a_band_that_is_none_is_refused(band):
    with pytest.raises(UsageError, match=r"AdaptKL's band is .*; accepted is a number > 1"):
        AdaptKL(Told(1.0), "value", target=0.01, factor=2.0, low=0.1, high=1.0, band=band)


def test_the_value_stays_within_its_bounds_and_returns_from_them():
    update = adapt(2.0, initial=4.0, low=1.0, high=16.0)
    assert follow(update, [0.0] * 4 + [1.0] * 6) == [4, 2, 1, 1, 1, 2, 4, 8, 16, 16, 16]


def test_a_kl_that_is_no_number_changes_nothing():
    assert follow(adapt(2.0), [np.nan, np.nan]) == [1.0, 1.0, 1.0]


def test_ppo_kls_penalty_moves_once_an_iteration_and_returns_from_its_floor():
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    update = (
        PPOKL(num_envs=2, horizon=8, minibatch_size=4, epochs=3, beta=0.02, learning_rate=1e-6)
        .build()
        .policy_update
    )
    state, penalties = begin(update, policy), []
    for _ in range(3):
        _, state, info = call(update, policy, state, batch)
        assert float(info.kl_mean) < TARGET / 1.5
        penalties.append(float(info.diagnostics["kl_penalty"]))
    # Twelve minibatches an iteration, one halving, and a floor of 0.01.
    np.testing.assert_allclose([*penalties, state.value], [0.02, 0.01, 0.01, 0.01], rtol=1e-6)

    fast = eqx.tree_at(lambda u: u.update.step.step_size.rate, update, jnp.asarray(0.05))
    for expected in (0.02, 0.04):
        _, state, info = call(fast, policy, state, batch)
        assert float(info.kl_mean) > 1.5 * TARGET
        np.testing.assert_allclose(state.value, expected, rtol=1e-6)


def test_the_penalty_of_ppo_kl_is_the_one_that_its_objective_has(x64):
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    far = make_policy("gaussian", 1, near=policy)

    def moved(beta):
        """One minibatch step from `far`, so that the penalty's gradient is not zero."""
        step = Step(KLPenalized(Surrogate(), 1.0), Euclidean(), Fixed(0.1))
        update = AdaptKL(
            Epochs(step, epochs=1, minibatch_size=16),
            "beta",
            target=TARGET,
            factor=2.0,
            low=1e-3,
            high=1e3,
        )
        state = update.init(far)._replace(value=jnp.asarray(beta))
        return vector(stepping(update, far, state, batch))

    def stepped(beta):
        step = Step(KLPenalized(Surrogate(), beta), Euclidean(), Fixed(0.1))
        return vector(stepping(step, far, None, batch))

    np.testing.assert_allclose(moved(5.0), stepped(5.0), rtol=1e-12)
    assert np.abs(stepped(5.0) - stepped(1.0)).max() > 1e-3


def test_vpg_adaptives_rate_halves_after_too_far_a_step_and_doubles_after_too_short_a_one():
    policy = make_policy("gaussian")
    batch = make_batch(policy)
    for rate, expected in ((0.05, 0.025), (1e-4, 2e-4)):
        update = VPGAdaptive(learning_rate=rate).build().policy_update
        _, state, info = call(update, policy, begin(update, policy), batch)
        np.testing.assert_allclose(info.move.length.step_scale, rate, rtol=1e-6)
        np.testing.assert_allclose(state.value, expected, rtol=1e-6)


def test_ppo_adaptive_lrs_rate_follows_the_kl_once_an_iteration_and_is_not_annealed():
    policy = make_policy("gaussian")
    batch = make_batch(policy)._replace(progress=jnp.asarray(0.75))
    for rate, expected in ((0.01, 0.01 / 1.5), (2e-5, 3e-5)):
        recipe = PPOAdaptiveLR(minibatch_size=4, epochs=3, learning_rate=rate)
        update = recipe.build().policy_update
        _, state, info = call(update, policy, begin(update, policy), batch)
        np.testing.assert_allclose(info.move.length.step_scale, rate, rtol=1e-6)
        np.testing.assert_allclose(state.value, expected, rtol=1e-6)
        assert (info.kl_mean > 0.02) == (expected < rate)


def test_the_average_policy_is_the_polyak_average_and_its_distribution_is_in_the_batch(x64):
    class Watching(Update):
        def init(self, params):
            return None

        def __call__(self, key, params, state, batch):
            """A step, whose state is the distribution of the averaged policy that it was given."""
            step = Step(Surrogate(), Euclidean(), Fixed(0.5))
            new, _, info = step(key, params, None, batch)
            return new, batch.average, info

    start = make_policy("gaussian")
    batch = make_batch(start)
    update = AveragePolicy(Watching(), 0.9)
    policy, state = start, update.init(start)
    expected = vector(start)
    for _ in range(3):
        average = forward(state.average, batch.obs)
        policy, state, _ = call(update, policy, state._replace(inner=None), batch)
        expected = 0.9 * expected + 0.1 * vector(policy)
        np.testing.assert_allclose(vector(state.average), expected, rtol=1e-12)
        np.testing.assert_allclose(state.inner.mean, average.mean, rtol=1e-12)
    assert np.abs(vector(policy) - vector(state.average)).max() > 1e-3


def test_optax_is_kept_through_the_wrappers():
    """The state of the wrapped update goes from call to call."""
    import optax

    policy = make_policy("categorical")
    batch = make_batch(policy)
    step = Step(Surrogate(), Optax(optax.adam(1.0)), Fixed(1e-3))
    update = AveragePolicy(step)
    state = begin(update, policy)
    for count in (1, 2):
        policy, state, _ = call(update, policy, state, batch)
        assert int(state.inner[0].count) == count


def test_a_batch_without_weight_moves_no_value():
    update = adapt(2.0)
    policy = make_policy("categorical")
    batch = make_batch(policy)._replace(progress=np.asarray(0.0), weight=np.zeros(16))
    _, state, _ = call(update, policy, begin(update, policy), batch)
    assert float(state.value) == 1.0


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (PPOKL(beta=0.001), "beta is 0.001; accepted is a number from min_beta to max_beta"),
        (VPGAdaptive(learning_rate=0.5), "learning_rate is 0.5; .* here 1e-05 to 0.1"),
        (PPOAdaptiveLR(learning_rate=0.5), "learning_rate is 0.5; .* here 1e-05 to 0.01"),
    ],
)
def test_a_value_that_starts_outside_its_bounds_is_refused(recipe, message):
    with pytest.raises(UsageError, match=message):
        recipe.build()


def test_a_number_is_found_by_its_name_wherever_it_is():
    """The objective's β, within an entropy bonus within a step within epochs, and nothing else."""
    penalized = EntropyBonus(KLPenalized(Surrogate(), 2.0), 0.5)
    step = Step(penalized, Euclidean(), Fixed(0.25))
    epochs = Epochs(step, epochs=1, minibatch_size=4)
    bounds = {"target": 0.01, "factor": 2.0, "low": 0.1, "high": 10.0}
    policy = make_policy("gaussian")
    assert AdaptKL(epochs, "beta", **bounds).init(policy).value == 2.0
    assert AdaptKL(epochs, "rate", **bounds).init(policy).value == 0.25


@pytest.mark.parametrize(("number", "found"), [("coefficient", 0), ("clip", 0), ("beta", 2)])
def test_a_number_that_is_not_there_or_stands_twice_is_refused(number, found):
    twice = KLPenalized(KLPenalized(Surrogate(), 1.0), 2.0)
    step = Step(twice, Euclidean(), Fixed(0.1))
    said = f"AdaptKL's number is '{number}', of which its update has {found} that can be adapted"
    with pytest.raises(UsageError, match=said):
        AdaptKL(step, number, target=0.01, factor=2.0, low=0.1, high=1.0)
