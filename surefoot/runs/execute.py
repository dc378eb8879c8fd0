"""The loop of one run, or of several side by side, with all that is written and shown of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surefoot.agents.agent import Agent
from surefoot.common.errors import UsageError
from surefoot.common.parameters import check_callable
from surefoot.common.settings import RunSettings
from surefoot.runs.checkpoint_schedule import CheckpointSchedule
from surefoot.runs.display.progress import Display, FailSafeDisplay
from surefoot.runs.evaluator import Evaluator
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.recorder import Result, RunRecorder
from surefoot.runs.run import Run
from surefoot.runs.score import Scoring
from surefoot.training.iteration import Iteration, merged

#: Called after an iteration with its row and the agent of that moment; False ends the run.
OnIteration = Callable[[dict[str, Any], Agent], object]


def execute(
    runs: Sequence[Run],
    folders: Sequence[Path | None],
    display: Display,
    *,
    resumed: Sequence[Checkpoint | None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    on_iteration: OnIteration | None = None,
    command: Sequence[str] | None = None,
) -> list[Result]:
    """Run the loop to its end, or until `stopping` or the callback says so, of one run or of
    several side by side, and write each one's folder if there is one. Those that are `resumed` have
    been restored. `command` are the words of surefoot's own command line, if that is what began the
    run: another program's may hold what is nobody's business."""
    resumed = resumed or [None] * len(runs)
    settings = runs[0].settings
    called = on_iteration is not None
    schedule = CheckpointSchedule(settings.checkpoint_every)
    shown = FailSafeDisplay(display)
    with contextlib.ExitStack() as closing:
        for run in runs:
            closing.callback(run.close)
        closing.callback(shown.close)
        _check_outputs(settings, folders, on_iteration)
        evaluator = None
        if settings.evaluate_every:
            done = 0 if resumed[0] is None else resumed[0].steps
            evaluator = Evaluator(runs, shown.note, done=done)
            closing.callback(evaluator.close)
        for run in runs:
            run.set_sync_every(1 if called else 0 if evaluator is None else evaluator.sync_every)
        records = []
        for run, folder, checkpoint in zip(runs, folders, resumed, strict=True):
            records.append(
                RunRecorder(run, folder, shown.note, command=command, resumed=checkpoint)
            )
            closing.callback(records[-1].close)
        if any(resumed):
            shown.resumed(Scoring.together([record.scoring for record in records]))
        for told in closing.enter_context(contextlib.closing(_turns(runs))):
            # Within a call of a compiled program nobody knows where the environments stand.
            between = told[0].snapshot is not None
            stop = between and stopping()
            save = between and (stop or runs[0].complete(told[0].steps) or schedule.due())
            if evaluator is not None:
                told = evaluator(told)
            both = list(zip(records, told, strict=True))
            rows = [record.add(iteration, save=save) for record, iteration in both]
            shown.show(merged(told))
            if on_iteration is not None and not _all_go_on(on_iteration, rows, runs):
                for record, iteration in both if not save else ():
                    record.save(iteration)
                break
            if stop:
                break
        return [record.finish() for record in records]


def _turns(runs: Sequence[Run]) -> Generator[list[Iteration]]:
    """An iteration of every run at a time."""
    if len(runs) > 1:
        yield from Run.side_by_side(runs)
        return
    with contextlib.closing(runs[0].iterations()) as alone:
        for told in alone:
            yield [told]


def _check_outputs(
    settings: RunSettings, folders: Sequence[Path | None], on_iteration: OnIteration | None
) -> None:
    """Raise `UsageError` where what is to come of a run can come of none."""
    check_callables(None, on_iteration)
    for option in ("log", "evaluate_every"):
        value = getattr(settings, option)
        if value and folders[0] is None:
            raise UsageError(f"{option} is {value!r} and the run has no folder: pass out=")


def _all_go_on(
    on_iteration: OnIteration, rows: Sequence[dict[str, Any]], runs: Sequence[Run]
) -> bool:
    """Whether the callback lets all runs go on: everything but a false boolean does."""
    answers = [on_iteration(row, run.agent()) for row, run in zip(rows, runs, strict=True)]
    return not any(isinstance(answer, bool | np.bool_) and not answer for answer in answers)


def check_callables(display: Any, on_iteration: Any) -> None:
    """Raise `UsageError` where what is to be called cannot be."""
    if display is not None:
        check_callable("display", display, "of the number of steps")
    if on_iteration is not None:
        check_callable("on_iteration", on_iteration, "of a row and an agent")
