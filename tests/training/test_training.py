"""`train` as a whole: reproducible, within its budget, with honest records, for every space."""

import itertools
import json
import math
from typing import NamedTuple

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import surefoot as sf
from support.runs import BATCH, TINY
from support.suites import cases
from surefoot.core.data.count import Count
from surefoot.methods.learners.learner import progress
from surefoot.runs.display.progress import CallbackDisplay
from surefoot.runs.execute import execute
from surefoot.runs.options import prepare
from surefoot.runs.run import Run
from surefoot.training.iteration import Iteration

STEPS = BATCH * 6 + 100
MAX_KL = 0.01


class Trained(NamedTuple):
    run: Run
    iterations: list[Iteration]
    rows: list[dict]


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    def make(algorithm, *, env="CartPole-v1", **options):
        run = prepare(algorithm, env, {**TINY, "steps": STEPS, **options})
        folder = tmp_path_factory.mktemp("runs") / "run"
        iterations = []
        display = CallbackDisplay(show=iterations.append)
        execute([run], [folder], display)
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return Trained(run, iterations, [strict_json(line) for line in lines])

    return make


@pytest.fixture(scope="module")
def trpo(train):
    return train("trpo", critic_minibatch_size=32)


@pytest.fixture(scope="module")
def ppo(train):
    return train("ppo_clip", backend="device")


def leaves(state):
    named = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path): np.asarray(
            jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        )
        for path, leaf in named
    }


def assert_identical(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def without_timing(rows):
    return [{k: v for k, v in row.items() if k != "timing"} for row in rows]


def test_the_same_seed_gives_the_same_bits_on_the_host(trpo, train):
    again = train("trpo", critic_minibatch_size=32)
    assert_identical(leaves(trpo.run.state), leaves(again.run.state))
    assert without_timing(trpo.rows) == without_timing(again.rows)


def test_the_same_seed_gives_the_same_bits_on_the_device_and_another_does_not(ppo, train):
    again, other = (train("ppo_clip", backend="device", seed=seed) for seed in (0, 1))
    assert_identical(leaves(ppo.run.state), leaves(again.run.state))
    assert without_timing(ppo.rows) == without_timing(again.rows)

    different = leaves(other.run.state)
    for name, leaf in leaves(ppo.run.state).items():
        if "weights" in name:
            assert (leaf != different[name]).any(), name
    assert without_timing(ppo.rows) != without_timing(other.rows)


def test_an_algorithm_composed_by_hand_is_the_recipe(trpo, train):
    adam = optax.flatten(optax.adam(1.0))
    critic = sf.Step(sf.Likelihood(), sf.Optax(adam), sf.Fixed(1e-3))
    algorithm = sf.Algorithm(
        sf.Step(
            sf.Surrogate(),
            sf.Fisher(sf.CG(10), damping=0.1),
            sf.Backtrack(sf.KLBall(MAX_KL), max_kl=MAX_KL),
        ),
        sf.Epochs(critic, epochs=20, minibatch_size=32),
        discount=0.99,
        gae_lambda=0.95,
    )
    run = prepare(algorithm, "CartPole-v1", {**TINY, "steps": STEPS})
    for _ in run.iterations():
        pass
    assert_identical(leaves(trpo.run.state), leaves(run.state))


@pytest.mark.parametrize("name", ["trpo", "ppo"])
def test_the_budget_is_rounded_down_to_whole_batches_and_spent(name, request):
    trained = request.getfixturevalue(name)
    assert trained.run.steps == 6 * BATCH
    assert [row["steps"] for row in trained.rows] == [BATCH * (i + 1) for i in range(6)]
    assert [row["iteration"] for row in trained.rows] == list(range(6))
    assert int(trained.run.state.steps) == 6 * BATCH


class Toy(gymnasium.Env):
    """Random observations and rewards, four steps an episode; insists on a proper action."""

    taken = 0
    closed = 0

    def __init__(self, action_space):
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-5.0, 5.0, (2,)), "kind": spaces.Discrete(3, start=1)}
        )
        self.action_space = action_space

    def _observation(self):
        place = self.np_random.normal(size=2).clip(-5, 5).astype(np.float32)
        return {"place": place, "kind": self.np_random.integers(1, 4)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._step = 0
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        Toy.taken += 1
        self._step += 1
        return self._observation(), self.np_random.normal(), self._step == 4, False, {}

    def close(self):
        Toy.closed += 1


UPDATE = {"objective_before", "objective_after", "predicted_improvement", "entropy"}
DIAGNOSTICS = UPDATE | {"kl_mean", "kl_max", "step_scale", "grad_norm", "explained_variance"}
TRPO_DIAGNOSTICS = {"backtracks", "accepted", "cg_steps", "relative_residual", "d_fisher_d"}


@pytest.mark.parametrize(("name", "own"), [("trpo", TRPO_DIAGNOSTICS), ("ppo", {"clip_fraction"})])
def test_every_row_holds_every_diagnostic(name, own, request):
    for row in request.getfixturevalue(name).rows:
        for diagnostic in DIAGNOSTICS | own:
            assert math.isfinite(row[diagnostic]), diagnostic
        assert len(row["episode_returns"]) == len(row["episode_lengths"])


def test_timing_says_where_the_time_went(trpo, ppo):
    for i, row in enumerate(trpo.rows):
        timing = row["timing"]
        parts = [timing[part] for part in ("environment", "act", "update", "compile")]
        assert all(part > 0 for part in parts[:3])
        assert (timing["compile"] > 0) == (i == 0)
        assert sum(parts) <= timing["total"] + 1e-6
        assert timing["steps_per_s"] == pytest.approx(BATCH / timing["total"])
    for row in ppo.rows:
        timing = row["timing"]
        assert timing["environment"] is timing["act"] is timing["update"] is None
        assert timing["program"] > 0
        assert timing["steps_per_s"] == pytest.approx(BATCH / timing["total"])
    assert ppo.rows[0]["timing"]["compile"] > 0


@pytest.mark.parametrize("name", ["trpo", "ppo"])
def test_reported_returns_are_raw_while_the_learner_sees_scaled_rewards(name, request):
    trained = request.getfixturevalue(name)
    ended = [row for row in trained.rows if row["episode_returns"]]
    assert ended
    for row in ended:
        # CartPole earns 1 a step.
        assert row["episode_returns"] == row["episode_lengths"]
    assert all(row["reward_scale"] < 0.5 for row in trained.rows)


def test_an_accepted_step_keeps_its_promises_and_a_refused_one_moves_nothing(trpo):
    accepted = [row for row in trpo.rows if row["accepted"]]
    assert accepted
    for row in accepted:
        assert 0 < row["kl_mean"] <= MAX_KL * (1 + 1e-6)
        assert row["kl_mean"] <= row["kl_max"]
        assert row["objective_after"] >= row["objective_before"]
        assert 0 <= row["backtracks"] < 10
    for row in trpo.rows:
        if not row["accepted"]:
            assert row["kl_mean"] == 0
            assert row["objective_after"] == row["objective_before"]


def test_the_normalizer_and_the_scaler_saw_every_step_once(trpo, ppo):
    for trained in (trpo, ppo):
        state = trained.run.state
        assert int(state.normalizer.moments.seen) == trained.run.steps
        assert int(state.scaler.moments.seen) == trained.run.steps


ACTION_SPACES = {
    "Box": spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 10.0], np.float32)),
    "Discrete": spaces.Discrete(3, start=-1),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(3),
}


