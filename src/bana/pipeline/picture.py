"""The picture at the end of a run: photographs, their boxes, the labels made of them, and the network's own masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image

from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import LabelMap
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import semantic_truth
from bana.evaluate import ConfusionMatrix, binary_miou
from bana.report.examples import EXAMPLES, examples, sheet_row, unreliable_pixels
from bana.report.frame import SheetRow
from bana.report.pictures import run_sheet
from bana.segment.segmenter import PredictSettings, Segmenter

_DOUBTFUL = 3
"""Photographs with the most doubtful labels, at most, but no more than half of all."""


def run_picture(dataset: BoxDataset, labels: Path, network: Path, settings: PredictSettings) -> Image.Image:
    """Draw up to eight photographs, from the surest labels to the least sure; the last are the most doubtful of all.

    Args:
        dataset: The labeled images.
        labels: Their label folder.
        network: A segmenter file or run folder.
        settings: Settings of prediction.

    Raises:
        DataError: If an image or its labels are damaged.
        CheckpointError: If the network's file is missing or damaged.
    """
    folder = LabelFolder(labels)
    segmenter = Segmenter.load(network, settings)
    scores = _scores(dataset, folder)
    doubtful = sorted(scores, key=lambda image_id: (scores[image_id], image_id))[: min(_DOUBTFUL, len(scores) // 2)]
    others = replace(dataset, records=tuple(record for record in dataset if record.image_id not in doubtful))
    count = EXAMPLES - len(doubtful)
    # Where all boxes are small, no photograph is better to look at than another.
    chosen = examples(others, folder, count) or list(others)[:count]
    chosen += [record for record in dataset if record.image_id in doubtful]
    chosen.sort(key=lambda record: -scores.get(record.image_id, 1.0))
    return run_sheet(
        [_row(record, scores, folder, segmenter) for record in chosen],
        dataset.classes,
        title="Boxes in, a network out",
        subtitle=f"{len(chosen)} of {len(dataset)} images that it learned from, the most doubtful labels last",
        footer="Labels are made from the boxes. The network sees the photograph alone. "
        "Score: the mean expected IoU of the masks of the boxes, or their confidence without refiner.",
    )


def _scores(dataset: BoxDataset, labels: LabelFolder) -> dict[str, float]:
    """The mean score of the boxes of each image that has some: what IoU is expected, or else how sure they are."""
    boxes = {record.image_id: labels.boxes(record) for record in dataset}
    scores = {name: [box.score for box in each if box.status != "rejected"] for name, each in boxes.items()}
    return {name: fmean(each) for name, each in scores.items() if each}


def _row(record: ImageRecord, scores: Mapping[str, float], labels: LabelFolder, segmenter: Segmenter) -> SheetRow:
    prediction = segmenter(open_record_image(record)).labels
    return sheet_row(
        record,
        {"labels": labels.label_map("y_crf", record), "prediction": prediction},
        unreliable=unreliable_pixels(labels, record),
        caption=_caption(record.image_id, scores),
        note=_note(record, prediction, segmenter),
    )


def _caption(image_id: str, scores: Mapping[str, float]) -> str:
    return f"{image_id} · score {scores[image_id]:.2f}" if image_id in scores else image_id


def _note(record: ImageRecord, prediction: LabelMap, segmenter: Segmenter) -> str:
    table = segmenter.class_table
    truth = semantic_truth(record, table)
    if truth is None or not np.any(truth != table.ignore_index):
        return ""
    confusion = ConfusionMatrix(len(table) + 1, table.ignore_index)
    confusion.update(prediction, truth)
    return f"foreground mIoU {binary_miou(confusion):.0f} % against the true mask"
