"""A photograph with its boxes, its masks or its unreliable pixels drawn on it: arrays in, arrays of that size out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bana.data.colors import ALARM, INK, Color
from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, pixel_slices
from bana.report.text import font_for, plain

Picture = npt.NDArray[np.uint8]
Edges = tuple[int, int, int, int]

_LETTERS = 13

_MAX_NAMED = 0.1
"""Share of a photograph that names may cover."""


def boxes_panel(
    image: Picture, boxes: FloatArray, names: Sequence[str], colors: Sequence[Color], scale: int = 1
) -> Picture:
    """The photograph with every box, and its name where there is room for it.

    Lines run along the outermost pixels of the box; smaller boxes are in front. A name that is much wider than its box,
    or that would cover another name, is left out. So are those of the smaller boxes where names would cover more than a
    tenth of the photograph.

    Args:
        image: RGB uint8 (H, W, 3).
        boxes: (K, 4) xyxy in pixel-edge coordinates.
        names: K names.
        colors: K colors.
        scale: Pixels to a unit of line width and letter size.
    """
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    edges = [_edges(box) for box in boxes]
    large_first = sorted(range(len(edges)), key=lambda index: _area(edges[index]), reverse=True)
    for index in large_first:
        draw.rectangle(_grown(edges[index], 1), outline=INK)
        draw.rectangle(edges[index], outline=colors[index], width=2 * scale)
    taken: list[Edges] = []
    for index in large_first:
        name = plain(names[index])
        tag = _tag(edges[index], name, picture.size, scale, taken)
        if tag is not None and sum(map(_area, (*taken, tag))) <= _MAX_NAMED * picture.width * picture.height:
            taken.append(tag)
            draw.rectangle(tag, fill=colors[index])
            middle = ((tag[0] + tag[2] + 1) / 2, (tag[1] + tag[3] + 1) / 2)
            draw.text(middle, name, INK, font_for(name, _LETTERS * scale), anchor="mm")
    return np.asarray(picture)


def masks_panel(
    image: Picture,
    labels: LabelMap,
    colors: Mapping[int, Color],
    scale: int = 1,
    unreliable: BoolArray | None = None,
) -> Picture:
    """The photograph without color, with every labeled region in its class's color and with a light rim inside.

    Args:
        image: RGB uint8 (H, W, 3).
        labels: (H, W) class ids; those without a color (background, ignored) are left as they are.
        colors: Colors by class id.
        scale: Pixels to a unit of line width.
        unreliable: bool (H, W), where dark stripes go over all but the rims (default: nowhere).
    """
    picture = backdrop(image)
    shade = 0.62 + 0.45 * _lightness(image)  # keeps an object's own light and shadow under its color
    shown = np.intersect1d(labels, list(colors)).tolist()
    for class_id in shown:
        inside = labels == class_id
        picture[inside] = _blend(picture[inside], shade[inside, None] * np.array(colors[class_id]), 0.85)
    if unreliable is not None:
        stripes = unreliable & _gaps(unreliable.shape, scale)
        picture[stripes] = _blend(picture[stripes], np.array(INK), 0.7)
    for class_id in shown:
        picture[_rim(labels == class_id, scale)] = _blend(np.array(colors[class_id]), 255, 0.6)
    return picture


def unreliable_panel(image: Picture, labeled: BoolArray, unreliable: BoolArray, scale: int = 1) -> Picture:
    """The photograph dark and without color, the labeled regions lighter, and hatched yellow where it is unreliable.

    Args:
        image: RGB uint8 (H, W, 3).
        labeled: bool (H, W), where there is an object.
        unreliable: bool (H, W).
        scale: Pixels to a unit of line width.
    """
    gray = _lightness(image)[..., None] * 255
    picture = _blend(gray, np.array(INK), np.where(labeled, 0.2, 0.66)[..., None])
    gaps = _gaps(unreliable.shape, scale)
    picture[unreliable & ~gaps] = ALARM
    picture[unreliable & gaps] = _blend(np.array(ALARM), np.array(INK), 0.55)
    return picture


def confidence_panel(sigma: FloatArray) -> Picture:
    """Confidence (H, W) in 0..1 in the colors of a scale that eyes read evenly, uint8 (H, W, 3)."""
    steps = np.rint(np.clip(sigma, 0, 1) * 255).astype(np.uint8)
    panel: Picture = _confidence_colors()[steps]
    return panel


def grown(mask: BoolArray, by: int) -> BoolArray:
    """The pixels (H, W) that are at most ``by`` rows and columns from one of a mask, bool (H, W)."""
    near, reach = mask.copy(), 0
    while reach < by:
        step = min(2 * reach + 1, by - reach)  # so that no gap is left between what was reached and what is added
        for axis in (0, 1):
            lines = np.moveaxis(near, axis, 0)
            before = lines.copy()
            lines[step:] |= before[:-step]
            lines[:-step] |= before[step:]
        reach += step
    return near


def backdrop(image: Picture) -> Picture:
    """The photograph without color and paler, on which colors stand out."""
    return _blend(_lightness(image)[..., None].repeat(3, axis=-1) * 255, 255, 0.5)


@cache
def _confidence_colors() -> Picture:
    """uint8 (256, 3), dark to bright."""
    from matplotlib import colormaps  # slow to import, and seldom needed

    colors: Picture = colormaps["magma"](np.arange(256), bytes=True)[:, :3]
    return colors


def _gaps(shape: tuple[int, ...], scale: int) -> BoolArray:
    """Every third of the diagonals, each two units wide, of a picture of shape (H, W)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    gaps: BoolArray = (rows + columns) // (2 * scale) % 3 == 0
    return gaps


