"""Where a large image is cut into tiles, each of which is labeled with the boxes that belong to it.

Every box belongs to one tile. A box that a tile can hold is never cut. One that is larger than a tile gets a window of
its own, which is read reduced where it has too many pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from bana.data.records import BoolArray, FloatArray
from bana.errors import SettingsError
from bana.label.boxes import Place

AUTO_SIDE = 1024
"""Pixels; the side of tiles where nobody says another."""

AUTO_PIXELS = 2**25
"""The most pixels of an image that is labeled in one piece where nobody says otherwise: larger than photographs are."""

MIN_SIDE, MAX_SIDE = 256, 4096
"""Pixels; the sides of tiles that may be asked for."""

MARGIN = 32
"""Pixels around a box that its tile shows too, where the image has them."""

_OVERLAP = 1 / 4
"""Share of a tile's side that the next tile shows too."""

_SURROUNDINGS = 1.25
"""Side of the window of a box that is larger than a tile, in sides of the box."""

_MOST_TILES = 4
"""The most pixels that are labeled together, in tiles."""


@dataclass(frozen=True)
class Tiling:
    """Which images are cut into tiles, and how large these are.

    Attributes:
        side: Side of a tile, in pixels, overlaps included (None: no image is cut).
        most: The most pixels of an image that is not cut.
    """

    side: int | None = AUTO_SIDE
    most: int = AUTO_PIXELS

    @classmethod
    def parse(cls, text: str | int) -> Tiling:
        """``auto``, ``none`` or the side of a tile in pixels.

        Raises:
            SettingsError: If it is none of these, or no side that a tile can have.
        """
        if text in ("auto", "none"):
            return cls() if text == "auto" else cls(None)
        if str(text).isdecimal() and MIN_SIDE <= int(text) <= MAX_SIDE:
            return cls(int(text), int(text) ** 2)
        raise SettingsError(f"tile: {text!r:.200} is not known; give auto, none or {MIN_SIDE} to {MAX_SIDE} pixels")

    def side_for(self, width: int, height: int) -> int | None:
        """The side of the tiles of an image of this size, in pixels; None if it is not cut."""
        return self.side if width * height > self.most else None


@dataclass(frozen=True)
class Tile:
    """A window of an image that is labeled by itself.

    Attributes:
        place: Its rows and columns.
        numbers: The boxes that belong to it, ascending.
        block: Side, in pixels of the image, of what is one pixel in the labeling.
    """

    place: Place
    numbers: tuple[int, ...]
    block: int = 1


