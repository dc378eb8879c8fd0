"""A table as HTML, which a screen reader can walk through, or as text to paste into a paper."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Sequence

from surefoot.reporting.drawing.html_text import escape


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: the first cell of a row names the row."""

    caption: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    copied: bool = False
    """Whether it is offered as text, too."""
    folded: bool = False
    """Whether it is shown when asked for."""


def html(table: Table) -> str:
    """The table with a caption, and with scopes for its headers; scrolls if it is too wide."""
    # Words begin where the column does; numbers end where it ends.
    words = [i for i in range(len(table.header)) if any(row[i][:1].isalpha() for row in table.rows)]
    head = "".join(
        f'<th scope="col"{_side(i in words)}>{escape(cell)}</th>'
        for i, cell in enumerate(table.header)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td{_side(i in words)}>{escape(cell)}</td>" for i, cell in enumerate(rest, 1))
        + "</tr>\n"
        for first, *rest in table.rows
    )
    caption = escape(table.caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>"
        "</table></div>"
    )


def _side(words: bool) -> str:
    return ' class="text"' if words else ""


def markdown(table: Table) -> str:
    """The table in Markdown."""
    lines = [table.header, ("---",) * len(table.header), *table.rows]
    cells = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def comma_separated(table: Table) -> str:
    """The table as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.header, *table.rows])
    return text.getvalue()


_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "…": r"\dots{}",
    "×": r"$\times$",
}


def latex(table: Table) -> str:
    """The table in LaTeX, for the package booktabs."""
    lines = [" & ".join(map(_tex, line)) + r" \\" for line in (table.header, *table.rows)]
    columns = "l" + "r" * (len(table.header) - 1)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _tex(cell: str) -> str:
    return re.sub(".", lambda match: _LATEX.get(match[0], match[0]), cell)
