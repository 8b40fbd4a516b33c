"""Masks of objects of one class whose boxes overlap: which of them a pixel in several boxes belongs to.

A semantic label cut by the boxes gives such a pixel to all of them. Here it goes to one: a CRF over the boxes of a
group starts from how much the pixel looks like what each box has for itself, and how near it is to each box's center.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, overlapping_groups, paint_order
from bana.label.assembly import cut_by_boxes
from bana.label.boxed_image import BoxedImage
from bana.label.method import Image
from bana.label.upsampled import UpsampledFeatures
from densecrf import DenseCRF

LIKENESS = 8.0
"""What the cosine of a pixel with a box's prototype counts."""

NEARNESS = 1.0
"""What the squared distance from a box's center counts, where half a side is 1."""

_MIN_OWN = 0.1
"""A box that has a smaller share of its mask for itself is represented by its whole mask; one that keeps a smaller
share of it in the end gets all of it."""


def instance_masks(
    boxed: BoxedImage, labels: LabelMap, features: UpsampledFeatures, image: Image, crf: DenseCRF
) -> BoolArray:
    """One mask a box, no pixel in two of one class: bool (K, H, W), parts of the class's pixels in the box.

    Args:
        boxed: The image's boxes.
        labels: (H, W), the class of every pixel.
        features: Of the image.
        image: uint8 (H, W, 3).
        crf: Decides between boxes.
    """
    masks = cut_by_boxes(boxed, labels)
    usable = np.flatnonzero(boxed.usable)
    for group in overlapping_groups(boxed.inside[usable], boxed.class_ids[usable]):
        numbers = usable[group]
        masks[numbers] = divided_masks(masks[numbers], boxed.inside[numbers], features, image, crf)
    return masks


def divided_masks(
    own: BoolArray, boxes: FloatArray, features: UpsampledFeatures, image: Image, crf: DenseCRF
) -> BoolArray:
    """The masks of a group of boxes of one class, no pixel in two of them.

    Args:
        own: bool (G, H, W), the pixels of the class inside each box.
        boxes: (G, 4) xyxy inside the image.
        features: Of the image.
        image: uint8 (H, W, 3).
        crf: Decides between the boxes.

    Returns:
        bool (G, H, W), parts of ``own`` with the same union.
    """
    contested: BoolArray = own.sum(0) > 1
    divided: BoolArray = own & ~contested
    if not contested.any():
        return divided
    enough = divided.sum((1, 2)) >= _MIN_OWN * own.sum((1, 2))
    prototypes = features.mean(torch.from_numpy(np.where(enough[:, None, None], divided, own)))
    scores = LIKENESS * features.cosine(prototypes) - NEARNESS * _squared_distance(boxes, features.size)
    shares = scores.masked_fill(~torch.from_numpy(own), -torch.inf).softmax(0).nan_to_num()
    nothing = torch.from_numpy(~own.any(0))[None].float()
    place = _around(own)
    marginals = crf(
        np.ascontiguousarray(image[place]),
        probabilities=torch.cat([nothing, shares])[(slice(None), *place)].contiguous(),
        fixed=~contested[place],
    )
    owner = np.full(own.shape[1:], -1)
    owner[place] = np.argmax(np.asarray(marginals)[1:] * own[(slice(None), *place)], axis=0)
    divided |= contested & (owner == np.arange(len(own))[:, None, None]) & own
    for number in paint_order(boxes):
        if divided[number].sum() < _MIN_OWN * own[number].sum():  # it looks like what it lies on
            divided &= ~own[number]
            divided[number] = own[number]
    return divided


def _squared_distance(boxes: FloatArray, size: tuple[int, int]) -> Tensor:
    """From every pixel's center to the center of each box, half a side being 1: (G, H, W)."""
    centers, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    across, down = (
        ((np.arange(length) + 0.5 - centers[:, axis : axis + 1]) / halves[:, axis : axis + 1]) ** 2
        for axis, length in ((0, size[1]), (1, size[0]))
    )
    return torch.from_numpy((down[:, :, None] + across[:, None, :]).astype(np.float32))


def _around(masks: BoolArray) -> tuple[slice, slice]:
    """The rows and columns from the first to the last pixel of any mask."""
    rows, columns = (np.flatnonzero(masks.any((0, axis))) for axis in (2, 1))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
