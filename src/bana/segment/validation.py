"""What is looked at during training: mIoU on images with true masks, and confidence maps of a few images (Fig. 5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from bana.data.images import open_record_image
from bana.data.label_maps import gray_png
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import required_truth
from bana.engine.distributed import SINGLE_PROCESS, DistContext
from bana.engine.loop import Validated
from bana.evaluate.confusion import ConfusionMatrix, mean_iou
from bana.io.files import write_bytes
from bana.segment.losses import confidence_map
from bana.segment.model import SegmentationNetwork
from bana.segment.samples import Targets
from bana.segment.segmenter import mean_cosine

CONFIDENCE = "sigma"
"""The folder of a run with confidence maps: ``<image>/epoch-<number>.png``, 255 where sigma is 1."""


class Watch:
    """Called after every epoch of a run.

    Args:
        network: What is trained.
        out: The run's folder, for the pictures.
        gamma: Of the confidence.
        epochs: Of the whole run; confidence is drawn before the first and at every quarter, as in Fig. 5.
        targets: Labels of the images in ``pictures``.
        pictures: Images whose confidence maps are drawn.
        validation: Images with true masks, of the run's classes; None: nothing is scored.
        processes: Those that train together; the first draws, and each scores its share.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        out: Path,
        gamma: float,
        epochs: int,
        targets: Targets,
        pictures: Sequence[ImageRecord],
        validation: BoxDataset | None,
        processes: DistContext = SINGLE_PROCESS,
    ) -> None:
        self._network = network
        self._out = out / CONFIDENCE
        self._gamma = gamma
        self._drawn = {round(epochs * quarter / 4) for quarter in range(5)}
        self._targets = targets
        self._pictures = pictures
        self._validation = validation
        self._processes = processes

    def forget(self) -> None:
        """Remove what was drawn, by a run that was killed before its first checkpoint."""
        if self._processes.first:
            for stale in self._out.rglob("epoch-*.png"):
                stale.unlink()

    def __call__(self, epoch: int) -> Validated:
        """Draw and score after so many epochs.

        Raises:
            DataError: If an image or its mask cannot be read.
            OutputError: If a picture cannot be written.
        """
        self._network.eval()
        if epoch in self._drawn and self._processes.first:
            for record in self._pictures:
                self._draw(record, epoch)
        if self._validation is None or epoch == 0:
            return Validated({})
        miou = network_miou(self._network, self._validation, self._processes)
        return Validated({"miou": miou}, miou)

    def _draw(self, record: ImageRecord, epoch: int) -> None:
        y_crf, _ = self._targets.of(record)
        cosine = mean_cosine(self._network, open_record_image(record))
        labels = torch.from_numpy(y_crf.astype("int64"))[None].to(cosine.device)
        ignore = self._targets.class_table.ignore_index
        sigma = confidence_map(cosine, labels, gamma=self._gamma, ignore_index=ignore)
        write_bytes(self._out / record.image_id / f"epoch-{epoch:03}.png", gray_png(sigma[0].cpu().numpy()))


def network_miou(network: SegmentationNetwork, dataset: BoxDataset, processes: DistContext = SINGLE_PROCESS) -> float:
    """mIoU, 0..100, of a network at one scale and without CRF, on images with true masks.

    DistContext that train together each take their share of the images; all get the score of the whole.
    """
    table = dataset.class_table
    confusion = ConfusionMatrix(len(table) + 1, table.ignore_index)
    for record in processes.share(dataset.records):
        labels = mean_cosine(network, open_record_image(record)).argmax(1)[0].cpu().numpy()
        confusion.update(labels, required_truth(record, table))
    counts = processes.total(torch.from_numpy(confusion.counts).to(processes.device))
    return mean_iou(counts.cpu().numpy())
