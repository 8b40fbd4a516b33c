"""Scoring what ``bana label`` and ``bana predict`` write against the true masks of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path

from bana.data.label_folder import LABELINGS, LabeledBox, LabelFolder
from bana.data.label_maps import LabelMap
from bana.data.masks import decode_mask, encode_mask
from bana.data.prediction_folder import PredictionFolder
from bana.data.records import BoolArray, BoxDataset, ClassTable, ImageRecord
from bana.data.truth import required_truth
from bana.errors import DataError
from bana.evaluate.boundary import BoundaryIoU
from bana.evaluate.boxes import BoxAccuracy, box_labels
from bana.evaluate.confusion import ConfusionMatrix, binary_iou, binary_miou, iou_per_class, mean_iou, mean_iou_of_all
from bana.evaluate.instances import MaskAP, Rle, ScoredMask
from bana.evaluate.scores import LabelingScores, LabelScores, PredictionScores
from bana.evaluate.true_masks import TrueMasks

Progress = Callable[[Iterable[ImageRecord]], Iterable[ImageRecord]]


def evaluate_labels(
    labels_dir: str | PathLike[str], dataset: BoxDataset, *, boundary: bool = True, progress: Progress = iter
) -> LabelScores:
    """Score a folder that ``bana label`` wrote against the true masks of the data set that it labels.

    Args:
        labels_dir: The folder. It may hold labels of more images than the data set has.
        dataset: The data set with true masks.
        boundary: Whether to compute boundary IoU. The agreed labels get none: what they leave open is mostly borders.
        progress: Wraps the images as they are gone through, to show how far it is.

    Raises:
        DataError: If the folder lacks an image of the data set or has other classes, an image has no true mask, or a
            file is damaged or of another size than its image.
    """
    labels = LabelFolder(Path(labels_dir))
    labels.check_classes(dataset)
    _check_complete(labels, dataset)
    table = dataset.class_table
    labelings = {
        name: LabelingEvaluation(table, boundary=boundary and name != "agreed") for name in ("box", *LABELINGS)
    }
    instances = InstanceEvaluation(table)
    accuracy = BoxAccuracy()
    for record in progress(dataset):
        truth = required_truth(record, table)
        labelings["box"].update(box_labels(record, table), truth)
        for name in LABELINGS:
            labelings[name].update(labels.label_map(name, record), truth)
        boxes = labels.boxes(record)
        accuracy.update((box.class_id for box in boxes), (box.predicted_class for box in boxes))
        instances.update(boxes, record)
    return LabelScores(
        classes=("background", *dataset.classes),
        images=len(dataset),
        labelings={name: labeling.scores() for name, labeling in labelings.items()},
        instances=instances.ap.scores(),
        instances_derived=instances.truth.derived,
        instances_unknown=instances.truth.unknown,
        box_accuracy=accuracy.accuracy(),
        box_accuracy_per_class=accuracy.per_class(),
    )


def evaluate_predictions(
    predictions_dir: str | PathLike[str], dataset: BoxDataset, *, boundary: bool = True, progress: Progress = iter
) -> PredictionScores:
    """Score a folder that ``bana predict`` wrote against the true masks of a data set.

    Args:
        predictions_dir: The folder. It may hold predictions of more images than the data set has.
        dataset: The data set with true masks; predictions are found by its image ids.
        boundary: Whether to compute boundary IoU.
        progress: Wraps the images as they are gone through, to show how far it is.

    Raises:
        DataError: If the folder lacks an image of the data set or has other classes, an image has no true mask, or a
            file is damaged or of another size than its image.
    """
    folder = PredictionFolder(Path(predictions_dir))
    folder.check(dataset)
    table = dataset.class_table
    evaluation = LabelingEvaluation(table, boundary=boundary)
    for record in progress(dataset):
        evaluation.update(folder.label_map(record), required_truth(record, table))
    return PredictionScores(("background", *dataset.classes), len(dataset), evaluation.scores())


class LabelingEvaluation:
    """The running counts of one semantic labeling; ``boundary`` says whether boundary IoU is among them."""

    def __init__(self, class_table: ClassTable, *, boundary: bool) -> None:
        num_classes, ignore_index = len(class_table) + 1, class_table.ignore_index
        self._confusion = ConfusionMatrix(num_classes, ignore_index)
        self._boundary = BoundaryIoU(num_classes, ignore_index) if boundary else None

    def update(self, labels: LabelMap, truth: LabelMap) -> None:
        """Add one image, both (H, W). Raises DataError as ConfusionMatrix.update does."""
        self._confusion.update(labels, truth)
        if self._boundary is not None:
            self._boundary.update(labels, truth)

    def scores(self) -> LabelingScores:
        """The scores over all images so far."""
        boundary = self._boundary
        return LabelingScores(
            miou=mean_iou(self._confusion),
            miou_of_all=mean_iou_of_all(self._confusion),
            per_class=tuple(iou_per_class(self._confusion).tolist()),
            boundary_iou=None if boundary is None else boundary.mean(),
            boundary_per_class=None if boundary is None else tuple(boundary.per_class().tolist()),
            binary_iou=binary_iou(self._confusion),
            binary_miou=binary_miou(self._confusion),
            ignored_share=self._confusion.ignored_share,
        )


class InstanceEvaluation:
    """Mask AP of labeled boxes over images with true masks.

    Args:
        class_table: Of the data set.

    Attributes:
        ap: The running matches.
        truth: The true masks, and how many of them were derived from class masks.
    """

    def __init__(self, class_table: ClassTable) -> None:
        self.ap = MaskAP()
        self.truth = TrueMasks(class_table)

    def update(self, boxes: Iterable[LabeledBox], record: ImageRecord) -> None:
        """Match the masks of one image's boxes with its true masks, ranked by the boxes' scores.

        A true object whose mask is not known, or has no pixel, is neither to be found nor wrong to be found in its box.

        Raises:
            DataError: If the image has no true masks at all.
        """
        truth, void = self.truth.of(record)
        found = [
            ScoredMask(box.class_id, box.mask if void is None else _without(box.mask, void), box.score)
            for box in boxes
            if box.status == "ok"
        ]
        self.ap.update(found, truth)


def _without(mask: Rle, void: BoolArray) -> Rle:
    return encode_mask(decode_mask(mask, *void.shape) & ~void)


def _check_complete(labels: LabelFolder, dataset: BoxDataset) -> None:
    missing = [record.image_id for record in dataset if not labels.has(record.image_id)]
    if missing:
        raise DataError(
            f"{labels.path}: no labels of image {missing[0]} ({len(missing)} of {len(dataset)} images are missing); "
            "run bana label on this split again: it goes on where it stopped"
        )
