"""Paint of a person in objects, and the masks and label maps that result.

A painted pixel belongs to its object alone, whatever the labels say. Paint is stored apart from the labels. So it stays
when a box changes and the image is labeled again. It counts inside the object's box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bana.app.drafts import Draft, DraftObject, Rle
from bana.data.label_maps import LabelMap
from bana.data.masks import decode_mask, encode_mask
from bana.data.records import BoolArray, ClassTable, ImageRecord, IntArray, pixel_slices
from bana.data.truth import semantic_truth
from bana.errors import DataError

NOBODY = -1
"""Marks a pixel that was not painted, in a map of owners."""


def painted(draft: Draft, key: int, stroke: BoolArray) -> Draft:
    """The draft with a stroke bool (H, W) painted into an object, and out of all others that it was painted into."""
    target = _paintable(draft, key)
    objects = []
    for each in draft.objects:
        if each.key == target.key:
            inside = stroke & _region(each, stroke.shape)
            each = replace(each, added=_union(each.added, inside), removed=_without(each.removed, inside))
        elif each.added is not None:
            each = replace(each, added=_without(each.added, stroke & _region(target, stroke.shape)))
        objects.append(each)
    return replace(draft, objects=tuple(objects))


def erased(draft: Draft, key: int, stroke: BoolArray) -> Draft:
    """The draft with a stroke bool (H, W) erased from an object."""
    _paintable(draft, key)
    objects = tuple(
        replace(each, added=_without(each.added, stroke), removed=_union(each.removed, stroke))
        if each.key == key
        else each
        for each in draft.objects
    )
    return replace(draft, objects=objects)


def unpainted(draft: Draft, key: int) -> Draft:
    """The draft with nothing painted into the object or erased from it, and without points in its box."""
    _paintable(draft, key)
    objects = tuple(
        replace(each, added=None, removed=None, points=()) if each.key == key else each for each in draft.objects
    )
    return replace(draft, objects=objects)


def masks_of(draft: Draft) -> list[Rle]:
    """The mask of each object, in order: what was labeled and painted, without what was erased or is another's."""
    if not any(each.added or each.removed for each in draft.objects):
        return [each.mask for each in draft.objects]
    owner = _owners(draft)
    return [each.mask if each.crowd else encode_mask(_mask(each, owner)) for each in draft.objects]


def label_maps(record: ImageRecord, draft: Draft, masks: Sequence[Rle], table: ClassTable) -> tuple[LabelMap, LabelMap]:
    """Y_crf and Y_ret (H, W) of an image under review.

    They are the same where a person painted or erased, and everywhere in an image that was accepted.

    Args:
        record: The image.
        draft: Its review.
        masks: The masks that masks_of returns.
        table: The classes.
    """
    y_crf = semantic_truth(draft.record(record, masks), table)
    assert y_crf is not None  # every object has a mask, if an empty one
    if draft.state == "accepted":
        return y_crf, y_crf.copy()
    y_ret = np.zeros_like(y_crf)
    for class_id, pixels in draft.retrieved.items():
        y_ret[decode_mask(pixels, *y_crf.shape)] = class_id
    known = y_crf == table.ignore_index
    for each in draft.objects:
        for rle in (each.added, each.removed):
            if rle is not None:
                known |= decode_mask(rle, *y_crf.shape) & _region(each, y_crf.shape)
    return y_crf, np.where(known, y_crf, y_ret)


def uncertain(y_crf: LabelMap, y_ret: LabelMap) -> BoolArray:
    """Where the two labels differ, bool (H, W)."""
    pixels: BoolArray = y_crf != y_ret
    return pixels


def _paintable(draft: Draft, key: int) -> DraftObject:
    found = object_of(draft, key)
    if found.crowd:
        raise DataError(f"object {key}: is a crowd region, which is ignored; paint into another")
    return found


def object_of(draft: Draft, key: int) -> DraftObject:
    """The object of that key. Raises DataError if there is none."""
    for each in draft.objects:
        if each.key == key:
            return each
    raise DataError(f"object {key}: is not in this image; load the image again")


def _owners(draft: Draft) -> IntArray:
    """The key of the object that each pixel was painted into, or NOBODY: int64 (H, W)."""
    height, width = draft.objects[0].mask["size"]
    owner = np.full((height, width), NOBODY)
    for each in draft.objects:
        if each.added is not None:
            owner[decode_mask(each.added, height, width) & _region(each, owner.shape)] = each.key
    return owner


def _mask(each: DraftObject, owner: IntArray) -> BoolArray:
    height, width = owner.shape
    mask = decode_mask(each.mask, height, width)
    if each.removed is not None:
        mask &= ~decode_mask(each.removed, height, width)
    mask[owner == each.key] = True
    mask[(owner != each.key) & (owner != NOBODY)] = False
    return mask


def _region(each: DraftObject, shape: tuple[int, ...]) -> BoolArray:
    region = np.zeros(shape, dtype=bool)
    region[pixel_slices(each.box)] = True
    return region


def _union(rle: Rle | None, pixels: BoolArray) -> Rle | None:
    return _encoded(pixels if rle is None else pixels | decode_mask(rle, *pixels.shape))


def _without(rle: Rle | None, pixels: BoolArray) -> Rle | None:
    return None if rle is None else _encoded(decode_mask(rle, *pixels.shape) & ~pixels)


def _encoded(pixels: BoolArray) -> Rle | None:
    return encode_mask(pixels) if pixels.any() else None