def plan_tiles(size: tuple[int, int], boxes: FloatArray, usable: BoolArray, side: int) -> list[Tile]:
    """Plan the tiles of an image: only those to which boxes belong, from the top left to the bottom right.

    Args:
        size: (H, W), in pixels.
        boxes: (K, 4) xyxy inside the image.
        usable: bool (K,): boxes that are labeled at all; the others belong to no tile.
        side: Of a tile, in pixels.

    Returns:
        Tiles of at most ``4 * side ** 2`` pixels, counted in blocks.
    """
    shown = _with_margin(boxes, size)
    cells: dict[tuple[int, ...], list[int]] = {}
    left: list[int] = []
    step = max(round(side * (1 - _OVERLAP)), 1)
    for number in np.flatnonzero(usable).tolist():
        x0, y0, x1, y1 = boxes[number]
        cell = int((y0 + y1) / 2 // step), int((x0 + x1) / 2 // step)
        holds = _held(_cell_place(cell, size, side, step), shown[number : number + 1]).all()
        cells.setdefault(cell, []).append(number) if holds else left.append(number)
    tiles = [Tile(_cell_place(cell, size, side, step), tuple(numbers)) for cell, numbers in cells.items()]
    tiles += _own_tiles(size, boxes, shown, left, side)
    grown = [_with_neighbors(tile, size, boxes, shown, usable, side) for tile in tiles]
    return sorted(grown, key=lambda tile: (tile.place[0].start, tile.place[1].start, tile.numbers))


def _own_tiles(
    size: tuple[int, int], boxes: FloatArray, shown: FloatArray, left: Sequence[int], side: int
) -> Iterator[Tile]:
    """Tiles around boxes that no tile of the grid holds; each takes in the next ones that it holds too."""
    waiting = np.array(left, dtype=np.int64)
    while len(waiting):
        x0, y0, x1, y1 = boxes[waiting[0]]
        fits = (shown[waiting[0], 2:] - shown[waiting[0], :2]).max() <= side
        sides = (side if fits else max(ceil(_SURROUNDINGS * length), side) for length in (y1 - y0, x1 - x0))
        rows, columns = (_span(*each) for each in zip(((y0 + y1) / 2, (x0 + x1) / 2), sides, size, strict=True))
        block = ceil(sqrt(_pixels((rows, columns)) / (_MOST_TILES * side**2)))
        held = _held((rows, columns), shown[waiting]) & (block == 1)
        held[0] = True
        yield Tile((rows, columns), tuple(waiting[held].tolist()), block)
        waiting = waiting[~held]


def _with_neighbors(
    tile: Tile, size: tuple[int, int], boxes: FloatArray, shown: FloatArray, usable: BoolArray, side: int
) -> Tile:
    """A tile grown to hold also the boxes that overlap its own, as far as it stays within the pixels allowed.

    Two objects that claim the same pixels are told apart best where both are seen whole.
    """
    if tile.block > 1:
        return tile
    own = boxes[list(tile.numbers)]
    x0, y0 = own[:, :2].min(0)
    x1, y1 = own[:, 2:].max(0)
    near = np.flatnonzero(usable & (boxes[:, 0] < x1) & (boxes[:, 2] > x0) & (boxes[:, 1] < y1) & (boxes[:, 3] > y0))
    rows, columns = tile.place
    for number in near:
        apart = (own[:, :2] >= boxes[number, 2:]).any(1) | (own[:, 2:] <= boxes[number, :2]).any(1)
        if apart.all():
            continue
        wide = [int(np.floor(low)) for low in shown[number, :2]] + [int(np.ceil(high)) for high in shown[number, 2:]]
        taller = slice(min(rows.start, wide[1]), max(rows.stop, wide[3]))
        wider = slice(min(columns.start, wide[0]), max(columns.stop, wide[2]))
        if _pixels((taller, wider)) <= _MOST_TILES * side**2:
            rows, columns = taller, wider
    return Tile((rows, columns), tile.numbers)


def _with_margin(boxes: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Boxes (K, 4) with the margin that a tile shows, inside the image."""
    height, width = size
    grown: FloatArray = np.clip(
        boxes.reshape(-1, 4) + np.array([-MARGIN, -MARGIN, MARGIN, MARGIN]), 0, [width, height, width, height]
    )
    return grown


def _held(place: Place, shown: FloatArray) -> BoolArray:
    """Which boxes with their margins (K, 4) rows and columns hold whole: bool (K,)."""
    rows, columns = place
    low, high = np.array([columns.start, rows.start]), np.array([columns.stop, rows.stop])
    held: BoolArray = np.all((shown[:, :2] >= low) & (shown[:, 2:] <= high), axis=1)
    return held


def _pixels(place: Place) -> int:
    rows, columns = place
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _cell_place(cell: tuple[int, ...], size: tuple[int, int], side: int, step: int) -> Place:
    """What the tile of a cell of the grid shows."""
    rows, columns = (_span((number + 0.5) * step, side, length) for number, length in zip(cell, size, strict=True))
    return rows, columns


def _span(center: float, side: int, length: int) -> slice:
    """Pixels of one axis around a position: ``side``, or all where there are no more."""
    start = int(np.clip(round(center - side / 2), 0, max(length - side, 0)))
    return slice(start, min(start + side, length))
