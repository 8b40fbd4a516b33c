"""A photograph with its objects over it, as a JPEG file: the picture of a Mask R-CNN's prediction."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from bana.data.colors import PAPER, color_of
from bana.data.encoding import jpeg
from bana.data.records import ClassTable, paint_order
from bana.instance import Detections
from bana.report.overlay import MIN_LETTERS, blended, darken, letters_for
from bana.report.panels import Picture
from bana.report.text import fitted, font_for

MIN_SCORE = 0.5
"""Objects of which the network is less sure are not drawn."""


def objects_jpeg(image: Picture, found: Detections, class_table: ClassTable) -> bytes:
    """The photograph with the mask, box, class and score of every object that is at least half sure.

    Objects have the colors of ``PALETTE`` in the order of their scores; smaller boxes are in front. A picture too
    small to read has no words.

    Args:
        image: RGB uint8 (H, W, 3).
        found: Its objects.
        class_table: The classes.

    Returns:
        A JPEG file of the photograph's size.
    """
    shown = np.flatnonzero(found.scores >= MIN_SCORE)
    boxes = found.boxes[shown]
    labels = np.zeros(image.shape[:2], np.uint16)
    for number in paint_order(boxes):
        labels[found.masks[shown[number]]] = number + 1
    picture, _ = blended(image, labels, len(shown))
    drawing = Image.fromarray(picture)
    for number in paint_order(boxes):
        name = class_table.names[found.class_ids[shown[number]] - 1]
        _draw_box(drawing, boxes[number].tolist(), number + 1, name, found.scores[shown[number]])
    return jpeg(drawing)


def _draw_box(drawing: Image.Image, box: list[float], label: int, name: str, score: float) -> None:
    """An outline, and a dark plate with the class and its score inside the box's upper left corner, or what fits."""
    letters = letters_for(drawing)
    x0, y0, x1, y1 = (round(value) for value in box)
    draw = ImageDraw.Draw(drawing)
    draw.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=color_of(label), width=max(1, letters // 8))
    if letters < MIN_LETTERS:
        return
    pad = round(letters * 0.3)
    text = fitted(f"{name} {score:.0%}", letters, drawing.width - x0 - 2 * pad)
    if not text:
        return
    width = round(font_for(text, letters).getlength(text)) + 2 * pad
    height = round(letters * 1.3)
    top = min(y0, drawing.height - height)
    darken(drawing, (x0, top, x0 + width, top + height), pad)
    draw.text((x0 + pad, top + height / 2), text, PAPER, font_for(text, letters), anchor="lm")
