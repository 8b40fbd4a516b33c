"""Score settings of a labeler on images with true masks. The network sees every image only once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from bana.data.images import open_record_image
from bana.data.records import ImageRecord
from bana.data.truth import required_truth
from bana.engine.checkpoint import load_tensors, save_tensors
from bana.engine.pool import Worker, map_in_order
from bana.errors import CheckpointError, DataError
from bana.evaluate.confusion import ConfusionMatrix, mean_iou
from bana.label.boxes import BoxedImage
from bana.label.labeler import Labeler
from bana.label.output import input_digest
from bana.label.settings import LabelSettings

_Item = tuple[ImageRecord, LabelSettings]
"""An image, and the settings to label it with."""


@dataclass(frozen=True)
class Bench(Worker[_Item, ConfusionMatrix]):
    """Scores settings of one labeler.

    Attributes:
        file: The labeler file.
        classes: The L class names that class ids refer to.
        source: Everything that features depend on except the images.
        cache: The folder of features, one file per image.
        workers: Number of processes.
    """

    file: Path
    classes: tuple[str, ...]
    source: str
    cache: Path
    workers: int

    @cached_property
    def labeler(self) -> Labeler:
        """The loaded labeler. Raises CheckpointError if it is missing or damaged."""
        return Labeler.load(self.file, threads=1).for_classes(self.classes)

    def miou(
        self, tried: Sequence[LabelSettings], records: Sequence[ImageRecord], labeled: Callable[[], object]
    ) -> Iterator[float]:
        """Score several settings on the records, one after the other.

        Args:
            tried: Settings with the ``image_side`` and ``low_level`` that the labeler was saved with. Try the very
                first settings alone: two processes that need the features of an image at the same time would both make
                them.
            records: Images with true masks.
            labeled: Called after every image.

        Yields:
            mIoU of Y_crf, 0..100, from one confusion matrix of all records.

        Raises:
            DataError: If an image or its true mask cannot be read, or no true mask holds a class.
            OutputError: If features cannot be written.
        """
        items = ((record, settings) for settings in tried for record in records)
        total = self._empty_confusion()
        for number, (_, result) in enumerate(map_in_order(self, items, self.workers), start=1):
            total += result()
            labeled()
            if number % len(records) == 0:
                miou = mean_iou(total)
                if math.isnan(miou):
                    raise DataError(
                        f"{records[0].path}: its mask and all others are void; give masks that hold classes"
                    )
                yield miou
                total = self._empty_confusion()

    def __call__(self, item: _Item) -> ConfusionMatrix:
        """Label the record and count its pixels against the truth."""
        record, settings = item
        image = open_record_image(record)
        boxed = BoxedImage.of_record(image, record, len(self.classes))
        labels = self.labeler.with_settings(settings).from_features(self._features(record, image), image, boxed)
        confusion = self._empty_confusion()
        confusion.update(labels.y_crf, required_truth(record, self.labeler.class_table))
        return confusion

    def _empty_confusion(self) -> ConfusionMatrix:
        return ConfusionMatrix(len(self.classes) + 1, self.labeler.class_table.ignore_index)

    def _features(self, record: ImageRecord, image: npt.NDArray[np.uint8]) -> Tensor:
        """The features of an image, (1, C, h, w), from the cache if they are there and of this image and labeler."""
        file, facts = self.cache / f"{record.image_id}.safetensors", {"input": input_digest(record, self.source)}
        try:
            tensors, found = load_tensors(file)
            if found == facts:
                return tensors["features"].clone()  # lies in memory as the network's own: the same bits either way
        except CheckpointError:  # missing, or torn by a disk
            pass
        features = self.labeler.features(image)
        save_tensors(file, {"features": features}, facts)
        return features