#: Episodes of four steps fill the batch.
TOYS = {"num_envs": 2, "horizon": 8, "hidden": (4,), "critic_minibatch_size": 8}
METHODS = ["trpo", "ppo_clip", "reinforce", "reinforce with its baseline"]
FAST = [
    ("trpo", "Box"),
    ("ppo_clip", "MultiDiscrete"),
    ("reinforce", "Discrete"),
    ("reinforce", "MultiBinary"),
]


@pytest.mark.parametrize(
    ("algorithm", "space"),
    [
        pytest.param(*case, marks=() if case in FAST else pytest.mark.slow)
        for case in itertools.product(METHODS, ACTION_SPACES)
    ],
)
def test_every_action_space_trains_from_dict_observations(algorithm, space):
    options = {**TOYS, "steps": 16}
    if algorithm == "ppo_clip":
        options["minibatch_size"] = 8
    if algorithm == "reinforce":
        options["baseline"] = False
    action_space = ACTION_SPACES[space]
    closed = Toy.closed
    run = prepare(algorithm.split()[0], lambda: Toy(action_space), options)
    before = leaves(run.state.policy)
    (iteration,) = run.iterations()
    assert Toy.closed == closed + 2, "environments that the run made are closed"

    after = leaves(run.state.policy)
    assert all(np.isfinite(leaf).all() for leaf in after.values())
    moved = any((leaf != before[name]).any() for name, leaf in after.items())
    assert moved == iteration.metrics.get("accepted", True)
    assert iteration.metrics["learned_rows"] == 16
    assert list(iteration.episode_lengths) == [4] * 4
    action, _ = run.agent().predict(Toy(action_space).reset(seed=0)[0])
    assert action_space.contains(action)


