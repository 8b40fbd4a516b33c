"""How good labels are by what boxes and objects are like: loose boxes, thin, small and crowded objects, no background.

    python benchmarks/conditions.py                          # on the photographs that come with bana
    python benchmarks/conditions.py DATA --split val         # on images with true masks

First every box is grown or shrunk by a share of its sides, and the labels are scored as `bana evaluate` does. Then,
with the boxes as they are, the IoU of each object's mask with its true one is averaged over kinds of objects, where
objects have true masks.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bana import Labeler, read_dataset
from bana.data.images import open_record_image
from bana.data.masks import mask_iou
from bana.data.records import MIN_BACKGROUND, BoxDataset, FloatArray, ImageRecord, boxes_to_mask, overlapping_groups
from bana.data.sample import sample_dataset
from bana.data.truth import instance_truth, required_truth
from bana.evaluate import ConfusionMatrix, mean_iou
from bana.label.boxes import crowd_pixels
from bana.label.pseudo_labels import PseudoLabels

GROWN = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4)
"""By how much of a box's width and height it gets wider and higher, its middle staying where it is."""

THIN = 0.35
"""An object that fills less of its box is thin."""

SMALL, LARGE = 32**2, 96**2
"""COCO's limits of areas in pixels."""


def grown(boxes: FloatArray, by: float, size: tuple[int, int]) -> FloatArray:
    """Boxes (K, 4), wider and higher by a share of their sides, cut at the edges of an image of (width, height)."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2) * np.array([-by, -by, by, by], dtype=np.float32) / 2
    return np.clip(boxes + sides, 0, np.tile(np.array(size, dtype=np.float32), 2))


def kinds(labeler: Labeler, record: ImageRecord, number: int, filled: float) -> Iterator[tuple[int, str]]:
    """What kinds of object one is, of which a share of the box is filled, each with its place in the table."""
    width, height = record.boxes[number, 2:] - record.boxes[number, :2]
    area = filled * width * height
    crowded = any(number in group for group in overlapping_groups(record.boxes, record.class_ids))
    background_mask = ~np.any([boxes_to_mask(box, record.height, record.width) for box in record.boxes], axis=0)
    unknown = labeler.classes[record.class_ids[number] - 1] in labeler.without_weights()
    yield 0, "all"
    yield (1, "under 32 x 32 pixels") if area < SMALL else (2, "up to 96 x 96") if area < LARGE else (3, "larger")
    yield (4, f"fills under {THIN:.0%} of its box") if filled < THIN else (5, "fills more")
    yield (6, "overlaps a box of its class") if crowded else (7, "overlaps none")
    little = background_mask.mean() < MIN_BACKGROUND
    yield (8, "image with under 1/8 background") if little else (9, "image with more")
    yield (10, "class that the labeler does not know") if unknown else (11, "class that it knows")


def labeled(labeler: Labeler, dataset: BoxDataset, by: float) -> Iterator[tuple[ImageRecord, PseudoLabels]]:
    """The labels of every image, with boxes grown by a share of their sides."""
    for record in dataset:
        boxes = grown(record.boxes, by, (record.width, record.height))
        image, ignored = open_record_image(record), crowd_pixels(record)
        yield record, labeler(image, boxes, record.class_ids, crowd=record.crowd, ignored=ignored)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="default: the photographs that come with bana")
    parser.add_argument("--split")
    parser.add_argument("--labeler", type=Path, help="run of bana classify; default: the one that comes with bana")
    arguments = parser.parse_args()
    dataset = sample_dataset() if arguments.data is None else read_dataset(arguments.data, arguments.split)
    labeler = Labeler.pretrained() if arguments.labeler is None else Labeler.load(arguments.labeler)
    labeler = labeler.for_classes(dataset.classes)
    ious: dict[tuple[int, str], list[float]] = {}
    boxes = Table("boxes grown by", "mIoU")
    for by in GROWN:
        confusion = ConfusionMatrix(len(dataset.classes) + 1, dataset.class_table.ignore_index)
        for record, labels in labeled(labeler, dataset, by):
            confusion.update(labels.y_crf, required_truth(record, dataset.class_table))
            truth = instance_truth(record) if by == 0 else None
            for number, mask in enumerate(truth or []):
                if mask is None or record.crowd[number] or not mask.any():
                    continue
                filled = mask.sum() / boxes_to_mask(record.boxes[number], record.height, record.width).sum()
                for kind in kinds(labeler, record, number, float(filled)):
                    ious.setdefault(kind, []).append(100 * mask_iou(labels.instances[number].mask, mask))
        boxes.add_row(f"{by:+.0%}", f"{mean_iou(confusion):.1f}")
    objects = Table("object", "how many", "mean IoU of its mask", "found nothing")
    for (_, kind), values in sorted(ious.items()):
        nothing = np.mean(np.array(values) == 0)
        objects.add_row(kind, str(len(values)), f"{np.mean(values):.1f}", f"{nothing:.0%}")
    console = Console(width=100)
    console.print(boxes)
    if ious:
        console.print(objects)


if __name__ == "__main__":
    main()
