"""Where a run's rows go beside `metrics.jsonl`: a table, TensorBoard, Weights & Biases.

Each is written from the rows alone. A run that is resumed gives a sink all rows up to its
checkpoint again, so that nothing is missing and nothing is there twice, whatever the process that
ended had written.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.common.errors import UsageError
from surefoot.common.files.best_effort import BestEffortWriter
from surefoot.runs.loggers.base import Entry, Sink


class _Kind(NamedTuple):
    """What makes a sink."""

    module: str
    """In this package; its `make` takes the run's folder and its configuration, and gives a `Sink`
    that replaces one that was there."""
    needs: str | None = None
    """The package that it needs, which the extra of the sink's name brings."""


_KINDS = {
    "csv": _Kind("csv_logger"),
    "tensorboard": _Kind("tensorboard_logger", "tensorboardX"),
    "wandb": _Kind("wandb_logger", "wandb"),
}


def check(names: Sequence[str]) -> None:
    """Raise `UsageError` where a sink of these names cannot be made here."""
    for name in names:
        needs = _KINDS[name].needs
        if needs is not None and importlib.util.find_spec(needs) is None:
            raise UsageError(
                f"log {name!r} needs the package {needs!r}: pip install 'surefoot[{name}]'"
            )
        if name == "wandb":
            from surefoot.runs.loggers import wandb_logger

            wandb_logger.check(os.environ)


class Sinks:
    """Those of one run. One that cannot be written is told of once, and the others go on."""

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        config: dict[str, Any],
        best_effort: BestEffortWriter,
    ) -> None:
        modules = (f"surefoot.runs.loggers.{_KINDS[name].module}" for name in names)
        self._sinks: list[Sink] = [
            importlib.import_module(module).make(folder, config) for module in modules
        ]
        self._best_effort = best_effort

    def write(self, entry: Entry) -> None:
        """One more iteration."""
        for sink in self._sinks:
            self._best_effort(sink.path, functools.partial(sink.write, entry))

    def close(self) -> None:
        """Close them."""
        with contextlib.ExitStack() as closing:
            for sink in self._sinks:
                closing.callback(self._best_effort, sink.path, sink.close)
