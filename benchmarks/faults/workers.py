"""What becomes of a run whose worker processes are killed, or hang.

    python -m benchmarks.faults.workers [kills]

One worker of a training run on HalfCheetah-v5 is killed by SIGKILL 50 times, once an iteration.
Every step of the budget must be a transition or a lost one, as many lost ones as kills, and a
recovery (the step in which a worker is restarted) take under 5 s. Then an environment hangs for
60 s in a step that may take 5 s: it must be ended after that time, give or take 1 s.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gymnasium
import numpy as np

from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import make_groups
from surefoot.runs.options import prepare

NUM_ENVS, HORIZON = 4, 16
RECOVERY = 5.0
TIMEOUT = 5.0


class Sleepy(gymnasium.Wrapper):
    """Sleeps for a minute in the third step."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self._steps = 0

    def step(self, action):
        self._steps += 1
        if self._steps == 3:
            time.sleep(60)
        return super().step(action)


class Clock:
    """Times the receiving of a group's steps in which something was restarted."""

    def __init__(self, group: HostEnv) -> None:
        self._recv = group.recv
        self.seconds: list[float] = []
        group.recv = self.recv

    def recv(self):
        begin = time.perf_counter()
        row = self._recv()
        if row.notices:
            self.seconds.append(time.perf_counter() - begin)
        return row


def killed(kills: int) -> list[tuple[str, str, str, bool]]:
    """Lines of the table: what, wanted, found, whether it is so."""
    rows = NUM_ENVS * HORIZON
    steps = (kills + 5) * rows
    run = prepare(
        "trpo",
        "HalfCheetah-v5",
        {
            "num_envs": NUM_ENVS,
            "horizon": HORIZON,
            "hidden": (8,),
            "critic_minibatch_size": rows,
            "steps": steps,
            "vectorization": "async",
            "max_env_restarts": kills,
        },
    )
    group = run._loop.groups[0]
    clock, told = Clock(group), []
    for iteration in run.iterations():
        told.append(iteration)
        if len(told) <= kills:
            os.kill(group.stepper.pids[0], signal.SIGKILL)
    done = told[-1].steps
    transitions = sum(int(iteration.metrics["valid_rows"]) for iteration in told)
    restarts = sum(len(iteration.notices) for iteration in told)
    slowest = max(clock.seconds)
    return [
        ("kills that were recovered from", f"{kills}", f"{restarts}", restarts == kills),
        ("steps, the budget", f"{steps:,}", f"{done:,}", done == steps),
        (
            "of them transitions",
            f"{steps - kills:,}",
            f"{transitions:,}",
            transitions + kills == steps,
        ),
        ("slowest recovery", f"< {RECOVERY:g} s", f"{slowest:.2f} s", slowest < RECOVERY),
    ]


def hung() -> list[tuple[str, str, str, bool]]:
    """The same for a hang."""
    (group,) = make_groups(
        lambda: Sleepy(gymnasium.make("CartPole-v1")),
        1,
        backend="host",
        vectorization="async",
        env_threads=0,
        env_timeout=TIMEOUT,
    )
    group.reset(0)
    action = np.zeros(1, int)
    for _ in range(2):
        group.step(action)
    process = Path(f"/proc/{group.stepper.pids[0]}")
    with ThreadPoolExecutor(1) as thread:
        begin = time.perf_counter()
        group.send(action)
        # In a thread: the step that finds the hang goes on until the environment is restarted.
        found = thread.submit(group.recv)
        while process.exists():
            time.sleep(0.01)
        seconds = time.perf_counter() - begin
        lost = not found.result().valid[0]
    group.close()
    ended = lost and abs(seconds - TIMEOUT) <= 1.0
    return [("a hang of 60 s is ended after", f"{TIMEOUT:g} ± 1 s", f"{seconds:.2f} s", ended)]


def main(kills: int = 50) -> int:
    """Print the table; the exit code."""
    lines = [*killed(kills), *hung()]
    print(f"\n| {'':30} | {'wanted':>10} | {'found':>12} |    |\n|---|---|---|---|")
    for what, wanted, found, holds in lines:
        print(f"| {what:30} | {wanted:>10} | {found:>12} | {'ok' if holds else 'NO'} |")
    return 0 if all(line[-1] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
