"""The diagnostics that no panel shows, a figure each: whatever part they are of."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure
from surefoot.reporting.drawing.formatting import number, quantiles
from surefoot.reporting.drawing.series import STEPS, components, lines
from surefoot.runs.folder.diagnostic_table import CRITIC, describe, in_words

#: Figures that a page takes; a file may have any number of fields.
MOST = 60
#: Times its smallest value that the largest is on a logarithmic axis.
_WIDE = 100.0


def others(log: Log, drawn: Iterable[Figure]) -> tuple[list[Figure], list[str]]:
    """Figures of what the drawn ones do not show, in the order of a row, and what is to be said of
    the rest: numbers that never change, and those beyond the first `MOST`."""
    shown = {name for figure in drawn for name in figure.shows}
    names = dict.fromkeys(column.partition(".")[0] for column in log.columns)
    left = [n for n in names if n not in shown and n != "timing" and not describe(n).told]
    figures: list[Figure] = []
    constant = []
    for name in dict.fromkeys(name.removeprefix(CRITIC) for name in left):
        members = [one for one in (name, CRITIC + name) if one in left]
        values = np.concatenate([log.columns[x] for one in members for x in components(log, one)])
        finite = values[np.isfinite(values)]
        if not len(finite):
            continue
        if np.ptp(finite) == 0:
            constant.append(f"{', '.join(members)} {number(float(finite[0]))}")
        else:
            figures.append(_figure(log, members, finite, f"other-{len(figures)}"))
    notes = [f"constant over the run: {'; '.join(constant[:MOST])}"] if constant else []
    if len(figures) > MOST:
        notes.append(f"{len(figures) - MOST:,} more diagnostics are in metrics.jsonl alone")
    return figures[:MOST], notes


def _figure(log: Log, members: list[str], finite: np.ndarray, place: str) -> Figure:
    """One diagnostic of the policy's update and of the critic's."""
    one, critic = describe(members[0]), members[0].startswith(CRITIC)
    # What is bad of the policy's step may be good of the critic's.
    bad = f" Watch for: {one.bad}." if one.bad and not critic else ""
    meaning = one.meaning or "Of a part that docs/diagnostics.md does not have."
    labels = ("policy", "critic") if len(members) > 1 else (in_words(members[0]),)
    series = [
        curve
        for style, (name, label) in enumerate(zip(members, labels, strict=True))
        for curve in lines(log, name, label, style)
    ]
    wide = bool(finite.min() > 0 and finite.max() > _WIDE * finite.min())
    return Figure(
        place,
        in_words(members[0]) if critic else one.title,
        f"{meaning}{bad}".replace("`", ""),
        " ".join(f"{each.name.capitalize()}: {quantiles(each.y)}." for each in series[:2]),
        STEPS,
        Axis(
            f"{members[0]} ({one.unit})",
            log=one.log or wide,
            whole=bool((finite == np.round(finite)).all()),
        ),
        tuple(series),
        shows=frozenset(members),
    )
