"""A part prints as the line that makes it: the text can be read, and what it says is the part."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot as sf
from surefoot.common.part import composition
from surefoot.core.objectives import PerSample
from surefoot.methods.families import optimizers
from surefoot.methods.registry import RECIPES

REGRESSION = "Epochs(Step(Likelihood(), Optax(adam), Fixed({})), epochs={}, minibatch_size={})"
CRITIC = REGRESSION.format(0.001, 20, 128)
PROXIMAL = REGRESSION.format(0.0003, 10, 64)
RMSPROP = "Optax(clipped_rmsprop, max_norm=0.5), Fixed(0.0007, linear)"
ADAM = "Optax(clipped_adam, max_norm=0.5), Fixed(0.0003, linear)"
SEARCH = "Backtrack(KLBall(0.01), max_kl=0.01)"
FACTORED = "KFAC(0.1), KLBall(0.01, max_scale=1.0)"


def epochs(objective, adam=ADAM):
    bonus = f"EntropyBonus({objective}, coefficient=0.0)"
    return f"Epochs(Step({bonus}, {adam}), epochs=10, minibatch_size=64)"


def held(update, name, factor, low, high, more=""):
    bounds = f"target=0.01, factor={factor}, low={low}, high={high}{more}"
    return f"AdaptKL({update}, number={name!r}, {bounds})"


PRINTED = {
    "reinforce": "Algorithm(Step(Score(), Optax(adam), Fixed(0.003)), "
    f"{REGRESSION.format(0.001, 10, 128)}, gae_lambda=1.0)",
    "a2c": f"Algorithm(Step(EntropyBonus(Score(), coefficient=0.001), {RMSPROP}), "
    f"{REGRESSION.format(0.001, 1, 128)})",
    "vpg_adaptive": "Algorithm("
    + held("Step(Score(), Optax(adam), Fixed(0.003))", "rate", 0.5, 1e-05, 0.1)
    + f", {CRITIC})",
    "a2c_trust_region": "Algorithm(AveragePolicy(Step(EntropyBonus(TrustRegionGradient(0.3), "
    f"coefficient=0.001), {RMSPROP})), {REGRESSION.format(0.001, 1, 128)})",
    "npg": f"Algorithm(Step(Surrogate(), Fisher(CG(10)), KLBall(0.01)), {CRITIC})",
    "npg_penalty": f"Algorithm(Step(Surrogate(), Fisher(CG(10)), Penalty(3.0)), {CRITIC})",
    "trpo": f"Algorithm(Step(Surrogate(), Fisher(CG(10)), {SEARCH}), {CRITIC})",
    "acktr": f"Algorithm(Step(Score(), {FACTORED}), Epochs(Step(Likelihood(), {FACTORED}), "
    "epochs=10, minibatch_size=512))",
    "kfac_trpo": f"Algorithm(Step(Surrogate(), KFAC(0.1), {SEARCH}), {CRITIC})",
    "ppo_clip": f"Algorithm({epochs('Clipped(0.2)')}, {PROXIMAL})",
    "ppo_kl": "Algorithm("
    + held(epochs("KLPenalized(Surrogate(), beta=1.0)"), "beta", 2.0, 0.01, 1000.0)
    + f", {PROXIMAL})",
    "ppo_fixed_kl": f"Algorithm({epochs('KLPenalized(Surrogate(), beta=3.0)')}, {PROXIMAL})",
    "ppo_adaptive_lr": "Algorithm("
    + held(
        epochs("Clipped(0.2)", ADAM.replace(", linear", "")),
        "rate",
        0.6666667,
        1e-05,
        0.01,
        ", band=2.0",
    )
    + f", {PROXIMAL})",
    "spo": f"Algorithm({epochs('RatioPenalized(0.2)')}, {PROXIMAL})",
    "geppo": f"Algorithm(LimitTV({epochs('Clipped(0.1)').replace('64', '96')}, number='rate', "
    f"limit=0.05), {PROXIMAL.replace('64', '96')}, batches=3)",
    "rwr": f"Algorithm(Tilt({epochs('Score()')}, Positive()), {PROXIMAL})",
    "reps": f"Algorithm(Tilt({epochs('Score()')}, RelativeEntropy(0.5)), {PROXIMAL})",
    "awr": "Algorithm(Tilt(Epochs(Step(EntropyBonus(Score(), coefficient=0.0), "
    f"{ADAM}), epochs=5, minibatch_size=256), Exponential(1.0)), "
    f"{REGRESSION.format(0.0003, 2, 256)}, batches=24, corrected=False)",
    "v_mpo": "Algorithm(Tilt("
    + held(epochs("KLPenalized(Score(), beta=1.0)"), "beta", 2.0, "1e-04", 10000.0)
    + f", RelativeEntropy(0.1, top=0.5)), {PROXIMAL})",
    "nac": f"Algorithm(Step(Score(), Compatible(CG(10)), KLBall(0.01)), {CRITIC})",
    "cpo": "CostLimited(Algorithm(Constrained(Surrogate(), Fisher(CG(10)), max_kl=0.01), "
    f"{CRITIC}))",
    "ppo_lagrangian": f"CostLimited(Algorithm(Lagrangian({epochs('Clipped(0.2)')}), {CRITIC}))",
    "trpo_lagrangian": "CostLimited(Algorithm(Lagrangian(Step(Surrogate(), Fisher(CG(10)), "
    f"{SEARCH})), {CRITIC}))",
    "cem": "CrossEntropy(20)",
    "cma_es": "CovarianceAdaptation(20)",
    "bc": "Cloning(Epochs(Step(EntropyBonus(Likelihood(), coefficient=0.0), "
    "Optax(decayed_adam, weight_decay=0.0), Fixed(0.001, linear)), epochs=1, minibatch_size=64))",
}
NAMES = {
    **{name: getattr(sf, name) for name in sf.__all__},
    **vars(sf.schedules),
    **vars(optimizers),
    "inf": math.inf,
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_prints_as_the_line_that_composes_it(name):
    learner = RECIPES[name]().build()
    assert repr(learner) == PRINTED[name]
    assert bool(eqx.tree_equal(eval(PRINTED[name], NAMES), learner))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    clip=st.floats(2**-20, 2**20, width=32),
    discount=st.floats(0, 1, width=32),
    normalize=st.booleans(),
    steps=st.integers(1, 100),
    tolerance=st.floats(0, 1),
    schedule=st.sampled_from([sf.schedules.constant, sf.schedules.linear]),
)
def test_what_is_printed_is_the_part(clip, discount, normalize, steps, tolerance, schedule):
    geometry = sf.Fisher(sf.CG(steps, tolerance=tolerance), clip)
    step = sf.Step(sf.KLPenalized(sf.Clipped(clip), clip), geometry, sf.Fixed(clip, schedule))
    made = sf.Algorithm(step, None, discount=discount, normalize_advantages=normalize)
    assert bool(eqx.tree_equal(eval(repr(made), NAMES), made))
    assert "\n" not in repr(made)


def per_row(dist, batch):
    return batch.advantage


def test_functions_have_their_names_and_nothing_has_an_address():
    step = sf.Step(per_row, sf.Optax(optax.adam(1.0)), sf.Penalty(3))
    assert repr(step) == (
        "Step(PerSample(per_row), Optax(GradientTransformationExtraArgs), Penalty(3))"
    )
    assert repr(PerSample(lambda dist, batch: batch.advantage)).endswith("<lambda>)")
    assert " at 0x" not in composition([object()])


class Weighted(sf.Objective):
    weights: jax.Array

    def __call__(self, dist, batch):
        return batch.advantage

    def diagnostics(self, dist, batch):
        return {}


def test_no_array_is_written_out():
    assert repr(Weighted(jnp.arange(1000.0))) == "Weighted(f32[1000])"
    assert repr(Weighted(np.arange(1000))) == "Weighted(i64[1000](numpy))"
    seen = []

    @jax.jit
    def traced(rate):
        seen.append(repr(sf.Fixed(rate)))
        return rate

    traced(1.0)
    assert seen == ["Fixed(weak_f32[])"]


def test_a_part_that_is_still_being_made_can_be_printed():
    assert repr(object.__new__(sf.Fixed)) == "Fixed()"
