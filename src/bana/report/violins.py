"""Violin plots of filling rates per class, labeling methods beside the truth (the paper's Fig. 4b)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bana.data.colors import INK as INK_COLOR
from bana.data.colors import hex_of
from bana.errors import SettingsError

MIN_BOXES = 5
"""A distribution of fewer boxes is not drawn."""

MAX_CLASSES = 12
"""Classes that are drawn, those of most boxes first."""

INK = hex_of(INK_COLOR)
"""Color of text, and of the truth."""


def filling_rate_violins(rates: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> bytes:
    """Draw filling_rate_figure with a title at its top; returns a PNG file. Raises SettingsError as it does."""
    with matplotlib.rc_context({"text.parse_math": False}):  # a dollar sign in a class's name is one
        figure = filling_rate_figure(rates)
    figure.suptitle(title, x=0.01, ha="left", color=INK)
    return saved(figure, "png")


def filling_rate_figure(rates: Mapping[str, Mapping[str, Sequence[float]]], *, colors: Sequence[Any] = ()) -> Figure:
    """Draw a panel for each class, and in it a violin for each method.

    Args:
        rates: Filling rates (0..1) by method and class name. The first method is the truth; a line marks its median.
        colors: Colors of the other methods, in turns (default: matplotlib's ten).

    Raises:
        SettingsError: If no class has MIN_BOXES boxes in every method.
    """
    methods = list(rates)
    truth = rates[methods[0]]
    enough = [name for name in truth if all(len(rates[method].get(name, ())) >= MIN_BOXES for method in methods)]
    names = sorted(enough, key=lambda name: -len(truth[name]))[:MAX_CLASSES]
    if not names:
        raise SettingsError(f"no class has {MIN_BOXES} boxes; filling rates cannot be drawn")
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    colors = colors or matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    size = (1.2 + columns * (0.5 + 0.33 * len(methods)), 1.1 + 2.3 * lines)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    for number, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, number + 1)
        values = [rates[method][name] for method in methods]
        drawn: Any = axes.violinplot(values, showmedians=True, showextrema=False, widths=0.85)
        for index, body in enumerate(drawn["bodies"]):
            body.set(facecolor=colors[(index - 1) % len(colors)] if index else INK, alpha=0.75)
        drawn["cmedians"].set(color=["white", *[INK] * (len(methods) - 1)], linewidth=1.2)
        axes.axhline(sorted(truth[name])[len(truth[name]) // 2], color=INK, linewidth=0.6, linestyle=":")
        axes.set(ylim=(0, 1.02), title=f"{name} ({len(truth[name])})", xticks=range(1, len(methods) + 1))
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=7)
        last_line = number + columns >= len(names)
        axes.set_xticklabels(methods if last_line else [], rotation=90)
    return figure


def saved(figure: Figure, format: str, **options: Any) -> bytes:
    """A figure as a file; a letter that matplotlib's fonts lack is no reason to warn."""
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format=format, **options)
    return file.getvalue()
