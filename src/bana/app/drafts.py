"""The draft of an image under review: its objects in order, their masks, and what a person painted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from bana.data.label_maps import LabelMap
from bana.data.masks import decode_mask, encode_mask
from bana.data.objects import AnnotatedObject, Box, make_record
from bana.data.records import ImageRecord, Point, pixel_slices
from bana.label.pseudo_labels import PseudoLabels

State = Literal["todo", "edited", "accepted", "rejected"]
"""``todo``: as it was labeled; ``edited``: changed, and neither accepted nor rejected since."""

Rle = dict[str, Any]
"""A mask as COCO's RLE, ``{"size": [H, W], "counts": str}``."""


@dataclass(frozen=True)
class DraftObject:
    """One object.

    Attributes:
        key: Names the object for as long as the image is reviewed; no other one gets it.
        class_id: 1..L.
        box: xyxy in pixel-edge coordinates, inside the image.
        mask: As it was labeled; of a crowd region the pixels that count for nothing.
        confidence: Confidence of the label, 0..1.
        origin: Its number in the annotation file, from 0 on; None for one that was drawn.
        difficult: VOC's flag.
        crowd: COCO's flag.
        added: Pixels that a person painted; no pixel is in two of these.
        removed: Pixels that a person erased; none of ``added``.
        points: Points that a person set in the box.
    """

    key: int
    class_id: int
    box: Box
    mask: Rle
    confidence: float
    origin: int | None = None
    difficult: bool = False
    crowd: bool = False
    added: Rle | None = None
    removed: Rle | None = None
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Draft:
    """An image under review.

    Attributes:
        objects: Objects in the order of the annotation file; drawn ones follow.
        retrieved: Y_ret, the pixels of each class id that has any.
        next_key: Key of the next object that is drawn.
        state: How far the review is.
    """

    objects: tuple[DraftObject, ...]
    retrieved: Mapping[int, Rle]
    next_key: int
    state: State = "todo"

    @property
    def confidence(self) -> float | None:
        """Mean of the objects that are no crowd regions; None where there are none."""
        values = [each.confidence for each in self.objects if not each.crowd]
        return sum(values) / len(values) if values else None

    @property
    def worst(self) -> float | None:
        """The least confidence of an object that is no crowd region; None where there are none."""
        return min((each.confidence for each in self.objects if not each.crowd), default=None)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The classes of the objects, sorted, each once."""
        return tuple(sorted({each.class_id for each in self.objects}))

    def record(self, record: ImageRecord, masks: Sequence[Rle]) -> ImageRecord:
        """The image with these objects and these masks of theirs, as writers and readers of data sets know it."""
        ids, tracks = record.object_ids, record.track_ids
        objects = [
            AnnotatedObject(
                box=each.box,
                class_id=each.class_id,
                difficult=each.difficult,
                crowd=each.crowd,
                segmentation=mask,
                object_id=ids[each.origin] if ids and each.origin is not None else None,
                points=each.points,
                track_id=tracks[each.origin] if tracks and each.origin is not None else None,
            )
            for each, mask in zip(self.objects, masks, strict=True)
        ]
        size = (record.width, record.height)
        source_id, frame = record.source_id, record.frame
        return make_record(record.image_id, record.path, size, objects, source_id=source_id, frame=frame)


def first_draft(
    record: ImageRecord, masks: Sequence[Rle], confidences: Sequence[float], y_ret: LabelMap, classes: int
) -> Draft:
    """An image as it was labeled.

    Args:
        record: The image.
        masks: K, one for each of its objects.
        confidences: K.
        y_ret: (H, W).
        classes: L; greater labels are no class.
    """
    segmentations = record.segmentations
    objects = []
    for number, mask in enumerate(masks):
        if record.crowd[number]:
            mask = _crowd_mask(record, number, segmentations[number])
        objects.append(
            DraftObject(
                key=number,
                class_id=int(record.class_ids[number]),
                box=_box(record.boxes[number].tolist()),
                mask=mask,
                confidence=confidences[number],
                origin=number,
                difficult=bool(record.difficult[number]),
                crowd=bool(record.crowd[number]),
                points=record.points[number] if record.points else (),
            )
        )
    return Draft(tuple(objects), _by_class(y_ret, classes), len(objects))


def relabeled(draft: Draft, labels: PseudoLabels, classes: int) -> Draft:
    """The draft with other labels of its objects; what a person painted stays."""
    objects = tuple(
        each if each.crowd else replace(each, mask=encode_mask(instance.mask), confidence=round(instance.score, 6))
        for each, instance in zip(draft.objects, labels.instances, strict=True)
    )
    return replace(draft, objects=objects, retrieved=_by_class(labels.y_ret, classes))


def _by_class(labels: LabelMap, classes: int) -> dict[int, Rle]:
    found = [int(label) for label in np.unique(labels) if 1 <= label <= classes]
    return {label: encode_mask(labels == label) for label in found}


def _crowd_mask(record: ImageRecord, number: int, segmentation: Any) -> Rle:
    """The pixels of a crowd region; of its box where nothing closer is known."""
    if segmentation is not None:
        return encode_mask(decode_mask(segmentation, record.height, record.width))
    pixels = np.zeros((record.height, record.width), dtype=bool)
    pixels[pixel_slices(record.boxes[number])] = True
    return encode_mask(pixels)


def _box(corners: Sequence[float]) -> Box:
    x0, y0, x1, y1 = corners
    return x0, y0, x1, y1
