"""Each page of the lecture shows what it says, with small settings. Those that train
compile for most of their time, and are slow."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "lecture"


@pytest.fixture
def page(monkeypatch, tmp_path, capsys):
    """Runs a page: its numbers, its figure having been written."""
    monkeypatch.syspath_prepend(FOLDER)

    def show(number, **settings):
        (path,) = FOLDER.glob(f"{number:02d}_*.py")
        out = tmp_path / f"{path.stem}.svg"
        found = runpy.run_path(str(path))["main"](out, **settings)
        assert out.read_text().startswith("<?xml")
        assert str(out) in capsys.readouterr().out
        return found

    yield show
    sys.modules.pop("page", None)


def test_pages_are_numbered_and_short_enough_to_be_read():
    pages = sorted(FOLDER.glob("[0-9]*.py"))
    assert [int(path.name[:2]) for path in pages] == list(range(1, len(pages) + 1))
    assert all(len(path.read_text().splitlines()) <= 100 for path in pages)


@pytest.mark.slow
def test_too_small_a_step_learns_nothing_and_too_big_a_one_does_not_come_back(page):
    rows = {row[0]: row[1:] for row in page(1, steps=20_480, seeds=3)}
    _, last, _, entropy, _ = zip(*rows.values(), strict=True)
    rates = list(rows)
    assert last[rates.index(0.01)] < 60
    assert last[rates.index(1.0)] > 150
    assert last[rates.index(100.0)] < 0.5 * rows[100.0][0]
    assert entropy[rates.index(100.0)] < 0.05 < 0.6 < entropy[rates.index(0.01)]


def test_equal_steps_in_theta_are_unequal_steps_of_the_policy(page):
    _, _, _, kl, step, _, ball = np.array(page(2)).T
    assert kl.max() > 100 * kl.min()
    assert step.max() > 5 * step.min()
    assert ball.max() <= 0.01
    assert ball.max() < 3 * ball.min()


def test_the_steepest_direction_is_the_gradient_or_the_natural_gradient(page):
    angles, ends = page(3)
    _, to_gradient, to_natural, between = np.array(angles).T
    assert np.all(np.diff(to_gradient) < 0)
    assert np.all(np.diff(to_natural) < 0)
    assert to_gradient[-1] < 0.15
    assert to_natural[-1] < 0.15 < 30 < between[-1]
    in_theta, in_kl = np.array([end[1:] for end in ends]).reshape(2, 3, 3)
    # The rare state: untouched by the one, learned from the start by the other.
    assert in_theta[0, 1] < -0.8
    assert in_kl[0, 1] > 0.5


def test_the_fisher_matrix_is_the_hessian_of_the_kl(page):
    rows, measured, model = page(4, states=10)
    found = dict(rows)
    assert found["E[∇log π ∇log πᵀ]"] < 1e-12
    assert found["∇² KL, automatic"] < 1e-12
    assert found["∇² KL, finite differences"] < 1e-5
    assert measured[0] == pytest.approx(model[0], rel=0.01)
    assert measured[-1] != pytest.approx(model[-1], rel=0.2)


def test_the_natural_gradient_does_not_see_the_scale(page):
    rows = page(5)
    ends = {(name, scale): rest for name, scale, *rest in rows}
    natural = [ends["natural", scale] for scale in (1.0, 10.0, 100.0)]
    np.testing.assert_allclose(natural[1:], [natural[0]] * 2, rtol=1e-6)
    plain = [ends["gradient", scale][-1] for scale in (1.0, 10.0, 100.0)]
    assert plain[0] > plain[1] > plain[2]
    assert natural[0][-1] > plain[0]


def test_the_penalized_and_the_constrained_optimum_coincide(page):
    rows = page(6)
    delta, beta, one_step, *_, apart = np.array(rows).T
    assert np.all(np.diff(beta) < 0)
    assert apart.max() < 1e-3
    np.testing.assert_allclose(one_step[:2], beta[:2], rtol=0.02)
    np.testing.assert_allclose(beta[0] / beta[1], np.sqrt(delta[1] / delta[0]), rtol=0.02)


@pytest.mark.slow
def test_the_raw_natural_step_leaves_the_ball_and_the_search_does_not(page):
    for delta, search, median, largest, over, *_ in page(7, steps=45_056, seeds=2):
        if search == "none":
            assert largest > 1.2, delta
            assert over > 0.1
        else:
            assert largest <= 1.0001
            assert over == 0
            assert (median > 0.82) == (search == "secant")


def test_the_surrogate_is_right_to_first_order_and_the_bound_holds(page):
    _, gain, identity, predicted, penalty = np.array(page(8)).T
    np.testing.assert_allclose(identity, gain, atol=1e-12)
    assert np.all(np.abs(gain - predicted) <= penalty + 1e-15)
    # The error is of second order.
    error = np.abs(gain - predicted)[1:4]
    assert np.all(error[1:] > 50 * error[:-1])
    assert predicted[-1] < 0.5 * gain[-1]


@pytest.mark.slow
def test_the_variance_of_the_trajectorys_weight_grows_and_that_of_one_step_does_not(page):
    steps, one, _, trajectory, error = np.array(page(9, episodes=1000, horizon=50)).T
    assert one[0] == pytest.approx(trajectory[0])
    assert one[-1] < 3 * one.mean()
    grown = steps <= 20
    assert np.all(np.diff(trajectory[grown]) > 0)
    assert (trajectory[grown] - 2 * error[grown])[-1] > 2 * one.max()


def test_what_follows_a_bound_never_lowers_J_and_the_constraint_is_faster(page):
    rows = page(10, iterations=30, starts=2)
    for discount in (0.5, 0.95):
        ends = {name: rest for gamma, name, *rest in rows if gamma == discount}
        assert all(worst > -1e-12 for *_, worst in ends.values())
        final = {name: rest[2] for name, rest in ends.items()}
        constraint = final.pop("constraint KL ≤ 0.01")
        assert constraint > max(final.values())
        assert final["penalty L − C √KL"] > final["CPI"] > ends["CPI"][0]


@pytest.mark.slow
def test_ppo_kl_moves_its_penalty_and_keeps_the_kl_near_the_target(page):
    rows = page(11, steps=20_480, seeds=2)
    for env in ("CartPole-v1", "Pendulum-v1"):
        _, _, low, _, high, kl, _ = zip(*(row for row in rows if row[0] == env), strict=True)
        assert max(high) >= 2 * min(low)
        assert 0.003 < np.median(kl[:3]) < 0.03


@pytest.mark.slow
def test_clipping_is_pessimistic(page):
    curves = page(12)
    assert np.all(curves.clipped <= curves.surrogate)
    assert np.all(curves.clipped[curves.alpha >= 1] < curves.surrogate[curves.alpha >= 1])
    assert 0.5 <= curves.alpha[curves.clipped.argmax()] <= 1.5
    assert curves.alpha[curves.surrogate.argmax()] == 2.0


@pytest.mark.slow
def test_likelihood_without_regularization_forgets_what_it_has_not_seen(page):
    rows = page(13, steps=20_480, episodes=5, updates=800)
    found = {name: rest for name, *rest in rows}
    none, bonus, decay = (found[n] for n in ("none", "entropy bonus 0.5", "L2 0.003"))
    assert none[0] > bonus[0] > decay[0]
    assert none[2] < none[1] - 0.1
    assert none[2] < bonus[2] < decay[2]
    assert min(bonus[3], decay[3]) > none[3]


@pytest.mark.slow
def test_F_is_positive_semidefinite_and_Ls_quadratic_part_is_small(page):
    spectra, rows = page(14, steps=4_096)
    assert spectra["F of KL"][0] > -1e-12
    assert spectra["H of L"][0] < -0.01 < 0.01 < spectra["H of L"][-1]
    delta, linear, _, penalty, share = np.array(rows).T
    np.testing.assert_allclose(share / share[0], np.sqrt(delta / delta[0]), rtol=1e-3)
    assert share[0] < 0.2
    assert np.all(linear > penalty)


@pytest.mark.slow
def test_a_fixed_delta_travels_and_a_fixed_beta_does_not(page):
    rows = page(15, steps=20_480, seeds=1)
    kls = {}
    for rule, task, kl, *_ in rows:
        kls.setdefault(rule[0], {})[task] = kl
    assert max(kls["δ"].values()) < 3 * min(kls["δ"].values())
    assert max(kls["β"].values()) > 100 * min(kls["β"].values())


@pytest.mark.slow
def test_the_first_beta_of_ppo_kl_hardly_matters(page):
    first, then, early, later, *_ = np.array(page(16, steps=40_960, seeds=2)).T
    assert then.max() / then.min() < 1e-2 * first.max() / first.min()
    assert early[0] > early[-1]
    assert np.ptp(later) < 0.25


def test_near_gamma_1_the_theorys_steps_vanish(page):
    discount, constant, penalized, fixed, _, mixed = np.array(page(17)).T
    high = discount >= 0.5
    assert np.all(fixed[high] == 0)
    assert np.all(np.diff(penalized[high]) < 0)
    assert np.all(np.diff(mixed[high]) < 0)
    assert penalized[-1] < 1e-6 < 1e6 < constant[-1]


@pytest.mark.slow
def test_several_steps_a_batch_learn_faster_and_only_clipping_keeps_them_near(page):
    rows = page(18, steps=30_720, seeds=3)
    mean, _, kl, largest = zip(*(row[1:] for row in rows), strict=True)
    one, several, _, clipped = range(4)
    assert mean[clipped] > mean[one]
    assert kl[several] > 10 * kl[clipped]
    assert largest[several] > 0.5 > largest[clipped]


def test_the_two_directions_of_the_kl_agree_for_small_steps_alone(page):
    delta, forward_gain, reverse_gain, forward, reverse, kl, apart = np.array(page(19)).T
    np.testing.assert_allclose(kl, delta, rtol=1e-6)
    np.testing.assert_allclose(forward_gain[0], reverse_gain[0], rtol=0.01)
    assert apart[0] < 0.001
    assert reverse[-1] < 1e-4 < 0.01 < forward[-1]
