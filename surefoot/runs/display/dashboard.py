"""Runs as text on a terminal: a table of several, a dashboard of one; both fit its width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from surefoot.common.printable import one_line
from surefoot.runs.display.gauge import bar, duration, percentage, sparkline
from surefoot.runs.display.summary import COURSES, Summary, mean
from surefoot.runs.display.watched_run import RunWatcher
from surefoot.runs.folder.diagnostic_table import describe
from surefoot.runs.folder.method_facts import step_kl
from surefoot.runs.folder.metrics_file import as_row
from surefoot.runs.score import Scoring
from surefoot.training.iteration import Iteration

#: Characters of a name that are shown.
_LONGEST = 200
_STYLES = {
    "running": "green",
    "finished": "bold",
    "stalled": "yellow",
    "starting": "dim",
    "interrupted": "yellow",
}


def bound(config: dict[str, Any]) -> float | None:
    """The KL that a method's step is held to, or aims at."""
    held = step_kl(config)
    return None if held is None else held.value


class Dashboard:
    """One run; rendered anew at every look."""

    def __init__(
        self,
        config: dict[str, Any],
        summary: Summary,
        *,
        total: int,
        state: str = "running",
        detail: str = "",
        evaluations: Sequence[float] = (),
        seeds: Sequence[int] = (),
    ) -> None:
        """`detail` is said after the state; `seeds` are those of several runs at once, which are
        shown as one."""
        self.config, self.summary, self.total, self.state = config, summary, total, state
        self.detail = detail
        self.evaluations, self.seeds = evaluations, seeds

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        config, summary = self.config, self.summary
        seed = f"seed {config['setup']['seed']}"
        if len(self.seeds) > 1:
            seed = f"seeds {self.seeds[0]} to {self.seeds[-1]}"
        names = config["algorithm"], config["environment"]
        method, task = (one_line(name, most=_LONGEST) for name in names)
        head = f"{method} on {task} · {seed} · "
        shown = Text(head).append(self.state, style=_STYLES[self.state])
        yield shown.append(self.detail)
        if not summary.rows:
            yield Text("no iteration yet: compiling", style="dim")
            return
        label = 10 if width < 60 else 20
        course = max(4, min(60, width - label - 24))
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=label, no_wrap=True, overflow="crop")
        grid.add_column(overflow="fold")
        for name, drawn, told in self._lines(course, width - label - 2):
            text = one_line(f"{drawn} {told}" if drawn else told)
            grid.add_row(Text(name, style="dim"), Text(text))
        yield grid

    def _lines(self, width: int, room: int) -> list[tuple[str, str, str]]:
        """(name, course, what is said of it) of every line there is something for, the courses in
        `width` characters of the `room` that there is."""
        summary, lines = self.summary, []
        share, rate = summary.steps / max(1, self.total), summary.rate
        left = time_left(summary, self.total) if self.state == "running" else ""
        done = ", ".join(filter(None, [f"{percentage(share)} of {self.total:,}", left]))
        if len(done) + 8 > room:
            done = ", ".join(filter(None, [percentage(share), left]))
        lines.append(("steps", bar(share, min(width, room - len(done))), done))
        if rate:
            lines.append(("steps/s", "", f"{rate:,.0f}"))

        def told(name: str, field: str, text: str) -> None:
            course = summary.courses[field]
            if course or field in summary.last:
                lines.append((name, sparkline(course, width), text))

        last = summary.last
        score = summary.scoring.score
        if score.ended:
            told("return", "return", f"{score.value:.1f}, {score.brief}")
        length = mean(summary.lengths)
        if length is not None:
            lines.append(("length", "", f"{length:.0f} steps"))
        if self.evaluations:
            best = max(filter(math.isfinite, self.evaluations), default=None)
            best_told = "" if best is None else f", best {best:.1f}"
            lines.append(("evaluated", "", f"{self.evaluations[-1]:.1f}{best_told}"))
        limit = bound(self.config)
        for one in map(describe, COURSES):
            text = _told(last.get(one.name), ".2g" if one.log else ".3f")
            held = limit is not None and one.name == "kl_mean"
            told(one.label, one.name, f"{text} of {limit:g}" if held else text)
        accepted, backtracks = mean(summary.accepted), mean(summary.backtracks)
        if accepted is not None:
            shorter = "" if backtracks is None else f", {backtracks:.1f} backtracks"
            lines.append(("accepted", "", f"{accepted:.0%} of steps{shorter}"))
        spent = sum(summary.spent.values())
        if spent > 0:
            parts = sorted(summary.spent.items(), key=lambda part: -part[1])
            lines.append(("time", "", " · ".join(f"{k} {v / spent:.0%}" for k, v in parts)))
        if summary.refused:
            lines.append(("refused", "", f"{summary.refused} updates: not finite"))
        return lines


