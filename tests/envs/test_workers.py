"""Environments in worker processes: the same as in this one, whatever happens to a process."""

import functools
import itertools
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from support import runs
from support.environments import faulty
from support.suites import cases
from surefoot.cli.main import main
from surefoot.common.errors import FailedEnvironmentError
from surefoot.core.data.advantages import gae
from surefoot.core.data.normalization import NoNormalizer
from surefoot.core.data.reward_scaling import reward_scaler
from surefoot.core.networks import CategoricalHead
from surefoot.envs.make import make_groups, make_host
from surefoot.envs.spaces.actions import action_map
from surefoot.runs.options import prepare
from surefoot.training.rollout import Episodes, HostRollout

LOCK = threading.Lock()
STAY, MISBEHAVE = np.array([0, 0]), np.array([0, 1])


@pytest.fixture
def started():
    """Makes one group of environments that is closed in the end."""
    groups = []

    def start(source, num_envs=2, **options):
        made = make_groups(
            source,
            num_envs,
            most=1,
            backend="host",
            vectorization="async",
            env_threads=0,
            **options,
        )
        groups.extend(made)
        return made[0]

    yield start
    for group in groups:
        group.close()


def alive(pid):
    """Whether there is such a process, and it is not one that only waits to be told ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds):
    for _ in range(3000):
        if holds():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("env_id", ["CartPole-v1", "HalfCheetah-v5"])
def test_the_rows_are_those_of_this_process_bit_for_bit(env_id, started):
    space = gymnasium.make(env_id).action_space
    space.seed(0)
    make = functools.partial(gymnasium.make, env_id, max_episode_steps=25)
    here, there = make_host(make, 2), started(make)
    np.testing.assert_array_equal(here.reset(5), there.reset(5))
    ends = 0
    for _ in range(60):
        action = np.stack([space.sample(), space.sample()])
        expected, got = here.step(action), there.step(action)
        for a, b in zip(expected, got, strict=True):
            np.testing.assert_array_equal(a, b)
        ends += (got.terminated | got.truncated).sum()
    assert ends >= 4
    np.testing.assert_array_equal(here.reset(), there.reset())
    here.close()


def test_a_worker_has_not_imported_jax_and_an_environment_each(started):
    env = started(faulty.Counter, 3)
    pids = env.stepper.call("pid", [()] * 3)
    assert pids == env.stepper.pids
    assert len({os.getpid(), *pids}) == 4
    assert env.stepper.call("imported", [("jax",)] * 3) == [False] * 3


def test_a_method_of_each_environment_is_called_with_its_own_arguments(started):
    env = started(faulty.Counter)
    env.reset(0)
    env.step(STAY)
    assert env.stepper.call("add", [(10, 100), (20, 200)]) == [111, 221]


@pytest.mark.parametrize(
    ("source", "how"), [(faulty.Dies, "SIGKILL"), (faulty.Exits, "exit code 3")]
)
def test_a_process_that_dies_is_replaced_and_its_step_is_no_transition(source, how, started):
    env = started(source)
    np.testing.assert_array_equal(env.reset(7), [[7, 0], [8, 0]])
    first = env.step(STAY)
    assert first.valid.all()
    assert first.notices == ()
    pids = env.stepper.pids
    lost = env.step(MISBEHAVE)
    np.testing.assert_array_equal(lost.valid, [True, False])
    np.testing.assert_array_equal(lost.obs[0], [7, 2])
    seed, steps = lost.obs[1]
    assert (seed, steps) != (8, 2)
    assert steps == 0
    assert not (lost.terminated | lost.truncated).any()
    (notice,) = lost.notices
    assert notice.startswith(f"environment 1 (seed 8) lost its worker process ({how}): restarted")
    assert "\n" not in notice
    assert env.stepper.pids[0] == pids[0]
    assert not alive(pids[1])
    after = env.step(STAY)
    assert after.valid.all()
    assert after.notices == ()
    np.testing.assert_array_equal(after.obs, [[7, 3], [seed, 1]])


def test_the_seed_after_a_restart_depends_on_the_run_the_environment_and_the_restart(started):
    def seeds(first):
        env = started(faulty.Dies)
        env.reset(first)
        return [env.step(1 - STAY).obs[:, 0].tolist() for _ in range(2)]

    told = seeds(3)
    assert seeds(3) == told
    assert len({seed for step in told + seeds(30) for seed in step}) == 8


def test_a_process_killed_between_two_steps_loses_the_next_one(started):
    env = started(faulty.Counter)
    env.reset(0)
    env.step(STAY)
    os.kill(env.stepper.pids[0], signal.SIGKILL)
    row = env.step(STAY)
    np.testing.assert_array_equal(row.valid, [False, True])
    assert row.obs[0, 1] == 0
    assert env.step(STAY).obs[0, 1] == 1


def test_a_process_killed_before_a_call_is_asked_again_and_loses_the_next_step(started):
    env = started(faulty.Counter)
    env.reset(0)
    env.step(STAY)
    os.kill(env.stepper.pids[0], signal.SIGKILL)
    assert env.stepper.call("add", [(0, 0)] * 2) == [0, 1]
    row = env.step(STAY)
    np.testing.assert_array_equal(row.valid, [False, True])
    np.testing.assert_array_equal(row.obs[:, 1], [0, 2])
    assert len(row.notices) == 1


def test_a_process_that_dies_in_a_reset_loses_nothing(started):
    env = started(faulty.DiesOnReset)
    env.reset(0)
    env.step(STAY)
    obs = env.reset(1)
    assert (obs[:, 0] != [1, 2]).all()
    row = env.step(STAY)
    assert row.valid.all()
    np.testing.assert_array_equal(row.obs[:, 0], obs[:, 0])
    assert len(row.notices) == 2


def test_a_step_that_takes_too_long_is_ended_at_the_limit(started):
    env = started(faulty.Hangs, env_timeout=1.0)
    env.reset(0)
    (_, hanging) = env.stepper.pids
    begin = time.monotonic()
    row = env.step(MISBEHAVE)
    assert time.monotonic() - begin >= 1.0
    np.testing.assert_array_equal(row.valid, [True, False])
    assert "environment 1 (seed 1) gave no answer within 1 s: restarted" in row.notices[0]
    assert not alive(hanging)
    assert env.step(STAY).valid.all()


def test_a_slow_step_is_waited_for_where_there_is_no_limit(started):
    env = started(faulty.Counter, env_timeout=0)
    env.reset(0)
    pid = env.stepper.pids[0]
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()
    assert env.step(STAY).valid.all()


def test_too_many_restarts_are_an_error_that_names_the_environment(started):
    env = started(faulty.Dies, max_env_restarts=3)
    env.reset(40)
    for _ in range(3):
        assert not env.step(MISBEHAVE).valid[1]
    pids = env.stepper.pids
    with pytest.raises(FailedEnvironmentError) as error:
        env.step(MISBEHAVE)
    message = str(error.value)
    assert message.startswith("environment 1 (seed ")
    assert "lost its worker process (SIGKILL)" in message
    assert "3 restarts are used up" in message
    assert "raise max_env_restarts" in message
    env.close()
    assert not any(map(alive, pids))


def test_the_pools_of_a_run_share_the_restarts_and_number_their_environments():
    groups = make_groups(
        faulty.Dies,
        4,
        backend="host",
        vectorization="async",
        env_threads=0,
        max_env_restarts=1,
    )
    assert [group.num_envs for group in groups] == [2, 2]
    for group in groups:
        group.reset(0)
    assert "environment 1 " in groups[0].step(MISBEHAVE).notices[0]
    with pytest.raises(FailedEnvironmentError, match=r"environment 3 .*1 restarts are used up"):
        groups[1].step(MISBEHAVE)
    for group in groups:
        group.close()


def test_an_exception_is_reported_with_its_traceback_seed_and_action_and_not_tried_again(started):
    env = started(faulty.Raises)
    env.reset(20)
    pids = env.stepper.pids
    with pytest.raises(FailedEnvironmentError) as error:
        env.step(MISBEHAVE)
    first, *rest = str(error.value).split("\n")
    assert first.startswith(
        "environment 1 (seed 21), last action 1, raised ZeroDivisionError: a def"
    )
    assert "in misbehave" in "".join(rest)
    assert "environments/faulty.py" in "".join(rest)
    assert env.stepper.pids == pids
    env.close()
    assert not any(map(alive, pids))


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (faulty.CannotBeMade, FailedEnvironmentError, r"environment 0 .*raised ValueError: never"),
        (faulty.NeedsMore, sf.UsageError, r"needs a package that is not installed: .*no_such_pac"),
        (LOCK.acquire, sf.UsageError, r"cannot be sent to a worker .*'sync'"),
        (3, sf.UsageError, "environment 3; accepted are a Gymnasium id, a callable"),
        ("CartPol-v1", sf.UsageError, "Did you mean 'CartPole-v1'"),
    ],
)
def test_what_cannot_be_made_is_an_error_before_anything_starts(source, kind, message, started):
    with pytest.raises(kind, match=message) as error:
        started(source)
    assert kind is not sf.UsageError or "\n" not in str(error.value)


def test_closing_ends_a_process_that_hangs_too(started):
    env = started(faulty.Hangs)
    env.reset(0)
    pids = env.stepper.pids
    env.send(MISBEHAVE)
    env.close()
    assert not any(map(alive, pids))
    env.close()


def test_a_training_run_survives_kills_and_keeps_to_its_budget():
    options = {"num_envs": 4, "horizon": 16, "hidden": (4,)}
    run = prepare("reinforce", "CartPole-v1", {**options, "steps": 640, "vectorization": "async"})
    victims = [group.stepper for group in run._loop.groups]
    told = []
    for iteration in run.iterations():
        told.append(iteration)
        if len(told) in (1, 3, 6):
            os.kill(victims[len(told) % 2].pids[0], signal.SIGKILL)
    restarts = sum(len(iteration.notices) for iteration in told)
    assert restarts == 3
    assert told[-1].steps == 640
    assert sum(int(iteration.metrics["valid_rows"]) for iteration in told) == 640 - restarts
    for leaf in jax.tree.leaves(eqx.filter(run.state, eqx.is_inexact_array)):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize("baseline", cases([True, False], fast=[False]))
def test_lost_steps_are_of_the_budget(baseline):
    """Three of four rows are lost in every batch: the run ends where it would have without."""
    options = {"num_envs": 1, "horizon": 4, "hidden": (4,), "steps": 12, "baseline": baseline}
    run = prepare(
        "reinforce", faulty.Counter, {**options, "vectorization": "async", "max_env_restarts": 99}
    )
    (group,) = run._loop.groups
    step, taken = group.stepper.send, []

    def send(action):
        taken.append(1)
        if len(taken) % 4:
            os.kill(group.stepper.pids[0], signal.SIGKILL)
        step(action)

    group.stepper.send = send
    told = list(run.iterations())
    assert [iteration.steps for iteration in told] == [4, 8, 12]
    assert [int(iteration.metrics["valid_rows"]) for iteration in told] == [1, 1, 1]
    assert len(taken) == 12


def collect(kills, *, horizon=24, num_envs=3, length=7):
    """Two batches of rows of episodes of `length` steps, where the processes in `kills` (row,
    environment) are killed before that step."""
    env = make_host(functools.partial(faulty.Reuses, length), num_envs, vectorization="async")
    rollout = HostRollout([env], horizon, action_map(env.action_space))
    policy = sf.mlp_policy(jax.random.key(0), 2, CategoricalHead(2), hidden=(4,))
    send, sent = env.stepper.send, itertools.count()

    def kill_and_send(action):
        t = next(sent)
        for i in range(num_envs):
            if (t, i) in kills:
                os.kill(env.stepper.pids[i], signal.SIGKILL)
        send(action)

    env.stepper.send = kill_and_send
    state, batches = rollout.init(0), []
    rollout.compile(state, policy, NoNormalizer(), jax.random.key(1))
    for _ in range(2):
        state, rows, info = rollout(state, policy, NoNormalizer(), jax.random.key(1))
        batches.append((rows, info.notices))
    env.close()
    return batches


#: In the middle of an episode, twice in a row, in the last row of a batch and the first of one, in
#: the last step of an episode, in the first step of one.
KILLS = {(3, 0), (10, 1), (11, 1), (23, 0), (24, 2), (6, 2), (35, 1)}


@pytest.fixture(scope="module")
def batches():
    return collect(KILLS)


def test_only_the_steps_of_killed_processes_are_no_transitions(batches):
    lost = ~np.concatenate([rows.valid for rows, _ in batches])
    assert {(int(t), int(i)) for t, i in np.argwhere(lost)} == KILLS
    assert sum(len(notices) for _, notices in batches) == len(KILLS)


def test_the_next_observation_is_the_episodes_own_also_at_its_end(batches):
    for rows, _ in batches:
        taken = rows.obs + np.array([0.0, 1.0])
        np.testing.assert_array_equal(rows.next_obs[rows.valid], taken[rows.valid])


def value(obs):
    """Some value function."""
    return 0.37 * obs[..., 1] - 0.001 * (obs[..., 0] % 1000)


@jax.jit
def advantages(*rows):
    return gae(*rows, discount=0.9, gae_lambda=0.8)


def test_no_advantage_reaches_across_a_lost_step(batches, x64):
    """Against residuals summed along what the environments themselves say hangs together: the
    observation is (seed, steps since the episode began)."""
    before_a_gap = 0
    for rows, _ in batches:
        obs, next_obs = rows.obs.astype(float), rows.next_obs.astype(float)
        advantage = advantages(
            np.asarray(rows.reward, float),
            value(obs),
            value(next_obs),
            rows.terminated,
            rows.truncated,
            rows.valid,
        )
        horizon, num_envs = rows.valid.shape
        for i in range(num_envs):
            after = 0.0
            for t in reversed(range(horizon)):
                if not rows.valid[t, i]:
                    assert advantage[t, i] == 0
                    continue
                steps = obs[t, i, 1] + 1
                lost_next = t + 1 < horizon and not rows.valid[t + 1, i]
                last = t + 1 == horizon or steps == 7 or lost_next
                assert last or np.array_equal(obs[t + 1, i], next_obs[t, i])
                bootstrap = 0.0 if steps == 7 else 0.9 * value(np.array([obs[t, i, 0], steps]))
                residual = steps + bootstrap - value(obs[t, i])
                after = residual + (0.0 if last else 0.9 * 0.8 * after)
                np.testing.assert_allclose(advantage[t, i], after, rtol=1e-9)
                before_a_gap += lost_next and steps < 7
    assert before_a_gap >= 4


def test_a_lost_episode_is_in_no_statistic_and_the_next_one_starts_from_nothing(batches):
    for rows, _ in batches:
        returns, lengths = Episodes.of(rows).ended()
        assert len(lengths) >= 5
        # Every episode that ends has all of its 7 steps and the reward 1 + … + 7.
        np.testing.assert_array_equal(lengths, 7)
        np.testing.assert_array_equal(returns, 28)


def test_the_scaled_return_starts_from_nothing_after_a_lost_step(batches, x64):
    scaler, seen = reward_scaler(3), []
    for rows, _ in batches:
        done = (rows.terminated | rows.truncated) & rows.valid
        arrays = map(jnp.asarray, (rows.reward.astype(float), done, rows.valid))
        scaler = scaler.update(*arrays, 0.9)
        # The reward is the number of steps since the episode began.
        steps = rows.obs[..., 1][rows.valid].astype(int) + 1
        seen += [sum(0.9 ** (last - k) * k for k in range(1, last + 1)) for last in steps]
    np.testing.assert_allclose(scaler.moments.mean, np.mean(seen), rtol=1e-9)
    np.testing.assert_allclose(scaler.moments.var, np.var(seen), rtol=1e-9)


def run_script(folder, script):
    file = folder / "script.py"
    file.write_text(textwrap.dedent(script))
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(sf.__file__).parents[1])])
    return subprocess.Popen(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_without_a_guard_that_defines_its_environment_can_use_workers(tmp_path):
    process = run_script(
        tmp_path,
        """
        import jax
        from support.environments.faulty import Counter
        from surefoot.envs.make import make_host

        class Mine(Counter):
            pass

        env = make_host(lambda: Mine(3), 2, vectorization="async")
        print(env.reset(4).tolist(), env.stepper.call("imported", [("jax",)] * 2))
        env.close()
        """,
    )
    out, err = process.communicate()
    assert (out, err) == ("[[4.0, 0.0], [5.0, 0.0]] [False, False]\n", "")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_behind(sent, tmp_path):
    process = run_script(
        tmp_path,
        """
        import signal

        import support.environments.faulty
        from surefoot.envs.make import make_host

        # Tests that run in the background have it ignored, and so has what they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        env = make_host(support.environments.faulty.Counter, 2, vectorization="async")
        env.reset(0)
        print(*env.stepper.pids, flush=True)
        while True:
            env.step([0, 0])
        """,
    )
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert all(map(alive, pids))
    if sent == signal.SIGINT:
        # Ctrl-C reaches all processes of the terminal's group.
        os.killpg(process.pid, sent)
    else:
        process.kill()
    _, err = process.communicate()
    assert wait_until(lambda: not any(map(alive, pids)))
    assert err.count("Traceback") == (sent == signal.SIGINT)
    assert ("KeyboardInterrupt" in err) == (sent == signal.SIGINT)


METHODS = {"reinforce": "--no-baseline", "trpo": "--critic-minibatch-size=16"}


@pytest.fixture(params=cases(METHODS, fast=["reinforce"]))
def train(request):
    def train(env_id, out, *options):
        tiny = ["--num-envs=2", "--horizon=8", "--steps=64", "--hidden=4", METHODS[request.param]]
        command = ["train", request.param, env_id, "--vectorization=async", f"--out={out}"]
        return main([*command, *tiny, *options])

    return train


@pytest.fixture
def registered():
    """Registers environments for one test."""
    ids = []

    def register(make):
        ids.append(f"Registered{len(ids)}-v0")
        gymnasium.register(ids[-1], entry_point=make, disable_env_checker=True)
        return ids[-1]

    yield register
    for env_id in ids:
        del gymnasium.registry[env_id]


def test_the_command_line_reports_a_defect_once_and_exits_with_1(
    train, registered, tmp_path, capsys
):
    code = train(registered(faulty.RaisesAfter), tmp_path / "run")
    assert code == 1
    err = capsys.readouterr().err
    assert re.match(r"surefoot: environment 0 \(seed \d+\), last action [01], raised ZeroDi", err)
    assert err.count("Traceback") == 1
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 2


def test_restarts_are_told_and_counted(train, registered, tmp_path, capsys):
    assert train(registered(faulty.DiesAfter), tmp_path / "run") == 0
    out = capsys.readouterr().out
    told = (
        r"^environment 0 \(seed \d+\) lost its worker process \(SIGKILL\): restarted with seed \d+$"
    )
    assert re.search(told, out, re.MULTILINE)
    rows = runs.rows(tmp_path / "run")
    restarts = sum(row["env_restarts"] for row in rows)
    assert restarts == out.count("lost its worker process") > 0
    assert rows[-1]["steps"] == 16 * len(rows)
    assert sum(row["valid_rows"] for row in rows) == 16 * len(rows) - restarts


def test_the_limits_are_options(train, registered, tmp_path, capsys):
    assert train(registered(faulty.DiesAfter), tmp_path / "a", "--max-env-restarts", "0") == 1
    assert "the run's 0 restarts are used up" in capsys.readouterr().err
    assert train("CartPole-v1", tmp_path / "b", "--env-timeout", "-1") == 2
    assert "env_timeout is -1.0; accepted is a finite number >= 0" in capsys.readouterr().err
