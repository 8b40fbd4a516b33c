"""What is measured during training: mIoU on images with true masks, and confidence maps of a few images (Fig. 5)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from bana.data.images import open_record_image
from bana.data.label_maps import gray_png
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import required_truth
from bana.engine.distributed import SINGLE_PROCESS, DistContext
from bana.evaluate.confusion import ConfusionMatrix, mean_iou
from bana.io.files import write_bytes
from bana.segment.losses import confidence_map
from bana.segment.model import SegmentationNetwork
from bana.segment.samples import Targets
from bana.segment.segmenter import mean_cosine

CONFIDENCE = "sigma"
"""The folder of a run with confidence maps: ``<image>/epoch-<number>.png``, 255 where sigma is 1."""


def check_truth(validation: BoxDataset, dataset: BoxDataset) -> None:
    """Raise DataError if images cannot be scored: other classes, or a true mask that is missing or damaged."""
    validation.require_classes(dataset.classes, dataset.root, "score with data of the same classes")
    for record in validation:
        required_truth(record, validation.class_table)


def forget_confidence_maps(out: Path) -> None:
    """Remove what was drawn by a run that was killed before its first checkpoint."""
    for stale in (out / CONFIDENCE).rglob("epoch-*.png"):
        stale.unlink()


def draw_confidence_maps(
    network: SegmentationNetwork,
    records: Iterable[ImageRecord],
    targets: Targets,
    gamma: float,
    epoch: int,
    out: Path,
) -> None:
    """Draw the confidence in the labels of images after so many epochs (Eq. 12), into a run's folder.

    Raises:
        DataError: If an image or its labels cannot be read.
        OutputError: If a picture cannot be written.
    """
    for record in records:
        y_crf, _ = targets.of(record)
        cosine = mean_cosine(network, open_record_image(record))
        labels = torch.from_numpy(y_crf.astype("int64"))[None].to(cosine.device)
        ignore = targets.class_table.ignore_index
        sigma = confidence_map(cosine, labels, gamma=gamma, ignore_index=ignore)
        file = out / CONFIDENCE / record.image_id / f"epoch-{epoch:03}.png"
        write_bytes(file, gray_png(sigma[0].cpu().numpy()))


def network_miou(network: SegmentationNetwork, dataset: BoxDataset, context: DistContext = SINGLE_PROCESS) -> float:
    """mIoU, 0..100, of a network at one scale and without CRF, on images with true masks.

    Processes that train together each take their share of the images; all get the score of the whole.
    """
    table = dataset.class_table
    confusion = ConfusionMatrix(len(table) + 1, table.ignore_index)
    for record in context.split(dataset.records):
        labels = mean_cosine(network, open_record_image(record)).argmax(1)[0].cpu().numpy()
        confusion.update(labels, required_truth(record, table))
    counts = context.all_reduce(torch.from_numpy(confusion.counts).to(context.device))
    return mean_iou(counts.cpu().numpy())
