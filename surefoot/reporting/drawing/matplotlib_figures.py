"""Figures by matplotlib, as SVG in the page, for where plotly is not installed.

The text's color is the page's, and colors of series are the page's, too, so that a figure serves
light and dark.
"""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from surefoot.reporting.drawing.figures import PLAIN, Figure, Series, thin
from surefoot.reporting.drawing.plotly_figures import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Stand for the text's color and for that of the grid until the SVG is there.
_TEXT, _GRID = "#010203", "#010204"
_SERIES = tuple(f"#0102{16 + i:02x}" for i in range(COLORS))
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (8, 3)))
_MARKERS = "osD^Pp*"
#: Dots of vector graphics that a page can take.
_MOST_DOTS = 1500


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def picture(figure: Figure) -> str:
    """The figure as an SVG element with its name and its summary."""
    import matplotlib
    from matplotlib.figure import Figure as Drawing

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": figure.name,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": _TEXT,
        "axes.labelcolor": _TEXT,
        "axes.edgecolor": _TEXT,
        "axes.linewidth": 0.5,
        "xtick.color": _TEXT,
        "ytick.color": _TEXT,
        "grid.color": _GRID,
        "grid.linewidth": 0.6,
        "axes.grid": True,
        "legend.frameon": False,
        "text.parse_math": False,
    }
    with matplotlib.rc_context(style):
        height = 1.1 + 0.35 * figure.rows if figure.rows else 3.3
        drawing = Drawing(figsize=(9.6 if figure.wide else 5.6, height), layout="constrained")
        axes = drawing.subplots()
        axes.set_axisbelow(True)
        for spine in ("top", "right"):
            axes.spines[spine].set_visible(False)
        _stack(axes, [one for one in figure.series if one.kind == "area"])
        for series in figure.series:
            _draw(axes, series, figure)
        _dress(axes, figure)
        text = io.StringIO()
        with warnings.catch_warnings():
            # The browser has other fonts; words that leave no room for axes are a user's own.
            warnings.simplefilter("ignore", UserWarning)
            drawing.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return (
        f'<div class="drawn" role="img" aria-labelledby="{figure.name}-title">'
        f"{_embedded(text.getvalue(), figure.name)}</div>\n"
    )


def _color(series: Series) -> str:
    return _TEXT if series.style == PLAIN else _SERIES[series.style % COLORS]


def _draw(axes: Axes, series: Series, figure: Figure) -> None:
    color, faint = _color(series), series.faint
    look: dict[str, Any] = {"color": color, "label": series.name}
    dash = _DASHES[max(series.style, 0) % len(_DASHES)]
    marker = _MARKERS[max(series.style, 0) % len(_MARKERS)]
    match series.kind:
        case "line" | "interval":
            width, alpha = (0.8, 0.55) if faint else (1.6, 1.0)
            few = len(series.x) <= 40 and not faint
            look["marker"] = marker if few else None
            axes.plot(
                series.x,
                series.y,
                ls="-" if faint else dash,
                lw=width,
                alpha=alpha,
                markersize=4,
                **look,
            )
            if series.kind == "interval" and series.low is not None and series.high is not None:
                axes.fill_between(
                    series.x, series.low, series.high, color=color, alpha=0.2, linewidth=0
                )
        case "stairs":
            axes.step(series.x, series.y, where="post", lw=1.6, ls=dash, **look)
        case "points":
            shown = thin(len(series.x), _MOST_DOTS)
            x, y = series.x[shown], series.y[shown]
            axes.plot(x, y, ls="none", marker="o", ms=2.2, alpha=0.45, mew=0, **look)
        case "crosses":
            axes.plot(series.x, series.y, ls="none", marker="x", ms=6, mew=2, **look)
        case "bars":
            assert series.low is not None
            assert series.high is not None
            along, of = ("xerr", series.x) if figure.y.labels else ("yerr", series.y)
            error: Any = {along: np.array([of - series.low, series.high - of]).clip(0)}
            axes.errorbar(
                series.x, series.y, ls="none", marker=marker, ms=5, capsize=3, **error, **look
            )
        case "rule":
            axes.plot(series.x, series.y, ls="--", lw=1.2, **look)
        case "area":
            pass


def _stack(axes: Axes, areas: list[Series]) -> None:
    if areas:
        axes.stackplot(
            areas[0].x,
            np.array([one.y for one in areas]),
            labels=[one.name for one in areas],
            colors=[_color(one) for one in areas],
            alpha=0.6,
        )


def _dress(axes: Axes, figure: Figure) -> None:
    from matplotlib import ticker

    axes.set_xlabel(figure.x.title)
    axes.set_ylabel(figure.y.title)
    for scale, limits, axis in (
        (axes.set_xscale, axes.set_xlim, figure.x),
        (axes.set_yscale, axes.set_ylim, figure.y),
    ):
        if axis.log and (ends := _ends(figure)) is not None:
            scale("log")
            steps = (1.0,) if ends[1] > 50 * ends[0] else (1.0, 2.0, 5.0)
            axes.yaxis.set_major_locator(ticker.LogLocator(subs=steps))
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:.1g}"))
            axes.yaxis.set_minor_formatter(ticker.NullFormatter())
        if axis.whole:
            axes.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        if axis.low is not None or axis.high is not None:
            limits(axis.low, axis.high)
    if figure.y.labels:
        axes.set_yticks(range(len(figure.y.labels)), figure.y.labels)
        axes.set_ylim(-0.5, len(figure.y.labels) - 0.5)
    if _largest(figure) >= 10_000:
        axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    if len(figure.series) > 1:
        # Above the axes, as wide as they are.
        columns = 3 if figure.wide else 2
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=9)


def _ends(figure: Figure) -> tuple[float, float] | None:
    """The lowest and the highest value that a logarithmic y axis has a place for."""
    values = np.concatenate([one.y for one in figure.series])
    values = values[np.isfinite(values) & (values > 0)]
    return (float(values.min()), float(values.max())) if len(values) else None


def _largest(figure: Figure) -> float:
    return max((float(np.abs(one.x).max()) for one in figure.series if len(one.x)), default=0.0)


def _embedded(svg: str, name: str) -> str:
    """An SVG file's text as part of a page, with ids of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for attribute in ('id="', 'href="#', "url(#"):
        svg = svg.replace(attribute, f"{attribute}{name}-")
    svg = svg.replace(_TEXT, "currentColor").replace(_GRID, "var(--grid)")
    for number, color in enumerate(_SERIES):
        svg = svg.replace(color, f"var(--c{number})")
    return svg
