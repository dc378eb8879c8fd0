"""The rows as Markdown: ratios with their bars, limits, all rates, and where our time goes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.learning.rows import Row
from benchmarks.speed.cases import CASES, LIMITS, Case, Limit
from benchmarks.speed.runner import read
from surefoot.common.errors import UsageError

Rows = dict[str, list[Row]]
"""A contestant's measurements, by its name."""


def load(results: Path) -> Rows:
    """All rows in a folder, of every round."""
    found: Rows = {}
    for path in sorted(results.glob("*.json")):
        row = read(path)
        if row is None:
            raise UsageError(f"{path} is no row of this benchmark: delete it")
        found.setdefault(row["name"], []).append(row)
    if not found:
        raise UsageError(f"{results} has no rows: make some with 'run'")
    return found


def median(rows: Rows, name: str, quantity: str = "steps_per_s") -> float | None:
    """The contestant's median over the rounds, `None` if it has not run."""
    values = [row[quantity] for row in rows.get(name, [])]
    return statistics.median(values) if values else None


def fastest(rows: Rows, names: Sequence[str]) -> tuple[str, float] | None:
    """The contestant of these with the largest median, and that; `None` if one has not run."""
    medians = [(name, median(rows, name)) for name in names]
    known = [(name, value) for name, value in medians if value is not None]
    return max(known, key=lambda pair: pair[1]) if len(known) == len(names) else None


def ratio(rows: Rows, case: Case) -> float | None:
    """Our rate over the fastest of theirs."""
    ours, theirs = median(rows, case.ours), fastest(rows, case.theirs)
    return None if ours is None or theirs is None else ours / theirs[1]


def table(rows: Rows) -> str:
    """Everything."""
    return (
        "Environment steps per second, medians over the rounds:\n\n"
        + markdown(
            (
                *("case", "surefoot", "against", "their rate", "ratio", "at least", "reached"),
                "environments alone",
            ),
            [_case_cells(rows, case) for case in CASES],
        )
        + "\n"
        + markdown(
            ("command", "median", "at most", "kept"), [_limit_cells(rows, x) for x in LIMITS]
        )
        + "\nEvery contestant; memory is the largest process's:\n\n"
        + markdown(
            ("contestant", "options", "steps/s: median", "rounds", "peak memory, MB"),
            [_contestant_cells(rows, name) for name in sorted(rows)],
        )
        + "\nWhere surefoot's time goes, milliseconds of an iteration of 2,048 rows (the critic is "
        "fitted beside the next collection, and its time is part of the others'):\n\n"
        + markdown(
            (
                *("contestant", "total", "environment", "act", "update", "rest", "critic, beside"),
                "compiled program",
            ),
            [_profile_cells(rows, name) for name in sorted(rows) if "profile" in rows[name][0]],
        )
        + f"\n{_provenance(rows)}\n"
    )


def _case_cells(rows: Rows, case: Case) -> list[str]:
    theirs, reached = fastest(rows, case.theirs), ratio(rows, case)
    return [
        case.text,
        _count(median(rows, case.ours)),
        case.whose if theirs is None else f"{case.whose} (`{theirs[0]}`)",
        _count(theirs and theirs[1]),
        "–" if reached is None else f"**{reached:.2f}**",
        "–" if case.at_least is None else f"{case.at_least:g}",
        _verdict(reached, case.at_least),
        _count(median(rows, case.stepping)),
    ]


def _verdict(reached: float | None, at_least: float | None) -> str:
    if reached is None or at_least is None:
        return "–"
    return "yes" if reached >= at_least else "**no**"


def _limit_cells(rows: Rows, limit: Limit) -> list[str]:
    found = median(rows, limit.contestant, limit.quantity)
    return [
        limit.text,
        "–" if found is None else f"**{found:.3g} {limit.unit}**",
        f"{limit.at_most:g} {limit.unit}",
        "–" if found is None else "yes" if found <= limit.at_most else "**no**",
    ]


def _contestant_cells(rows: Rows, name: str) -> list[str]:
    mine = sorted(rows[name], key=lambda row: row["round"])
    rates = [row["steps_per_s"] for row in mine if "steps_per_s" in row]
    return [
        f"`{name}`",
        " ".join(mine[0]["settings"][1:]),
        f"**{_count(statistics.median(rates))}**" if rates else "–",
        ", ".join(_count(x) for x in rates)
        if rates
        else ", ".join(f"{x['seconds']:.1f} s" for x in mine),
        _count(median(rows, name, "peak_mb")),
    ]


def _profile_cells(rows: Rows, name: str) -> list[str]:
    profiles = [row["profile"] for row in rows[name]]

    def milliseconds(part: str) -> float | None:
        values = [profile[part] for profile in profiles if part in profile]
        return 1000 * statistics.median(values) if values else None

    total = milliseconds("total")
    parts = [milliseconds(part) for part in ("environment", "act", "update")]
    known = [part for part in parts if part is not None]
    rest = total - sum(known) if total is not None and known else None
    every = [total, *parts, rest, milliseconds("critic"), milliseconds("program")]
    return [f"`{name}`", *("–" if x is None else f"{x:.1f}" for x in every)]


def _provenance(rows: Rows) -> str:
    """What code on what machine, and what else it did."""
    every = [row for mine in rows.values() for row in mine]
    code = {row["code"] or "unknown" for row in every}
    commits = sorted(x[:7] + "-dirty" * x.endswith("-dirty") for x in code)
    machines = {f"{x['cores']} cores of {x['processor']}" for x in (r["machine"] for r in every)}
    versions: dict[str, set[str]] = {}
    for row in every:
        for package, version in row.get("versions", {}).items():
            versions.setdefault(package, set()).add(version)
    packages = ", ".join(f"{name} {'/'.join(sorted(v))}" for name, v in sorted(versions.items()))
    whens = sorted(row["when"] for row in every)
    return (
        f"Commit {', '.join(commits)}; {'; '.join(sorted(machines))}; {whens[0]} to {whens[-1]}; "
        f"before a measurement, other processes took {max(r['busy_before'] for r in every):.0%} of "
        f"the cores at most. {packages}."
    )


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def markdown(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
