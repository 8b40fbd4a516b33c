"""The picture at the end of a run: photographs, their boxes, the labels made of them, and the network's own masks."""

from __future__ import annotations

from pathlib import Path

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


def run_picture(dataset: BoxDataset, labels: Path, network: Path, settings: PredictSettings) -> Image.Image:
    """Draw up to eight photographs, from the surest labels to the least sure.

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
    # Where all boxes are small, no photograph is better to look at than another.
    chosen = examples(dataset, folder) or list(dataset)[:EXAMPLES]
    return run_sheet(
        [_row(record, folder, segmenter) for record in chosen],
        dataset.classes,
        title="Boxes in, a network out",
        subtitle=f"{len(chosen)} of {len(dataset)} photographs that it learned from, the surest labels first",
        footer="Labels are made from the boxes. The network sees the photograph alone.",
    )


def _row(record: ImageRecord, labels: LabelFolder, segmenter: Segmenter) -> SheetRow:
    prediction = segmenter(open_record_image(record)).labels
    return sheet_row(
        record,
        {"labels": labels.label_map("y_crf", record), "prediction": prediction},
        unreliable=unreliable_pixels(labels, record),
        caption=record.image_id,
        note=_note(record, prediction, segmenter),
    )


def _note(record: ImageRecord, prediction: LabelMap, segmenter: Segmenter) -> str:
    table = segmenter.class_table
    truth = semantic_truth(record, table)
    if truth is None or not np.any(truth != table.ignore_index):
        return ""
    confusion = ConfusionMatrix(len(table) + 1, table.ignore_index)
    confusion.update(prediction, truth)
    return f"foreground mIoU {binary_miou(confusion):.0f} % against the true mask"
