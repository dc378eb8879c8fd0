"""Figures for plotly, as the data that its script draws in the browser.

Colors are names, which the page resolves: `$0` to `$7` are those of the series, `$text`, `$faint`
and `$grid` those of the rest, and `/0.2` behind one is its opacity. So one figure serves light and
dark.
"""

from __future__ import annotations

import base64
import importlib.util
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from surefoot.reporting.drawing.figures import PLAIN, Axis, Figure, Series
from surefoot.reporting.drawing.html_text import escape

COLORS = 7
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "star")
#: More points than this are drawn by WebGL, where there is one.
_MOST_SVG = 2000
#: Whole numbers that are all ticks; of more, plotly chooses some.
_FEW_TICKS = 12


def available() -> bool:
    """Whether plotly is installed."""
    return importlib.util.find_spec("plotly") is not None


def script() -> str:
    """Plotly's script, deflated, in base64: a third of its size."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return base64.b64encode(zlib.compress(path.read_bytes(), 1)).decode()


def draw(figure: Figure) -> dict[str, Any]:
    """The figure as plotly's data and layout."""
    data = [trace for series in figure.series for trace in _traces(series, figure)]
    several = sum(bool(trace.get("showlegend", True)) for trace in data) > 1
    return {
        "data": data,
        "layout": {
            "xaxis": _axis(figure.x, [series.x for series in figure.series]),
            "yaxis": _axis(figure.y, [series.y for series in figure.series]),
            "showlegend": several,
            "hovermode": "closest" if figure.y.labels else "x unified",
        },
        "rows": figure.rows,
    }


def _axis(axis: Axis, values: list[np.ndarray]) -> dict[str, Any]:
    drawn: dict[str, Any] = {"title": {"text": escape(axis.title)}}
    if axis.log:
        # With a format of their own all ticks are whole numbers of one size.
        drawn.update(type="log", tickformat="~g", dtick=_log_ticks(values))
    if axis.whole:
        drawn.update(tickformat=",d", **({"dtick": 1} if _span(axis, values) <= _FEW_TICKS else {}))
    if axis.low is not None or axis.high is not None:
        drawn["range"] = [axis.low, axis.high]
    if axis.labels:
        drawn.update(
            tickvals=list(range(len(axis.labels))),
            ticktext=[escape(label) for label in axis.labels],
            range=[-0.5, len(axis.labels) - 0.5],
        )
    return drawn


def _span(axis: Axis, values: list[np.ndarray]) -> float:
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    ends = [axis.low, axis.high, *((every.min(), every.max()) if len(every) else ())]
    known = [end for end in ends if end is not None]
    return float(max(known) - min(known)) if known else 0.0


def _log_ticks(values: list[np.ndarray]) -> float | str:
    """A tick a decade where there are several, else at 1, 2 and 5."""
    every = np.concatenate(values)
    every = every[np.isfinite(every) & (every > 0)]
    return 1 if len(every) and every.max() > 50 * every.min() else "D2"


def _traces(series: Series, figure: Figure) -> list[dict[str, Any]]:
    plain = series.style == PLAIN
    color = "$text" if plain else f"${series.style % COLORS}"
    dash = "dash" if plain else _DASHES[series.style // COLORS % len(_DASHES)]
    name = escape(series.name)
    trace: dict[str, Any] = {
        "name": name,
        "type": "scatter",
        "x": _array(series.x),
        "y": _array(series.y),
        "mode": "lines",
        "line": {"color": color, "width": 2, "dash": _dash(series)},
    }
    match series.kind:
        case "line" | "interval":
            if series.faint:
                trace["line"].update(width=1, dash="solid")
                trace["opacity"] = 0.7
            elif len(series.x) > 300:
                trace["line"]["width"] = 1.2
            if len(series.x) <= 40 and not series.faint:
                trace.update(mode="lines+markers", marker=_marker(series, color, 6))
            if series.kind == "interval" and series.low is not None and series.high is not None:
                return [*_band(series, color, name), {**trace, "legendgroup": name}]
        case "stairs":
            trace["line"]["shape"] = "hv"
        case "points":
            many = len(series.x) > _MOST_SVG
            trace.update(
                type="scattergl" if many else "scatter",
                mode="markers",
                marker={"color": color, "size": 3 if many else 4, "opacity": 0.35},
                hoverinfo="skip" if many else "all",
            )
            trace.pop("line")
        case "crosses":
            trace.update(mode="markers", marker={"color": color, "size": 9, "symbol": "x"})
            trace.pop("line")
        case "area":
            trace.update(stackgroup="stack", fillcolor=f"{color}/0.55")
            trace["line"].update(width=1)
        case "bars":
            assert series.low is not None
            assert series.high is not None
            along, of = ("x", series.x) if figure.y.labels else ("y", series.y)
            trace.update(mode="markers", marker=_marker(series, color, 9))
            trace[f"error_{along}"] = {
                "type": "data",
                "array": _array(series.high - of),
                "arrayminus": _array(of - series.low),
                "symmetric": False,
                "color": color,
                "thickness": 2,
            }
            trace.pop("line")
        case "rule":
            trace["line"].update(dash=dash, width=1.5)
            trace["hoverinfo"] = "skip"
    return [trace]


def _dash(series: Series) -> str:
    if series.style == PLAIN:
        return "dash"
    # Neighbors differ in more than color.
    return _DASHES[(series.style + series.style // COLORS) % len(_DASHES)]


def _marker(series: Series, color: str, size: int) -> dict[str, Any]:
    symbol = _MARKERS[max(series.style, 0) % len(_MARKERS)]
    return {"color": color, "size": size, "symbol": symbol}


def _band(series: Series, color: str, name: str) -> list[dict[str, Any]]:
    assert series.low is not None
    assert series.high is not None
    there = np.isfinite(series.low) & np.isfinite(series.high)
    edge = {
        "type": "scatter",
        "mode": "lines",
        "x": _array(series.x[there]),
        "line": {"width": 0, "color": color},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": name,
    }
    upper = {**edge, "y": _array(series.high[there])}
    lower = {**edge, "y": _array(series.low[there]), "fill": "tonexty", "fillcolor": f"{color}/0.2"}
    return [upper, lower]


def _array(values: np.ndarray) -> dict[str, str]:
    """An array as plotly takes it, in single precision; what is not finite is a gap."""
    values = np.asarray(values, float)
    kind = "f4"
    if len(values) and np.all(np.abs(values) < 2**31) and np.all(values == np.round(values)):
        kind = "i4"
    with np.errstate(over="ignore"):
        packed = np.where(np.isfinite(values), values, np.nan).astype(f"<{kind}")
    return {"dtype": kind, "bdata": base64.b64encode(packed.tobytes()).decode()}
