"""Weights & Biases, online or offline (`WANDB_MODE=offline`).

A run keeps its id in `wandb/id`. What a resumed run gives again, from its first row on, the service
has already and ignores, for a row's step is its iteration; offline, the newest folder holds the
whole run.
"""

from __future__ import annotations

import errno
import functools
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from surefoot.common.errors import UsageError
from surefoot.common.files.regular_file import check_file, check_folder
from surefoot.runs.loggers.base import Entry
from surefoot.runs.loggers.tags import Tags

#: The horizontal axis of every chart.
AXIS = "steps"


class WeightsAndBiases:
    """A run there."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.path = folder / "wandb"
        self._config = config
        self._tags = Tags()
        self._run: Any = None
        self._waiting: list[tuple[int, dict[str, float]]] = []

    def write(self, entry: Entry) -> None:
        numbers = {AXIS: entry.row["steps"], **self._tags(entry)}
        self._waiting.append((entry.row["iteration"], numbers))
        self._flush()

    def _flush(self) -> None:
        if self._run is None:
            self._run = _guarded(self._begin)
        while self._waiting:
            iteration, numbers = self._waiting[0]
            _guarded(functools.partial(self._run.log, numbers, step=iteration))
            self._waiting.pop(0)

    def _begin(self) -> Any:
        import wandb

        check_folder(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        known = self.path / "id"
        check_file(known)
        if not known.exists():
            known.write_text(secrets.token_hex(4), encoding="utf-8")
        folder = self.path.parent
        run = wandb.init(
            project="surefoot",
            name=folder.name,
            group=f"{self._config['algorithm']} {self._config['environment']}",
            config=self._config,
            dir=str(folder),
            id=known.read_text(encoding="utf-8"),
            resume="allow",
            # Seeds at once have a run each in this process, and by default the second of them would
            # be given the first's. The terminal belongs to the progress display.
            settings=wandb.Settings(reinit="create_new", console="off", silent=True),
        )
        run.define_metric(AXIS)
        run.define_metric("*", step_metric=AXIS)
        return run

    def close(self) -> None:
        if self._run is not None:
            try:
                self._flush()
            finally:
                _guarded(self._run.finish)


def _guarded(call: Callable[[], Any]) -> Any:
    """What `call` returns. An error of the service's client is like one of the disk's."""
    import wandb

    try:
        return call()
    except wandb.errors.Error as error:
        raise OSError(
            errno.EIO, f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def check(environment: Mapping[str, str]) -> None:
    """Raise `UsageError` where nobody is logged in who would have to be."""
    import wandb

    mode = environment.get("WANDB_MODE", "online")
    if mode in ("online", "run", "shared") and not wandb.login(prompt=False):
        raise UsageError(
            "log 'wandb' needs a login: run 'wandb login', or set WANDB_MODE=offline to sync later"
        )


def make(folder: Path, config: dict[str, Any]) -> WeightsAndBiases:
    """The run of a run's folder."""
    return WeightsAndBiases(folder, config)