def test_dummy_rows_are_not_charged_to_the_budget():
    space = ACTION_SPACES["Discrete"]
    vector = SyncVectorEnv([lambda: Toy(space)] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    # 95 steps are five batches of 16 rows; without the dummy ones there is room for a sixth.
    steps, rows = 95, 16
    # Without a critic nothing is collected ahead.
    run = prepare("reinforce", vector, {**TOYS, "steps": steps, "baseline": False})
    before, closed = Toy.taken, Toy.closed
    done = [(iteration.steps, Toy.taken - before) for iteration in run.iterations()]
    assert [charged for charged, _ in done] == [taken for _, taken in done]
    assert len(done) > steps // rows
    assert steps - rows < done[-1][0] <= steps
    assert Toy.closed == closed, "a vector environment that was handed in stays open"


MISTAKES = [
    ("tpro", "CartPole-v1", {}, "unknown algorithm 'tpro'; .* Did you mean 'trpo'"),
    ("trpo", "CartPoel-v1", {}, "'CartPoel-v1' .* Did you mean 'CartPole-v1'"),
    ("trpo", 3, {}, "environment 3; accepted are a Gymnasium id"),
    ("trpo", "CartPole-v1", {"max_lk": 0.1}, "unknown option 'max_lk' .* Did you mean 'max_kl'"),
    ("trpo", "CartPole-v1", {"clip": 0.2}, "unknown option 'clip' for trpo"),
    ("trpo", "CartPole-v1", {"max_kl": -0.01}, "max_kl is -0.01; accepted is a finite number > 0"),
    ("trpo", "CartPole-v1", {"max_kl": 0}, "max_kl is 0;"),
    ("trpo", "CartPole-v1", {"max_kl": math.nan}, "max_kl is nan;"),
    ("trpo", "CartPole-v1", {"damping": math.inf}, "damping is inf;"),
    ("trpo", "CartPole-v1", {"discount": 1.5}, "discount is 1.5;"),
    ("trpo", "CartPole-v1", {"decay": 0.0}, "decay is 0.0;"),
    ("trpo", "CartPole-v1", {"cg_steps": 2.5}, "cg_steps is 2.5; accepted is an integer"),
    ("trpo", "CartPole-v1", {"num_envs": 0}, "num_envs is 0;"),
    ("trpo", "CartPole-v1", {"num_envs": True}, "num_envs is True;"),
    ("trpo", "CartPole-v1", {"critic_minibatch_size": 0}, "critic_minibatch_size is 0;"),
    ("trpo", "CartPole-v1", {**TINY, "steps": 127}, "at least one batch .* 32 × 4 = 128 "),
    ("trpo", "CartPole-v1", {"steps": 0}, "steps is 0;"),
    ("trpo", "CartPole-v1", {"steps": -1}, "steps is -1;"),
    ("trpo", "CartPole-v1", {"seed": -1}, "seed is -1;"),
    ("trpo", "CartPole-v1", {"hidden": (64, 0)}, r"hidden is \(64, 0\)"),
    ("trpo", "CartPole-v1", {"hidden": 64}, "hidden is 64; accepted is a tuple of integers"),
    ("trpo", "CartPole-v1", {"steps": 10**30}, "steps is 10+; .* <= 1,152,921,504,606,846,976"),
    ("trpo", "CartPole-v1", {"seed": 10**30}, "seed is 10+; .* <= 4,294,967,295"),
    ("trpo", "CartPole-v1", {"log_std": 9.0}, "log_std is 9.0; .* >= -5 and <= 5"),
    (
        "trpo",
        "CartPole-v1",
        {"backend": "gpu"},
        "backend is 'gpu'; accepted are 'host', 'envpool', 'device'",
    ),
    ("trpo", "CartPole-v1", {"scale_rewards": "no"}, "scale_rewards is 'no';"),
    ("trpo", "Acrobot-v1", {"backend": "device"}, "no device version; accepted are CartPole-v1"),
    ("trpo", lambda: Toy(spaces.Text(3)), {}, "action space Text.* is not supported"),
    ("trpo", lambda: Toy(spaces.Box(0, 9, (2,), np.int64)), {}, "action space Box.* of floats"),
]


@pytest.mark.parametrize(("algorithm", "env", "options", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(algorithm, env, options, message, tmp_path):
    with pytest.raises(sf.UsageError, match=message) as error:
        sf.train(algorithm, env, out=tmp_path / "run", **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(sf.UsageError, match="exists; accepted is a new path"):
        sf.train("trpo", "CartPole-v1", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


class Broken(Toy):
    def step(self, action):
        raise KeyError("broken on purpose")


def test_an_environments_own_error_keeps_its_traceback():
    closed = Toy.closed
    with pytest.raises(KeyError, match="broken on purpose") as error:
        sf.train(
            "reinforce",
            lambda: Broken(spaces.Discrete(2)),
            steps=16,
            num_envs=2,
            horizon=8,
            hidden=(4,),
            critic_minibatch_size=8,
        )
    assert error.traceback[-1].name == "step"
    assert Toy.closed == closed + 2


def test_what_fails_while_compiling_leaves_no_folder(tmp_path):
    update = sf.Step(sf.TrustRegionGradient(0.1), sf.Euclidean(), sf.Fixed(0.1))
    with pytest.raises(sf.UsageError, match=r"TrustRegionGradient needs batch\.average; .*Average"):
        sf.train(
            sf.Algorithm(update),
            "CartPole-v1",
            steps=16,
            num_envs=2,
            horizon=8,
            out=tmp_path / "run",
        )
    assert not list(tmp_path.iterdir())


def test_a_recipe_object_is_called_by_its_name_and_numpy_numbers_are_recorded_as_plain_ones():
    recipe = sf.recipes.Reinforce(learning_rate=np.float32(0.25), num_envs=np.int64(2), horizon=9)
    config = prepare(recipe, "CartPole-v1", {"steps": np.int64(18), "hidden": [4]}).config()
    assert config["algorithm"] == "reinforce"
    assert config["setup"]["hidden"] == (4,)
    strict_json(json.dumps(config))


SIDE_BY_SIDE = {**TINY, "backend": "device", "steps": STEPS}


@pytest.mark.parametrize("algorithm", cases(["trpo", "ppo_clip"], fast=["ppo_clip"]))
def test_seeds_side_by_side_learn_what_each_learns_alone(algorithm, tmp_path):
    seeds = [5, 3, 4]
    agents = sf.train_seeds(algorithm, "CartPole-v1", seeds, out=tmp_path / "runs", **SIDE_BY_SIDE)
    for seed, agent in zip(seeds, agents, strict=True):
        alone = prepare(algorithm, "CartPole-v1", {**SIDE_BY_SIDE, "seed": seed})
        first, *_ = alone.iterations()
        folder = tmp_path / "runs" / f"seed-{seed}"
        assert json.loads((folder / "config.json").read_text())["setup"]["seed"] == seed
        rows = [strict_json(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [row["steps"] for row in rows] == [BATCH * (i + 1) for i in range(6)]
        assert rows[0]["episode_returns"] == first.episode_returns.tolist()
        for name, value in first.metrics.items():
            # At the tolerance, rounding decides about one iteration more.
            slack = 1 if name == "cg_steps" else 1e-5
            assert rows[0][name] == pytest.approx(value, rel=2e-3, abs=slack), name
        for a, b in zip(
            jax.tree.leaves(agent.policy), jax.tree.leaves(alone.agent().policy), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-4)
        saved = sf.load(folder)
        for a, b in zip(jax.tree.leaves(agent.policy), jax.tree.leaves(saved.policy), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("seeds", "options", "message"),
    [
        (
            [0, 1],
            {"backend": "host"},
            "2 seeds at once on the backend 'host'; accepted is 'device'",
        ),
        ([0, 0], {}, "seeds is .0, 0.; accepted are one or more that differ"),
        ([], {}, "seeds is ..; accepted"),
        ([0, 1], {"seed": 1}, "seed and seeds; accepted is one of them"),
    ],
)
def test_seeds_that_cannot_be_side_by_side_are_refused(seeds, options, message, tmp_path):
    with pytest.raises(sf.UsageError, match=message):
        sf.train_seeds(
            "trpo", "CartPole-v1", seeds, out=tmp_path / "runs", **{**SIDE_BY_SIDE, **options}
        )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("backend", "done"), [("host", 2**31), ("host", 2**53), ("device", 2**31)])
def test_steps_are_counted_exactly_however_many_there_are(backend, done):
    done -= BATCH

    def run():
        options = {**TINY, "backend": backend, "steps": done + 2 * BATCH + 1}
        return prepare("trpo", "CartPole-v1", options)

    first = next(run().iterations())
    snapshot = first.snapshot()
    moments = first.state.normalizer.moments._replace(seen=Count.of(done))
    state = first.state._replace(
        steps=Count.of(done),
        normalizer=eqx.tree_at(lambda n: n.moments, first.state.normalizer, moments),
    )
    later = run()
    budget = done + 2 * BATCH
    number = min(done // BATCH, 2**24)
    later.restore(state, snapshot, iterations=number, steps=done, budget=budget)
    assert [one.steps for one in later.iterations()] == [done + BATCH, done + 2 * BATCH]
    assert int(later.state.steps) == int(later.state.normalizer.moments.seen) == done + 2 * BATCH
    assert 0.99 < float(progress(later.state)) <= 1