def _lightness(image: Picture) -> FloatArray:
    """Gray values of the photograph, (H, W) in 0..1."""
    return np.asarray(Image.fromarray(image).convert("L"), dtype=np.float32) / np.float32(255)


def _blend(under: npt.NDArray[np.generic], over: npt.ArrayLike, share: npt.ArrayLike) -> Picture:
    """``under`` with so large a share (0..1) of ``over``, rounded to uint8."""
    share = np.asarray(share)
    mixed: Picture = np.rint(np.clip(under * (1 - share) + np.asarray(over) * share, 0, 255)).astype(np.uint8)
    return mixed


def _rim(mask: BoolArray, width: int) -> BoolArray:
    """The pixels of a mask that are at most ``width`` from a pixel outside it; the image's border is no outside."""
    return mask & grown(~mask, width)


def _edges(box: FloatArray) -> Edges:
    """The outermost pixels of a box: left, top, right, bottom, all inside it."""
    rows, columns = pixel_slices(box)
    return columns.start, rows.start, columns.stop - 1, rows.stop - 1


def _grown(edges: Edges, by: int) -> Edges:
    left, top, right, bottom = edges
    return left - by, top - by, right + by, bottom + by


def _area(edges: Edges) -> int:
    left, top, right, bottom = edges
    return (right - left + 1) * (bottom - top + 1)


def _tag(edges: Edges, name: str, size: tuple[int, int], scale: int, taken: Sequence[Edges]) -> Edges | None:
    """Where a box's name goes: on its upper edge, inside, or under it; None where there is no room."""
    left, top, right, bottom = edges
    width = round(font_for(name, _LETTERS * scale).getlength(name)) + 8 * scale
    height = (_LETTERS + 5) * scale
    if not name or width > max(1.8 * (right - left), 1) or width > size[0]:
        return None
    left = min(left, size[0] - width)
    for upper in (top - height + 1, top, bottom):
        tag = (left, upper, left + width - 1, upper + height - 1)
        if upper >= 0 and tag[3] < size[1] and not any(_overlap(tag, other) for other in taken):
            return tag
    return None


def _overlap(one: Edges, other: Edges) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