def of_run(run: RunWatcher) -> Dashboard:
    """The dashboard of a run on the disk."""
    state = run.state
    return Dashboard(
        run.config,
        run.summary,
        total=run.total,
        state=state,
        detail=f", {duration(run.age)} without a row" if state == "stalled" else "",
        evaluations=run.evaluations,
    )


def table(runs: Sequence[RunWatcher], root: Any, *, width: int) -> Table:
    """One or more runs of a folder: their names, up to half of the width, and the columns that fit
    beside them."""
    names = [one_line(str(run.folder.relative_to(root)), most=_LONGEST) for run in runs]
    columns = _columns(runs, width)
    left = width - min(max(map(len, names)), width // 2)
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    shown.add_column("run", overflow="ellipsis", no_wrap=True, ratio=1, min_width=8)
    cells: list[list[Text]] = []
    for column, texts in columns.items():
        needs = 1 + max(len(column), *(text.cell_len for text in texts))
        # The first three say how far it is, and whether one has to do something.
        if left < needs and len(cells) >= 3:
            continue
        left -= needs
        cells.append(texts)
        shown.add_column(column, justify="left" if column == "state" else "right", no_wrap=True)
    for name, *texts in zip(names, *cells, strict=True):
        shown.add_row(Text(name), *texts)
    return shown


def _columns(runs: Sequence[RunWatcher], width: int) -> dict[str, list[Text]]:
    """What is told of each run, the most important first."""
    rows = []
    for run in runs:
        summary, state = run.summary, run.state
        told = f"{state} {duration(run.age)}" if state == "stalled" and width >= 60 else state
        share = summary.steps / max(1, run.total)
        left = time_left(summary, run.total) if state == "running" else ""
        row = {
            "done": Text(f"{bar(share, 4 if width < 100 else 10)} {percentage(share):>4}"),
            "left": Text(left.removesuffix(" left") or "–"),
            "state": Text(told, style=_STYLES[state]),
            "return": Text(_score(summary)),
            "KL": Text(_told(summary.last.get("kl_mean"), ".2g")),
            "steps/s": Text(_told(summary.rate, ",.0f")),
            "of steps": Text(f"{run.total:,}"),
            "refused": Text(str(summary.refused)),
        }
        rows.append(row)
    return {column: [row[column] for row in rows] for column in rows[0]}


def _score(summary: Summary) -> str:
    score = summary.scoring.score
    return f"{score.value:.1f}" if score.ended else "–"


def _told(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def time_left(summary: Summary, total: int) -> str:
    """What a run that goes on has before it, if that can be told."""
    if not summary.rate or summary.steps >= total:
        return ""
    return f"{duration((total - summary.steps) / summary.rate)} left"


class LiveDashboard:
    """The dashboard of the run that this process trains, in place of a progress bar."""

    def __init__(
        self,
        console: Console,
        config: dict[str, Any],
        total: int,
        *,
        seeds: Sequence[int] = (),
    ) -> None:
        """`total` are the steps of all runs that are shown."""
        self._view = Dashboard(config, Summary(), total=total, seeds=seeds)
        self._live = Live(self._view, console=console, auto_refresh=False)
        self._live.start(refresh=True)

    def resumed(self, scoring: Scoring) -> None:
        """Its score goes on from this one."""
        self._view.summary.scoring = scoring

    def show(self, iteration: Iteration) -> None:
        """Redraw with one more iteration."""
        for notice in iteration.notices:
            self.note(notice)
        self._view.summary.add(as_row(iteration))
        if iteration.evaluation is not None:
            self._view.evaluations = [*self._view.evaluations, iteration.evaluation.mean]
            self._view.summary.scoring.add_evaluation(iteration.steps, iteration.evaluation.mean)
        self._live.refresh()

    def note(self, text: str) -> None:
        """Say it above the dashboard."""
        self._live.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def close(self) -> None:
        """Leave the last state on the screen."""
        view = self._view
        done = view.summary.steps + view.summary.batch > view.total
        view.state = "finished" if done else "interrupted"
        self._live.refresh()
        self._live.stop()
