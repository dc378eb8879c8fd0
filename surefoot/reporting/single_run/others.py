"""The diagnostics that no panel shows, a figure each: whatever part they are of."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure
from surefoot.reporting.drawing.formatting import number
from surefoot.reporting.single_run.one_diagnostic import finite_values, one_diagnostic
from surefoot.runs.folder.diagnostic_table import CRITIC, describe

#: Figures that a page takes; a file may have any number of fields.
MOST = 60


def others(log: Log, drawn: Iterable[Figure]) -> tuple[list[Figure], list[str]]:
    """Figures of what the drawn ones do not show, in the order of a row, and what is to be said of
    the rest: numbers that never change, and those beyond the first `MOST`."""
    shown = {name for figure in drawn for name in figure.shows}
    names = dict.fromkeys(column.partition(".")[0] for column in log.columns)
    left = [n for n in names if n not in shown and n != "timing" and not describe(n).told]
    changing, constant = [], []
    for name in dict.fromkeys(name.removeprefix(CRITIC) for name in left):
        members = [one for one in (name, CRITIC + name) if one in left]
        finite = finite_values(log, *members)
        if len(finite) and np.ptp(finite) == 0:
            constant.append(f"{', '.join(members)} {number(float(finite[0]))}")
        elif len(finite):
            changing.append(members)
    notes = [f"constant over the run: {'; '.join(constant[:MOST])}"] if constant else []
    if len(changing) > MOST:
        notes.append(f"{len(changing) - MOST:,} more diagnostics are in metrics.jsonl alone")
    # Names may be of a file that anybody wrote, and are no ids of a page.
    figures = [
        one_diagnostic(log, *members, place=f"other-{i}")
        for i, members in enumerate(changing[:MOST])
    ]
    return figures, notes
