"""A figure of one diagnostic, with the words that the table has for it."""

from __future__ import annotations

import dataclasses

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Finding, Series
from surefoot.reporting.drawing.formatting import quantiles
from surefoot.reporting.drawing.series import STEPS, components, lines, positive
from surefoot.runs.folder.diagnostic_table import CRITIC, describe, in_words

#: Times its smallest value that the largest is on a logarithmic axis.
_WIDE = 100.0


def one_diagnostic(
    log: Log,
    *names: str,
    place: str = "",
    low: float | None = None,
    high: float | None = None,
    more: tuple[Series, ...] = (),
    findings: tuple[Finding, ...] = (),
) -> Figure:
    """A diagnostic over the steps, of the policy's update, of the critic's, or of both. What the
    table calls bad is the case where a finding says so; without one, it is to be watched for."""
    one, critic = describe(names[0]), names[0].startswith(CRITIC)
    # What is bad of the policy's step may be good of the critic's.
    bad = f" {'Bad' if findings else 'Watch for'}: {one.bad}." if one.bad and not critic else ""
    meaning = one.meaning or "Of a part that docs/diagnostics.md does not have."
    labels = ("policy", "critic") if len(names) > 1 else (in_words(names[0]),)
    series = [
        curve
        for style, (name, label) in enumerate(zip(names, labels, strict=True))
        for curve in lines(log, name, label, style)
    ]
    finite = finite_values(log, *names)
    wide = one.log or bool(finite.min() > 0 and finite.max() > _WIDE * finite.min())
    if wide:
        series = [dataclasses.replace(curve, y=positive(curve.y)) for curve in series]
    return Figure(
        place or names[0],
        in_words(names[0]) if critic else one.title,
        f"{meaning}{bad}".replace("`", ""),
        " ".join(f"{each.name.capitalize()}: {quantiles(each.y)}." for each in series[:2]),
        STEPS,
        Axis(
            f"{in_words(names[0])} ({one.unit})",
            log=wide,
            low=low,
            high=high,
            whole=bool((finite == np.round(finite)).all()),
        ),
        (*series, *more),
        findings=findings,
        shows=frozenset(names),
    )


def finite_values(log: Log, *names: str) -> np.ndarray:
    """All finite numbers of these diagnostics."""
    columns = [log.columns[column] for name in names for column in components(log, name)]
    values = np.concatenate([np.zeros(0), *columns])
    return values[np.isfinite(values)]
