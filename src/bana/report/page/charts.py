"""Charts of a page: SVG whose colors are the page's own, so that they follow light and dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bana.evaluate.calibration import CalibrationBin
from bana.report.violins import INK, filling_rate_figure

_MUTED = "#010203"
_SERIES = ("#010204", "#010205", "#010206")
_THEME = {INK: "var(--ink)", _MUTED: "var(--muted)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(_SERIES, start=1)
}
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
    "legend.frameon": False,
}


def curves_svg(name: str, curves: Mapping[str, Sequence[tuple[float, float]]], *, x: str, y: str, title: str) -> str:
    """Lines through points, as a running mean where there are many.

    Args:
        name: Of the chart, unlike that of any other on the page; letters and hyphens.
        curves: Points (x, y) by what a line is called; at most three lines.
        x: What is on the horizontal axis.
        y: What is on the vertical axis.
        title: Read aloud in place of the chart.
    """
    with mpl.rc_context(_LOOK):
        figure, axes = _figure(x, y)
        for (label, points), color in zip(curves.items(), _SERIES, strict=False):
            steps, values = np.array(points, dtype=np.float64).T
            width = max(1, len(values) // 20)
            if width > 1:
                axes.plot(steps, values, color=color, linewidth=0.8, alpha=0.3)
            smooth = np.convolve(values, np.ones(width) / width, mode="valid")
            axes.plot(steps[width - 1 :], smooth, color=color, linewidth=1.8, label=label)
        axes.set_ylim(bottom=0)
        if len(curves) > 1:
            axes.legend()
        return _svg(name, figure, title)


def calibration_svg(name: str, bins: Sequence[CalibrationBin], *, title: str) -> str:
    """How often labels are right, over how sure they are; the dotted line is where both are the same."""
    with mpl.rc_context(_LOOK):
        figure, axes = _figure("confidence", "share of right pixels")
        axes.plot([0, 1], [0, 1], color=_MUTED, linestyle=":", linewidth=1.2)
        places = [each.confidence for each in bins]
        sizes = [12 + 400 * each.share for each in bins]
        axes.plot(places, [each.right for each in bins], color=_SERIES[0], linewidth=1.8)
        axes.scatter(places, [each.right for each in bins], s=sizes, color=_SERIES[0], alpha=0.6, linewidths=0)
        axes.set(xlim=(0, 1.04), ylim=(0, 1.04))
        return _svg(name, figure, title)


def violins_svg(name: str, rates: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> str:
    """Filling rates by class, as filling_rate_figure draws them. Raises SettingsError as it does."""
    with mpl.rc_context(_LOOK):
        return _svg(name, filling_rate_figure(rates, colors=_SERIES), title)


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(color=_MUTED, alpha=0.25, linewidth=0.6)
    return figure, axes


def _svg(name: str, figure: Figure, title: str) -> str:
    """A figure as an element of a page, named for who cannot see it; its ids begin with the chart's name."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the reader's fonts will have it
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawn = buffer.getvalue()
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
