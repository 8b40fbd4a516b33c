"""Colors of classes, the same in all pictures and pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

Color = tuple[int, int, int]
"""Red, green and blue, each 0..255."""

PALETTE: tuple[Color, ...] = (
    (255, 122, 102),  # coral
    (46, 204, 190),  # teal
    (255, 200, 61),  # gold
    (176, 148, 255),  # violet
    (84, 184, 255),  # sky
    (255, 143, 199),  # pink
    (166, 217, 62),  # lime
    (255, 160, 74),  # orange
    (124, 234, 187),  # mint
    (143, 168, 255),  # periwinkle
    (226, 186, 150),  # sand
    (94, 222, 240),  # cyan
)
"""Neighbors are far apart in hue, and dark letters can be read on each."""

INK: Color = (22, 24, 29)
"""Almost black: text and lines."""

PAPER: Color = (252, 252, 249)
"""Almost white: the background of pictures, and text on dark."""

ALARM: Color = (255, 221, 51)
"""Unreliable pixels."""


def hex_of(color: Color) -> str:
    """A color as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def color_of(class_id: int) -> Color:
    """The color of a class id, from 1 on, that does not depend on the other classes."""
    return PALETTE[(class_id - 1) % len(PALETTE)]


def colors_of(pictures: Iterable[Iterable[int]]) -> dict[int, Color]:
    """A color for every class, the same in all pictures.

    Classes of one picture differ in color, as long as they and the classes that they meet elsewhere are no more than
    the palette has.

    Args:
        pictures: The class ids of each picture.
    """
    met: dict[int, set[int]] = {}
    for class_ids in pictures:
        together = dict.fromkeys(class_ids)
        for class_id in together:
            met.setdefault(class_id, set()).update(together)
    chosen: dict[int, int] = {}
    for class_id, others in met.items():
        used = Counter(chosen.values())
        near = {chosen[other] for other in others if other in chosen}
        chosen[class_id] = min(range(len(PALETTE)), key=lambda index: (index in near, used[index], index))
    return {class_id: PALETTE[index] for class_id, index in chosen.items()}
