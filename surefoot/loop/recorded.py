"""The loop on recorded data, all of it an iteration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from surefoot import guard
from surefoot.cloning import Recorded
from surefoot.learner import Learner, TrainState
from surefoot.loop.iteration import (
    BEGINNING,
    Ask,
    Asking,
    Iteration,
    Start,
    Timing,
    flatten,
    go_on,
)
from surefoot.named import Saved
from surefoot.programs import compiled


def recorded_iterations(
    learner: Learner,
    data: Recorded,
    state: TrainState,
    *,
    steps: int,
    start: Start = BEGINNING,
    ask: Asking = go_on,
    keep: bool = False,
) -> Iterator[Iteration]:
    """One turn on all of the data an iteration, until another one would exceed `steps` rows."""
    rows = data.obs.shape[0]
    update: Callable[..., Any] | None = None
    clock = time.perf_counter
    for index in range(start.number, steps // rows):
        begin = clock()
        compiling = 0.0
        if update is None:
            update = compiled(_update, learner, state, data, keep=keep)
            compiling = clock() - begin
        state, metrics, critic = update(learner, state, data)
        row = flatten(metrics, critic)
        total = clock() - begin
        timing = Timing(
            total=total, steps_per_s=rows / total, compile=compiling, update=total - compiling
        )
        none = np.zeros(0)
        answer = ask()
        place = Saved({}, {}) if answer is not Ask.GO_ON or index + 1 == steps // rows else None
        yield Iteration(index, (index + 1) * rows, state, row, none, none, timing, place=place)
        if answer is Ask.STOP:
            return


def _update(learner: Learner, state: TrainState, data: Recorded) -> Any:
    return guard.update(learner, state, data, guard.unseen())
