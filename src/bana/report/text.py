"""Text in pictures: a font for it, without line breaks, and no wider than there is room."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_BUILT_IN = frozenset(map(chr, range(32, 127))) | frozenset("…·")
"""The characters that Pillow's own font has a shape for."""


def plain(text: str) -> str:
    """The text on one line, without characters that cannot be printed."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def font_for(text: str, size: int) -> Font:
    """The font for a text: Pillow's own where it has all the characters, else DejaVu Sans, which has more.

    Args:
        text: What to draw.
        size: Pixels.
    """
    return _font(size, built_in=_BUILT_IN.issuperset(text))


def fitted(text: str, size: int, width: float) -> str:
    """The text made plain, cut with an ellipsis where it is wider than ``width`` pixels."""
    text = plain(text)
    if _length(text, size) <= width:
        return text
    cuts = range(len(text))
    kept = bisect_right(cuts, width, key=lambda count: _length(text[:count].rstrip() + "…", size)) - 1
    return text[:kept].rstrip() + "…" if kept > 0 else ""


def _length(text: str, size: int) -> float:
    return font_for(text, size).getlength(text)


@cache
def _font(size: int, *, built_in: bool) -> Font:
    if built_in:
        return ImageFont.load_default(size)
    import matplotlib  # slow to import, and seldom needed

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)
