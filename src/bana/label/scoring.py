"""How well settings label images with true masks; the network sees every image once, whatever is tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from bana.data.images import open_record_image
from bana.data.records import ImageRecord
from bana.data.truth import required_truth
from bana.engine.checkpoint import load_tensors, save_tensors
from bana.engine.pool import each_in_order
from bana.errors import CheckpointError, DataError
from bana.evaluate.confusion import ConfusionMatrix, mean_iou
from bana.label.boxed_image import BoxedImage
from bana.label.labeler import Labeler
from bana.label.output import input_digest
from bana.label.run import crowd_pixels
from bana.label.settings import LabelSettings

_Item = tuple[ImageRecord, LabelSettings]
"""An image, and the settings to label it with."""


class Bench:
    """Scores settings of one labeler.

    Args:
        labeler: The labeler file.
        classes: The L class names that class ids refer to.
        source: All that features depend on but the images.
        cache: The folder of features, one file an image.
        workers: DistContext.

    Attributes:
        settings: Those that the labeler was saved with.

    Raises:
        CheckpointError: If the labeler is missing or damaged.
    """

    def __init__(self, labeler: Path, classes: tuple[str, ...], source: str, cache: Path, workers: int) -> None:
        self._job = _Job(labeler, classes, source, cache)
        self._here = self._job.prepare()
        self._workers = workers
        self.settings = self._here.labeler.settings

    def miou(
        self, tried: Sequence[LabelSettings], records: Sequence[ImageRecord], labeled: Callable[[], object]
    ) -> Iterator[float]:
        """How well settings label the records, for one of the settings after the other.

        Args:
            tried: Settings with the ``image_side`` and ``low_level`` that the labeler was saved with. Let the first of
                all be alone: two processes that need the features of an image at the same time would make them twice.
            records: Images with true masks.
            labeled: Called after every image.

        Yields:
            mIoU of Y_crf, 0..100, from one confusion matrix of all records.

        Raises:
            DataError: If an image or its true mask cannot be read, or no true mask holds a class.
            OutputError: If features cannot be written.
        """
        items = ((record, settings) for settings in tried for record in records)
        results = each_in_order(self._job, items, self._workers, self._here)
        total = self._here.nothing()
        for number, (_, result) in enumerate(results, start=1):
            total += result()
            labeled()
            if number % len(records) == 0:
                miou = mean_iou(total)
                if math.isnan(miou):
                    raise DataError(
                        f"{records[0].path}: its mask and all others are void; give masks that hold classes"
                    )
                yield miou
                total = self._here.nothing()


@dataclass(frozen=True)
class _Prepared:
    """A labeler for the data set's classes, and where features are kept."""

    labeler: Labeler
    source: str
    cache: Path

    def __call__(self, item: _Item) -> ConfusionMatrix:
        """Label the record and count its pixels against the truth."""
        record, settings = item
        image = open_record_image(record)
        classes = len(self.labeler.classes)
        boxed = BoxedImage(image, record.boxes, record.class_ids, record.crowd, crowd_pixels(record), classes)
        labels = self.labeler.with_settings(settings).from_features(self._features(record, image), image, boxed)
        confusion = self.nothing()
        confusion.update(labels.y_crf, required_truth(record, self.labeler.class_table))
        return confusion

    def nothing(self) -> ConfusionMatrix:
        """Counts of no image."""
        table = self.labeler.class_table
        return ConfusionMatrix(len(table) + 1, table.ignore_index)

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


@dataclass(frozen=True)
class _Job:
    """What a worker process needs to prepare itself."""

    labeler: Path
    classes: tuple[str, ...]
    source: str
    cache: Path

    def prepare(self) -> _Prepared:
        return _Prepared(Labeler.load(self.labeler, threads=1).for_classes(self.classes), self.source, self.cache)
