"""What a click is worth: the worst masks of a data set, corrected at simulated points.

    python benchmarks/points.py DATA --split val [--worst 100] [--points 3]

A person is simulated as the field does: each point is set in the middle of the largest area that the mask has wrong,
on the object where it lacks pixels and beside it where it has too many. ``DATA`` has true masks; where it has them of
classes only, an object's is its class inside its box, and boxes that overlap another of their class are left out. Needs
OpenCV (``pip install '.[grabcut]'``).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
import torch

import bana
from bana.data.images import open_record_image
from bana.data.records import BoolArray, BoxDataset, ImageRecord
from bana.data.truth import object_masks, required_truth
from bana.label.boxes import BoxedImage

SIDE = 24
"""Least side of a box, in pixels."""

SHARED = 0.02
"""Greatest share of a box that others of its class may cover, where true masks are of classes only."""


Truth = tuple[BoolArray, BoolArray]
"""A true mask and the pixels that count, bool (H, W) both."""


class Case(NamedTuple):
    """A mask that is to be corrected."""

    iou: float
    record: ImageRecord
    number: int


def true_mask(record: ImageRecord, number: int, dataset: BoxDataset) -> Truth | None:
    """The true mask of a box; None where it is not known."""
    mask = object_masks(record)[number]
    if mask is not None:
        return mask, np.ones_like(mask)
    blank = np.zeros((record.height, record.width, 3), np.uint8)
    boxed = BoxedImage(blank, record.boxes, record.class_ids, None, None, len(dataset.classes))
    region = boxed.region(number)
    same = np.flatnonzero(record.class_ids == record.class_ids[number]).tolist()
    others = np.any([boxed.region(other) & (other != number) for other in same], axis=0)
    if (others & region).sum() > SHARED * region.sum():
        return None
    truth = required_truth(record, dataset.class_table)
    return (truth == record.class_ids[number]) & region, truth != dataset.class_table.ignore_index


def iou(mask: BoolArray, truth: Truth) -> float:
    """The IoU of a mask with the true one, on the pixels that count."""
    wanted, counts = truth
    return float((mask & wanted & counts).sum() / max(((mask | wanted) & counts).sum(), 1))


def next_point(mask: BoolArray, truth: Truth, region: BoolArray) -> tuple[float, float, bool] | None:
    """The middle of the largest area that a mask has wrong inside its box, and whether it is object."""
    found: list[tuple[int, bool, BoolArray]] = []
    for is_object in (True, False):
        wrong = (truth[0] if is_object else ~truth[0]) & (mask != truth[0]) & truth[1] & region
        count, areas, facts, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
        sizes = facts[:, cv2.CC_STAT_AREA].tolist()
        found += [(sizes[number], is_object, areas == number) for number in range(1, count)]
    if not found:
        return None
    _, is_object, area = max(found, key=lambda each: each[0])
    depth = cv2.distanceTransform(np.pad(area, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(column) + 0.5, float(row) + 0.5, is_object


def main() -> None:
    """Label, find the worst masks, correct them, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--worst", type=int, default=100)
    parser.add_argument("--points", type=int, default=3)
    parser.add_argument("--no-refine", action="store_true", help="the labeler without its refiner")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = bana.read_dataset(arguments.data, arguments.split)
    labeler = bana.Labeler.pretrained(threads=1).for_classes(dataset.classes)
    labeler = labeler.with_settings(labeler.settings.with_options(refine=not arguments.no_refine))
    cases = []
    for record in dataset:
        labels = labeler(open_record_image(record), record.boxes, record.class_ids, crowd=record.crowd)
        sides = (record.boxes[:, 2:] - record.boxes[:, :2]).min(1)
        for number in np.flatnonzero((sides >= SIDE) & ~record.crowd).tolist():
            truth = true_mask(record, number, dataset)
            if truth is not None and truth[0].any():
                cases.append(Case(iou(labels.instances[number].mask, truth), record, number))
    cases.sort(key=lambda case: case.iou)
    rows, seconds = [], []
    for case in cases[: arguments.worst]:
        row, taken = corrected(case, dataset, labeler, arguments.points)
        rows.append(row)
        seconds += taken
    print(f"{len(cases)} boxes, mean IoU {100 * np.mean([case.iou for case in cases]):.1f}; the {len(rows)} worst:")
    columns = np.array(rows).T
    for count, column in enumerate(columns):
        gain = 100 * (column.mean() - columns[0].mean())
        print(f"  {count} points: mean IoU {100 * column.mean():.1f} ({gain:+.1f}), median {100 * median(column):.1f}")
    print(f"  {median(seconds):.2f} s a point (median, one thread), features kept")


def corrected(case: Case, dataset: BoxDataset, labeler: bana.Labeler, points: int) -> tuple[list[float], list[float]]:
    """The IoU of a mask after 0, 1, ... points, and the seconds that each point took."""
    record, image = case.record, open_record_image(case.record)
    truth = true_mask(record, case.number, dataset)
    assert truth is not None
    features = labeler.features(image)
    chosen: list[list[tuple[float, float, bool]]] = [[] for _ in record.boxes]
    found, seconds = [], []
    for _ in range(points + 1):
        began = time.perf_counter()
        boxed = BoxedImage(image, record.boxes, record.class_ids, record.crowd, None, len(dataset.classes), (), chosen)
        mask = labeler.from_features(features, image, boxed).instances[case.number].mask
        seconds.append(time.perf_counter() - began)
        found.append(iou(mask, truth))
        point = next_point(mask, truth, boxed.region(case.number))
        if point is not None:
            chosen[case.number].append(point)
    return found, seconds


if __name__ == "__main__":
    main()
