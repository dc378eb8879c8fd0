"""An update's curves as a figure; matplotlib is imported when one is drawn."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from surefoot.common.errors import UsageError
from surefoot.theory.interpolation import Interpolation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a figure's file may end in.
SUFFIXES = (".png", ".pdf", ".svg")


def draw_interpolation(curves: Interpolation, *, title: str = "") -> Figure:
    """The curves in four panels: gains and KL above, clip fraction and lower bound below. Raises
    `UsageError` where matplotlib is not installed."""
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.5), layout="constrained")
    (gains, kl), (outside, bound) = figure.subplots(2, 2, sharex=True)
    for name, values in (
        ("surrogate", curves.surrogate),
        (f"clipped at 1 ± {curves.clip:g}", curves.clipped),
        (f"surrogate − {curves.beta:.3g}·KL", curves.penalized),
    ):
        gains.plot(curves.alpha, values, label=name)
    gains.set(title="predicted gain", ylabel="units of Â")
    kl.plot(curves.alpha, curves.kl)
    kl.set(title="KL(old‖new)", ylabel="nats")
    outside.plot(curves.alpha, curves.clip_fraction)
    outside.set(title=f"share of rows with |r − 1| > {curves.clip:g}", ylim=(0.0, None))
    if curves.discount < 1.0:
        predicted = curves.surrogate / (1.0 - curves.discount)
        bound.plot(curves.alpha, predicted, label="surrogate/(1 − γ)")
        bound.plot(curves.alpha, curves.lower_bound, label="surrogate/(1 − γ) − C √KL")
        bound.set(title=f"lower bound, C = {curves.bound_constant:.3g}", ylabel="units of Σ γᵗ Â")
        bound.legend()
    else:
        bound.set(title="no lower bound at γ = 1")
    gains.legend()
    for panel in (gains, kl, outside, bound):
        panel.axhline(0.0, color="gray", linewidth=0.5)
        for alpha in (0.0, 1.0):
            panel.axvline(alpha, color="gray", linewidth=0.8, linestyle=":")
    for panel in (outside, bound):
        panel.set_xlabel("α   (0: before the update, 1: after it)")
    # A name is no formula.
    figure.suptitle(title, parse_math=False)
    return figure


def check_matplotlib() -> None:
    """Raise `UsageError` where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("a figure needs matplotlib: pip install 'surefoot[figures]'")
