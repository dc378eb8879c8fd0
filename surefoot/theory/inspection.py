"""`inspect`: an update of a run, reproduced, with the curves along the line on which it lies."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common.errors import UsageError
from surefoot.common.files.atomic import beside
from surefoot.common.parameters import check_path
from surefoot.common.printable import one_line
from surefoot.core.networks.architecture import MakeNetwork
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.learner import Learner
from surefoot.runs.display.progress import Display
from surefoot.runs.earlier.reproduce import reproduce
from surefoot.runs.earlier.reproduced_update import ReproducedUpdate
from surefoot.runs.execute import check_callables
from surefoot.theory.interpolation import Interpolation, check_nonnegative, interpolate
from surefoot.theory.update_figure import SUFFIXES, check_matplotlib, draw_interpolation

#: The curves, by the names of their fields.
CURVES = tuple(Interpolation._fields[:7])


class Inspection(NamedTuple):
    """An update and its curves."""

    update: ReproducedUpdate
    curves: Interpolation

    def __repr__(self) -> str:
        return f"<Inspection: {self.update}>"

    def __str__(self) -> str:
        """The curves at every fifth α, as text."""
        curves = self.curves
        widths = {name: max(11, len(name) + 2) for name in CURVES}
        lines = [
            str(self.update),
            f"clip {curves.clip:g}, β {curves.beta:.4g}, γ {curves.discount:g}, "
            f"ε = max |Â| {curves.advantage_max:.4g}, C {curves.bound_constant:.4g}"
            + ("" if curves.discount < 1.0 else ": there is no lower bound at γ = 1"),
            "".join(f"{name.replace('_', ' '):>{width}}" for name, width in widths.items()),
        ]
        points = list(zip(*curves[:7], strict=True))[::5]
        lines += [
            "".join(f"{x:{width}.4g}" for x, width in zip(point, widths.values(), strict=True))
            for point in points
        ]
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write the figure, or to a `.csv` the curves, a row a value of α. Raises `UsageError` if
        that cannot be done."""
        path = check_file(check_path("path", path))
        try:
            with beside(path, replace=True) as part:
                self._write(part, path.suffix)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}; pass another path"
            ) from None

    def _write(self, path: Path, suffix: str) -> None:
        if suffix == ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(CURVES)
                writer.writerows(zip(*(self.curves[:7]), strict=True))
        else:
            title = f"{self.update.method} on {self.update.environment}"
            title = one_line(f"{title}, update of iteration {self.update.iteration}")
            draw_interpolation(self.curves, title=title).savefig(path, format=suffix[1:])


def check_file(path: Path) -> Path:
    """The path, if `Inspection.save` can write such a file; `UsageError` otherwise."""
    if path.suffix not in (*SUFFIXES, ".csv"):
        raise UsageError(
            f"{path} ends in {path.suffix or 'nothing'!r}; accepted are "
            f"{', '.join(SUFFIXES)} for the figure and .csv for the curves"
        )
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}; make it")
    if path.suffix != ".csv":
        check_matplotlib()
    return path


def inspect(
    folder: str | Path,
    iteration: int | None = None,
    *,
    clip: float | None = None,
    beta: float | None = None,
    env: EnvLike | None = None,
    algorithm: Recipe | Learner | None = None,
    network: MakeNetwork | None = None,
    critic_network: MakeNetwork | None = None,
    display: Callable[[int], Display] | None = None,
) -> Inspection:
    """Replay an iteration of a run, its last one if none is given, and look at its update.

    `clip` and `beta` are, where they are not given, those of the run's method in that iteration,
    the clip that of a `Clipped` in its update; a method without a clip gets 0.2, one without a β
    gets 1. The other arguments and the errors are those of `reproduce`.
    """
    for name, value in (("clip", clip), ("beta", beta)):
        if value is not None:
            check_nonnegative(name, value)
    check_callables(display, None)
    update = reproduce(
        folder,
        iteration,
        env=env,
        algorithm=algorithm,
        network=network,
        critic_network=critic_network,
        display=display,
    )
    curves = interpolate(
        update.old,
        update.new,
        update.batch,
        discount=update.discount,
        clip=_first(clip, update.clip, 0.2),
        beta=_first(beta, _beta(update)),
    )
    return Inspection(update, curves)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _beta(update: ReproducedUpdate) -> float:
    """β of the iteration: of the penalty in the objective, or of the step's own length."""
    found = update.row.get("kl_penalty", update.row.get("beta", 1.0))
    return float(found)
