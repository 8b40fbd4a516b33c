"""Violin plots of filling rates per class, the ways to label beside the truth (the paper's Fig. 4b)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bana.data.colors import INK as INK_COLOR
from bana.data.colors import hex_of
from bana.errors import SettingsError

MIN_BOXES = 5
"""A distribution of fewer boxes is not drawn."""

INK = hex_of(INK_COLOR)
"""Color of text, and of the truth."""


def filling_rate_violins(
    rates: Mapping[str, Mapping[str, Sequence[float]]], *, title: str, most_classes: int = 12
) -> bytes:
    """Draw filling_rate_figure with a title at its top; returns a PNG file. Raises SettingsError as it does."""
    with matplotlib.rc_context({"text.parse_math": False}):  # a dollar sign in a class's name is one
        figure = filling_rate_figure(rates, most_classes=most_classes)
    figure.suptitle(title, x=0.01, ha="left", color=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def filling_rate_figure(
    rates: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    most_classes: int = 12,
    colors: Sequence[Any] = (),
) -> Figure:
    """Draw a panel a class and a violin a way.

    Args:
        rates: By way and class name, numbers 0..1; the first way is the truth, whose median is drawn across.
        most_classes: Classes that are drawn, those of most boxes first.
        colors: Of the ways after the first, in turns; matplotlib's ten if left out.

    Raises:
        SettingsError: If no class has MIN_BOXES boxes in every way.
    """
    ways = list(rates)
    truth = rates[ways[0]]
    enough = [name for name in truth if all(len(rates[way].get(name, ())) >= MIN_BOXES for way in ways)]
    names = sorted(enough, key=lambda name: -len(truth[name]))[:most_classes]
    if not names:
        raise SettingsError(f"no class has {MIN_BOXES} boxes; filling rates cannot be drawn")
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    colors = colors or matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    size = (1.2 + columns * (0.5 + 0.33 * len(ways)), 1.1 + 2.3 * lines)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    for number, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, number + 1)
        values = [rates[way][name] for way in ways]
        drawn: Any = axes.violinplot(values, showmedians=True, showextrema=False, widths=0.85)
        for index, body in enumerate(drawn["bodies"]):
            body.set(facecolor=colors[(index - 1) % len(colors)] if index else INK, alpha=0.75)
        drawn["cmedians"].set(color=["white", *[INK] * (len(ways) - 1)], linewidth=1.2)
        axes.axhline(sorted(truth[name])[len(truth[name]) // 2], color=INK, linewidth=0.6, linestyle=":")
        axes.set(ylim=(0, 1.02), title=f"{name} ({len(truth[name])})", xticks=range(1, len(ways) + 1))
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=7)
        last_line = number + columns >= len(names)
        axes.set_xticklabels(ways if last_line else [], rotation=90)
    return figure
