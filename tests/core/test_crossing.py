"""Every geometry with every step size and every distribution."""

import itertools

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

from support.oracles import dense_fisher, kl_by_hand
from support.problems import KEY, KINDS, forward, make_batch, make_policy, normalized, vector
from surefoot.core.geometry import CG, KFAC, Cholesky, Euclidean, Fisher, Optax
from surefoot.core.objectives import Surrogate
from surefoot.core.step_size import Backtrack, Fixed, KLBall, Penalty
from surefoot.core.updates import Step

RADIUS = 1e-5
GEOMETRIES = {
    "euclidean": Euclidean(),
    "adam": Optax(optax.adam(1.0)),
    "cg": Fisher(CG(10)),
    "cholesky": Fisher(Cholesky()),
    "kfac": KFAC(),
}
STEP_SIZES = {
    "fixed": Fixed(1e-3),
    "ball": KLBall(RADIUS),
    "penalty": Penalty(1e3),
    # In a ball this small the full step is accepted if the bound is a little wider.
    "backtrack": Backtrack(KLBall(RADIUS), max_kl=1.2 * RADIUS),
}
#: What every run of the tests has of the crossing: each geometry with each step size and with two
#: distributions, each distribution with each step size and with two geometries or more.
PAIRS = [
    ("euclidean", "gaussian", ("fixed", "penalty")),
    ("euclidean", "bernoulli", ("ball", "backtrack")),
    ("adam", "categorical", ("fixed", "penalty")),
    ("adam", "multicategorical", ("ball", "backtrack")),
    ("cg", "multicategorical", ("fixed", "penalty")),
    ("cg", "gaussian", ("ball", "backtrack")),
    ("cholesky", "bernoulli", ("fixed", "penalty")),
    ("cholesky", "categorical", ("ball", "backtrack")),
    ("kfac", "categorical", ("fixed", "penalty")),
    ("kfac", "gaussian", ("ball", "backtrack")),
    ("euclidean", "beta", ("fixed", "penalty")),
    ("cg", "beta", ("ball", "backtrack")),
    ("adam", "tanh_gaussian", ("fixed", "penalty")),
    ("cholesky", "tanh_gaussian", ("ball", "backtrack")),
    ("cg", "masked", ("fixed", "penalty")),
    ("kfac", "masked", ("ball", "backtrack")),
    ("kfac", "product", ("fixed", "penalty")),
    ("cholesky", "product", ("ball", "backtrack")),
]
#: All geometries with all distributions, and with two step sizes in turn.
ALL = {
    (geometry, kind, tuple(STEP_SIZES)[(i + j) % 2 :: 2])
    for (i, geometry), (j, kind) in itertools.product(enumerate(GEOMETRIES), enumerate(KINDS))
}


@eqx.filter_jit
def steps(geometry, names, policy, batch):
    """One step by each step size."""
    results = {}
    for name in names:
        step = Step(Surrogate(), geometry, STEP_SIZES[name])
        new, _, info = step(KEY, policy, step.init(policy), batch)
        results[name] = new, info
    return results


@pytest.mark.parametrize(
    ("geometry", "kind", "names"),
    [*PAIRS, *(pytest.param(*case, marks=pytest.mark.slow) for case in sorted(ALL - set(PAIRS)))],
)
def test_one_step_is_finite_goes_uphill_and_keeps_to_its_kl(geometry, kind, names, x64):
    policy = make_policy(kind)
    batch = make_batch(policy)
    fisher = dense_fisher(policy, batch)
    results = steps(GEOMETRIES[geometry], names, policy, batch)
    for name, (new, info) in results.items():
        assert jax.tree.structure(new) == jax.tree.structure(policy), name
        for before, after in zip(jax.tree.leaves(policy), jax.tree.leaves(new), strict=True):
            assert (after.shape, after.dtype) == (before.shape, before.dtype), name
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((new, info))), name

        gained = float(info.objective_after) - float(info.objective_before)
        assert gained > 0, name
        np.testing.assert_allclose(gained, info.predicted_improvement, rtol=0.1, err_msg=name)

        delta = vector(new) - vector(policy)
        quadratic = 0.5 * delta @ fisher @ delta
        measured = normalized(batch.weight) @ kl_by_hand(batch.old, forward(new, batch.obs))
        np.testing.assert_allclose(info.kl_mean, measured, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(measured, quadratic, rtol=0.1, err_msg=name)
        if name in ("ball", "backtrack"):
            np.testing.assert_allclose(quadratic, RADIUS, rtol=1e-6, err_msg=name)
    if "backtrack" in results:
        search = results["backtrack"][1].move.length
        assert search.accepted
        assert int(search.backtracks) == 0
