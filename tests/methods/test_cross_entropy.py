"""The cross-entropy method against closed forms, and its population against its members."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from support.problems import HEADS, KEY, OBS, forward, make_policy, sample
from surefoot.common.errors import UsageError
from surefoot.core.data.types import Trajectory
from surefoot.methods.learners.cross_entropy import CrossEntropy, Population, member_returns
from surefoot.runs.options import prepare


@eqx.filter_jit
def refit(method, members, returns, added):
    return method.refit(members, returns, added)


def test_refit_takes_mean_and_standard_deviation_of_the_best(x64):
    rng = np.random.default_rng(0)
    members = {"w": jnp.asarray(rng.normal(size=(10, 3, 2))), "b": jnp.asarray(rng.normal(size=10))}
    returns = jnp.asarray(rng.permutation(10.0 * np.arange(10)))
    mean, std, elite = refit(CrossEntropy(10, elite_fraction=0.3), members, returns, 0.0)
    best = np.argsort(returns)[-3:]
    assert set(np.asarray(elite)) == set(best)
    for name, x in members.items():
        np.testing.assert_allclose(mean[name], np.asarray(x)[best].mean(axis=0))
        np.testing.assert_allclose(std[name], np.asarray(x)[best].std(axis=0))
    _, wider, _ = refit(CrossEntropy(10, elite_fraction=0.3), members, returns, 0.5)
    np.testing.assert_allclose(wider["b"], np.sqrt(np.asarray(std["b"]) ** 2 + 0.25))


def test_a_return_that_is_no_number_ranks_last():
    members = np.arange(4.0, dtype=np.float32)
    returns = np.array([-5.0, np.nan, -7.0, -6.0], np.float32)
    mean, _, elite = refit(CrossEntropy(4, elite_fraction=0.75), members, returns, 0.0)
    assert set(np.asarray(elite)) == {0, 2, 3}
    np.testing.assert_allclose(mean, (0 + 2 + 3) / 3)


def test_samples_have_the_searchs_mean_and_deviation():
    method = CrossEntropy(20_000)
    mean, std = jnp.asarray([1.0, -2.0]), jnp.asarray([0.5, 3.0])
    drawn = np.asarray(eqx.filter_jit(method.sample)(KEY, mean, std))
    error = 4 * np.asarray(std) / 20_000**0.5
    assert (np.abs(drawn.mean(axis=0) - mean) < error).all()
    assert (np.abs(drawn.std(axis=0) - std) < error).all()


def test_a_noisy_quadratic_is_solved_within_one_percent():
    optimum = jnp.asarray(np.random.default_rng(1).normal(size=8))
    method = CrossEntropy(100, elite_fraction=0.2)
    generations = 100

    def generation(carry, inputs):
        mean, std = carry
        key, t = inputs
        sample_key, noise_key = jax.random.split(key)
        members = method.sample(sample_key, mean, std)
        returns = -jnp.sum((members - optimum[None]) ** 2, axis=1)
        returns += 1e-3 * jax.random.normal(noise_key, returns.shape)
        mean, std, _ = method.refit(members, returns, 0.5 * (1 - t / generations))
        return (mean, std), None

    @jax.jit
    def search(key):
        start = jnp.zeros(8), jnp.ones(8)
        inputs = jax.random.split(key, generations), jnp.arange(1.0, generations + 1)
        return jax.lax.scan(generation, start, inputs)[0][0]

    mean = search(KEY)
    assert np.linalg.norm(mean - optimum) <= 0.01 * np.linalg.norm(optimum)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("batch", [(), (5,)])
def test_a_population_is_one_policy_an_environment(kind, batch):
    policies = [make_policy(kind, seed) for seed in range(3)]
    population = Population(jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *policies))
    obs = jnp.asarray(np.random.default_rng(0).normal(size=(*batch, 3, OBS)), jnp.float32)
    dist = forward(population, obs)
    mode = jax.jit(type(dist.of).mode)(dist.of)
    jax.tree.map(np.testing.assert_array_equal, sample(dist, KEY), mode)
    together = jax.tree.leaves(dist)
    for i, policy in enumerate(policies):
        alone = jax.tree.leaves(forward(policy, np.asarray(obs)[..., i, :]))
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(np.asarray(a)[..., i, :], b, rtol=1e-5, atol=1e-6)


def test_a_population_of_another_size_than_the_environments_is_refused():
    options = {"backend": "device", "num_envs": 4, "hidden": (4,), "steps": 4096}
    with pytest.raises(UsageError, match=r"num_envs is 4; accepted is .* population, 6"):
        sf.train(CrossEntropy(6), "CartPole-v1", **options)


def test_a_members_return_is_the_mean_of_its_episodes_or_what_it_has_so_far():
    t, n = 6, 4
    reward = np.ones((t, n), np.float32)
    terminated = np.zeros((t, n), bool)
    truncated = np.zeros((t, n), bool)
    valid = np.ones((t, n), bool)
    terminated[1, 0] = truncated[4, 0] = terminated[3, 1] = True
    # A dummy row after an end, whose flags and reward mean nothing.
    valid[4, 1] = False
    terminated[4, 1] = True
    # A row that was lost within an episode: what was earned before it counts.
    valid[2, 3] = False
    episode_return = np.array(
        [[1, 1, 1, 1], [2, 2, 2, 2], [1, 3, 3, 2], [2, 4, 4, 1], [3, 0, 5, 2], [1, 1, 6, 3]],
        np.float32,
    )
    obs = np.zeros((t, n, OBS), np.float32)
    trajectory = jax.tree.map(
        jnp.asarray,
        Trajectory(
            obs=obs,
            action=np.zeros((t, n), int),
            old=forward(make_policy("categorical"), obs),
            reward=reward,
            next_obs=obs,
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            episode_return=episode_return,
            episode_length=episode_return.astype(int),
        ),
    )
    np.testing.assert_allclose(jax.jit(member_returns)(trajectory), [2.5, 4.0, 6.0, 5.0])


@pytest.mark.parametrize("backend", ["device", "host"])
def test_every_generation_starts_fresh_episodes_and_tries_what_the_state_holds(backend):
    run = prepare(
        "cem",
        "CartPole-v1",
        {"backend": backend, "steps": 4 * 6 * 9, "num_envs": 6, "horizon": 9, "hidden": (4,)},
    )
    for iteration in run.iterations():
        # The elite is one member: the deviation is what is added, which falls linearly. Of the
        # first generation, to which all observations are alike, there is no elite.
        added = 0.05 * (1 - iteration.number / 4) if iteration.number else 0.1
        assert iteration.metrics["search_std"] == pytest.approx(added, rel=1e-5)
        # Nine steps are too few for CartPole to end, so that no episode ever gets longer.
        assert iteration.metrics["population_return"] <= 9
        assert iteration.metrics["elite_return"] >= iteration.metrics["population_return"]
        assert iteration.metrics["kl_mean"] >= 0
    members = jax.tree.leaves(run.state.policy_state.members)
    assert all(x.shape[0] == 6 for x in members)
    std = jax.tree.leaves(eqx.filter(run.state.policy_state.std, eqx.is_array))
    assert all((np.asarray(x) > 0).all() for x in std)


@pytest.mark.slow
def test_cem_learns_cartpole():
    run = prepare("cem", "CartPole-v1", {"backend": "device", "steps": 400_000, "horizon": 500})
    returns = np.concatenate([i.episode_returns for i in run.iterations()])
    assert returns[-100:].mean() > 3 * returns[:100].mean()
