"""Which preset and which image side suit a data set, by rules of thumb (docs/presets.md)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bana.data.class_names import matching_classes
from bana.data.formats import voc
from bana.data.records import BoxDataset, box_sides

MANY_IMAGES = 700
"""Images from which on ``lite0`` is recommended, between the few hundred of ``small`` and the thousand of ``lite0``."""

SIDE = 705
"""``label.image_side`` of the presets ``lite0`` and ``small``, in pixels."""

MIN_BOX = 32
"""Side, in pixels of an image of SIDE, of boxes that are not small: four cells of the labeler's features."""

_MAX_ENLARGED = 1.5
"""Factor on images beyond which enlarging shows the labeler nothing new."""

_MAX_SIDE = 2000


@dataclass(frozen=True)
class Advice:
    """What suits a data set.

    Attributes:
        preset: ``small`` or ``lite0``.
        image_side: A value for the setting ``label.image_side``.
        box_side: Median side of the boxes, in pixels, where the longer side of their images is SIDE.
        known_classes: Classes that bana's own labeler knows.
        unknown_classes: Classes that it labels class-agnostically.
    """

    preset: str
    image_side: int
    box_side: float
    known_classes: tuple[str, ...]
    unknown_classes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The advice for JSON."""
        return asdict(self)


def advice_for(dataset: BoxDataset) -> Advice | None:
    """What suits a data set by its images, boxes and classes; None without boxes."""
    records = [record for record in dataset if len(record)]
    if not records:
        return None
    longer = np.array([max(record.width, record.height) for record in records])
    sides = [box_sides(record.boxes) for record in records]
    box_side = float(np.median(np.concatenate([SIDE / size * each for size, each in zip(longer, sides, strict=True)])))
    present = {class_id for record in records for class_id in record.class_ids.tolist()}
    names = [name for number, name in enumerate(dataset.classes, start=1) if number in present]
    ids = dict(zip(names, matching_classes(names, voc.CLASSES), strict=True))
    most = min(_MAX_SIDE, _MAX_ENLARGED * float(np.median(longer)))
    return Advice(
        "lite0" if len(records) >= MANY_IMAGES else "small",
        max(SIDE, int(min(SIDE * MIN_BOX / box_side, most) // 100) * 100),
        round(box_side, 1),
        tuple(name for name, known in ids.items() if known is not None),
        tuple(name for name, known in ids.items() if known is None),
    )
