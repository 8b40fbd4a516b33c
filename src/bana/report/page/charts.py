"""Charts of a page: SVG whose colors are the page's own, so that they follow light and dark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bana.evaluate.calibration import CalibrationBin
from bana.report.violins import INK, filling_rate_figure, saved

_MUTED = "#010203"
_SERIES = "#010204"
_THEME = {INK: "var(--ink)", _MUTED: "var(--muted)", _SERIES: "var(--series-1)"}
"""Colors that stand for the page's variables; none of them is drawn as such."""

_LOOK: Any = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, found and copied
    "svg.hashsalt": "bana",
    "text.parse_math": False,  # a dollar sign in a class's name is one
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": _MUTED,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def curve_svg(name: str, points: Sequence[tuple[float, float]], *, x: str, y: str, title: str) -> str:
    """A line through points, as a running mean where there are many.

    Args:
        name: The chart's name, unique on the page; letters and hyphens.
        points: The points (x, y).
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        title: What a screen reader says in place of the chart.
    """
    with mpl.rc_context(_LOOK):
        figure, axes = _figure(x, y)
        steps, values = np.array(points, dtype=np.float64).T
        width = max(1, len(values) // 20)
        if width > 1:
            axes.plot(steps, values, color=_SERIES, linewidth=0.8, alpha=0.3)
        smooth = np.convolve(values, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], smooth, color=_SERIES, linewidth=1.8)
        axes.set_ylim(bottom=0)
        return _svg(name, figure, title)


def calibration_svg(name: str, bins: Sequence[CalibrationBin], *, title: str) -> str:
    """How often labels are right, over how sure they are; the dotted line is where both are the same."""
    with mpl.rc_context(_LOOK):
        figure, axes = _figure("confidence", "share of right pixels")
        axes.plot([0, 1], [0, 1], color=_MUTED, linestyle=":", linewidth=1.2)
        places = [each.confidence for each in bins]
        sizes = [12 + 400 * each.share for each in bins]
        axes.plot(places, [each.right for each in bins], color=_SERIES, linewidth=1.8)
        axes.scatter(places, [each.right for each in bins], s=sizes, color=_SERIES, alpha=0.6, linewidths=0)
        axes.set(xlim=(0, 1.04), ylim=(0, 1.04))
        return _svg(name, figure, title)


def violins_svg(name: str, rates: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> str:
    """Filling rates by class, as filling_rate_figure draws them. Raises SettingsError as it does."""
    with mpl.rc_context(_LOOK):
        return _svg(name, filling_rate_figure(rates, colors=[_SERIES]), title)


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(color=_MUTED, alpha=0.25, linewidth=0.6)
    return figure, axes


def _svg(name: str, figure: Figure, title: str) -> str:
    """A figure as an element of a page, titled for screen readers; its ids begin with the chart's name."""
    drawn = saved(figure, "svg", transparent=True, metadata={"Date": None}).decode()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    for color, variable in _THEME.items():
        drawn = drawn.replace(color, variable)
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    drawn = re.sub(r"font: (\d+)px [^;\"]*", r"font-size: \1px", drawn)
    return re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", _opening(title), drawn, count=1, flags=re.DOTALL)


def _opening(title: str) -> str:
    named = escape(title, quote=True).replace("\\", r"\\")
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return rf'<svg {names} \1 role="img" aria-label="{named}">'
