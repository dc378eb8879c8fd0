"""A page: titles, figures and tables as HTML that a screen reader can walk through.

Everything is in the file, and its content security policy forbids the browser to ask anyone for
more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources
from typing import NamedTuple

from surefoot.common.version import __version__
from surefoot.reporting.drawing import plotly_figures, tables
from surefoot.reporting.drawing.figures import Figure, Finding
from surefoot.reporting.drawing.html_text import escape
from surefoot.reporting.drawing.tables import Table

#: plotly's WebGL writes its own functions, and saves pictures by way of these addresses.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:"
)


class Section(NamedTuple):
    """A part of the page."""

    title: str
    html: str


class Fact(NamedTuple):
    """A number that stands at the top."""

    name: str
    value: str
    note: str = ""


def page(
    title: str,
    subtitle: str,
    facts: Sequence[Fact],
    sections: Sequence[Section],
    *,
    plotly: bool,
) -> str:
    """The whole page; with plotly's script in it, if figures are drawn with it."""
    style, script = _resource("page.css"), _resource("page.js")
    packed = plotly_figures.script() if plotly else ""
    scripts = f'<script id="plotly" type="text/plain">{packed}</script>\n' if plotly else ""
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            '<link rel="icon" href="data:,">\n',
            f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n",
            f'<header>\n<h1>{escape(title)}</h1>\n<p class="sub">{escape(subtitle)}</p>\n',
            _facts(facts),
            "</header>\n<main>\n",
            *map(_section, enumerate(sections)),
            "</main>\n<footer><p>Made by surefoot ",
            f"{escape(__version__)}. The page needs no network.</p></footer>\n{scripts}",
            f"<script>\n{script}</script>\n</body>\n</html>\n",
        ]
    )


def _resource(name: str) -> str:
    return resources.files("surefoot.reporting").joinpath(name).read_text(encoding="utf-8")


def _facts(facts: Sequence[Fact]) -> str:
    if not facts:
        return ""
    items = "".join(
        f"<div><dt>{escape(fact.name)}</dt><dd>{escape(fact.value)}"
        + (f"<small>{escape(fact.note)}</small>" if fact.note else "")
        + "</dd></div>\n"
        for fact in facts
    )
    return f'<dl class="facts">\n{items}</dl>\n'


def _section(numbered: tuple[int, Section]) -> str:
    number, section = numbered
    name = f"section-{number}"
    return (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(section.title)}</h2>\n'
        f"{section.html}</section>\n"
    )


def figures(drawn: Sequence[Figure], picture: Callable[[Figure], str]) -> str:
    """Figures side by side where there is room; `picture` draws one as HTML."""
    return f'<div class="figures">\n{"".join(_figure(one, picture) for one in drawn)}</div>\n'


def _figure(figure: Figure, picture: Callable[[Figure], str]) -> str:
    wide = ' class="wide"' if figure.wide else ""
    says = " ".join(filter(None, (figure.says, figure.cut_off)))
    return (
        f'<figure id="{figure.name}"{wide} aria-labelledby="{figure.name}-title">\n<figcaption>'
        f'<h3 id="{figure.name}-title">{escape(figure.title)}</h3>\n'
        f'<p class="summary">{escape(figure.summary)}</p>\n<p>{escape(says)}</p>'
        f"</figcaption>\n{picture(figure)}</figure>\n"
    )


def interactive_picture(figure: Figure) -> str:
    """A figure that plotly draws when the page is opened."""
    spec = json.dumps(plotly_figures.draw(figure), separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="plot" data-spec="{figure.name}-spec" role="img" '
        f'aria-label="{escape(f"{figure.title}. {figure.summary}")}"></div>\n'
        f'<script type="application/json" id="{figure.name}-spec">{spec}</script>\n'
    )


def table(given: Table, name: str, *, words: bool = False) -> str:
    """A table on a card, with its text to copy if it is offered."""
    text = tables.html(given)
    if given.copied:
        forms = {
            "Markdown": tables.markdown(given),
            "LaTeX": tables.latex(given),
            "CSV": tables.comma_separated(given),
        }
        buttons = "".join(
            f'<button type="button" data-copies="{name}-{form}">Copy {form}</button>'
            for form in forms
        )
        texts = "".join(
            f'<p>{form}</p><pre id="{name}-{form}">{escape(text)}</pre>\n'
            for form, text in forms.items()
        )
        text += (
            f"<div>{buttons}</div>\n<details><summary>The table as text</summary>{texts}</details>"
        )
    if given.folded:
        text = f"<details><summary>{escape(given.caption)}</summary>{text}</details>"
    return f'<div class="card{" words" if words else ""}">{text}</div>\n'


def checks(found: Sequence[Finding]) -> str:
    """Findings as a list, each with a word for how it is."""
    items = "".join(
        f'<li class="{"good" if one.ok else "look"}"><b>{"Good" if one.ok else "Look"}</b>'
        f"<span>{escape(one.text[:1].upper() + one.text[1:])}.</span></li>\n"
        for one in found
    )
    return f'<div class="card"><ul class="checks">\n{items}</ul></div>\n'


def command(text: str) -> str:
    """A command to copy."""
    return (
        f'<div class="card command"><p>The command that repeats the run, in a new folder:</p>'
        f'<pre id="command">{escape(text)}</pre>'
        '<button type="button" data-copies="command">Copy</button></div>\n'
    )


def notes(lines: Sequence[str]) -> str:
    """Remarks, if there are any."""
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line[:1].upper() + line[1:])}.</li>\n" for line in lines)
    return f'<div class="card"><ul>\n{items}</ul></div>\n'
