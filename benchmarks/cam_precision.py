"""Precision and recall of class activation maps inside the boxes, of one or more labelers (the paper's supplement).

    python benchmarks/cam_precision.py DATA --split val --labelers bap gap

A CAM is divided by its maximum inside its box and cut at a threshold; the true masks say which of the pixels above it
are the object's. Pixels without a true class count for nothing.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bana import Labeler, read_dataset
from bana.data.class_names import matching_classes
from bana.data.images import open_record_image
from bana.data.records import BoxDataset, pixel_slices
from bana.data.truth import required_truth
from bana.label.upsampled import UpsampledFeatures
from bana.nn.network import network_input

THRESHOLDS = np.arange(0.1, 1.0, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--labelers", type=Path, nargs="+", required=True)
    parser.add_argument("--images", type=int)
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.data, arguments.split)
    table = Table(title="CAMs inside the boxes: precision / recall in %, by threshold")
    table.add_column("labeler")
    for threshold in THRESHOLDS:
        table.add_column(f"{threshold:.1f}", justify="right")
    for file in arguments.labelers:
        above, right, objects = counts(Labeler.load(file), dataset, arguments.images)
        figures = zip(100 * right / above, 100 * right / objects, strict=True)
        table.add_row(file.name, *(f"{precision:.1f} / {recall:.1f}" for precision, recall in figures))
    Console(width=140).print(table)


@torch.inference_mode()
def counts(labeler: Labeler, dataset: BoxDataset, images: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixels at or above each threshold, those of them on the object, and all pixels of objects, over all boxes."""
    above, right, objects = np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS)), 0
    weights = matching_classes(dataset.classes, labeler.classes)
    for record in dataset[:images]:
        truth = required_truth(record, dataset.class_table)
        pixels = network_input(
            open_record_image(record), labeler.settings.image_side, labeler.model.backbone.info.multiple
        )
        features = UpsampledFeatures(labeler.model(pixels)[0], truth.shape)
        for box, class_id in zip(record.boxes, record.class_ids, strict=True):
            trained = weights[class_id - 1]
            if trained is None:
                continue
            place = pixel_slices(box)
            cam = features.dot(labeler.model.class_weights[trained][None])[0].relu().numpy()[place]
            known = truth[place] != dataset.class_table.ignore_index
            cam, true = cam[known] / max(float(cam.max()), 1e-12), truth[place][known] == class_id
            objects += int(true.sum())
            for number, threshold in enumerate(THRESHOLDS):
                above[number] += (cam >= threshold).sum()
                right[number] += (true & (cam >= threshold)).sum()
    return above, right, objects


if __name__ == "__main__":
    main()
