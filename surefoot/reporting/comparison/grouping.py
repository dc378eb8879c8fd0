"""Runs that differ in nothing but their seed are one group; a method is what groups of several
tasks have in common."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from surefoot.common.settings import RunSettings
from surefoot.methods.registry import RECIPES
from surefoot.reporting.data.run_log import Log
from surefoot.runs.folder import config_file

#: Settings that change no number of a run, or the seed's alone.
_NO_MATTER = frozenset(
    [
        "seed",
        "checkpoint_every",
        "env_timeout",
        "max_env_restarts",
        "env_threads",
        "evaluate_every",
        "evaluation_episodes",
        "log",
    ]
)


class Group(NamedTuple):
    """Runs of one method on one task."""

    method: str
    """The algorithm, and what tells it from others of that name."""
    task: str
    runs: list[Log]


def group(logs: Sequence[Log]) -> list[Group]:
    """The groups, by task and method, in the order in which they first come."""
    settings = [_settings(log) for log in logs]
    methods = _labels([log.config["algorithm"] for log in logs], settings)
    groups: dict[tuple[str, str], Group] = {}
    for log, method in zip(logs, methods, strict=True):
        task = log.config["environment"]
        groups.setdefault((task, method), Group(method, task, [])).runs.append(log)
    tasks = list(dict.fromkeys(task for task, _ in groups))
    return sorted(groups.values(), key=lambda one: tasks.index(one.task))


def _settings(log: Log) -> dict[str, Any]:
    settings = {**_defaults(RunSettings()), **log.config["setup"]}
    if log.budget is not None:
        settings["steps"] = log.budget
    kind = RECIPES.get(log.config["algorithm"])
    return {
        **{name: value for name, value in settings.items() if name not in _NO_MATTER},
        **({} if kind is None else _defaults(kind())),
        **log.config["hyperparameters"],
    }


def _defaults(settings: Any) -> dict[str, Any]:
    """What a field has that an older version did not know, where nothing else is said of it."""
    fields = dataclasses.fields(settings)
    return config_file.with_before({f.name: getattr(settings, f.name) for f in fields})


def _labels(algorithms: Sequence[str], settings: Sequence[dict[str, Any]]) -> list[str]:
    """Each run's method: its algorithm with the settings in which runs of the algorithm differ."""
    labels = []
    differing: dict[str, list[str]] = {}
    for algorithm in dict.fromkeys(algorithms):
        own = [one for name, one in zip(algorithms, settings, strict=True) if name == algorithm]
        names = dict.fromkeys(name for one in own for name in one)
        differing[algorithm] = [
            name for name in names if len({_text(one.get(name)) for one in own}) > 1
        ]
    for algorithm, one in zip(algorithms, settings, strict=True):
        parts = [f"{name}={_text(one.get(name))}" for name in differing[algorithm]]
        labels.append(" ".join([algorithm, *parts]))
    return labels


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def once(groups: Sequence[Group]) -> tuple[list[Group], list[str]]:
    """The groups with each seed once, and what was left out: a seed trained again is the same
    run."""
    kept, notes = [], []
    for one in groups:
        of_seed: dict[str, list[Log]] = {}
        for log in one.runs:
            seed = log.config["setup"].get("seed")
            # Of those that do not say, each may be another one.
            name = f"at {id(log)}" if seed is None else f"seed {seed}"
            of_seed.setdefault(name, []).append(log)
        kept.append(one._replace(runs=[max(logs, key=_written) for logs in of_seed.values()]))
        notes += [
            f"{name} of {one.method} on {one.task} is there {_times(len(logs))} and counts once: "
            f"the newest, {max(logs, key=_written).folder}"
            for name, logs in of_seed.items()
            if len(logs) > 1
        ]
    return kept, notes


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count:,} times"


def _written(log: Log) -> float:
    """When the newest row was written, in seconds."""
    for name in ("metrics.jsonl", config_file.NAME):
        with contextlib.suppress(OSError):
            return (log.folder / name).stat().st_mtime
    return 0.0
