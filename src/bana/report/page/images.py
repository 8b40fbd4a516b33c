"""What a page shows of one image, and the sums over all images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from bana.data.colors import Color
from bana.data.images import open_record_image
from bana.data.label_folder import LabeledBox, LabelFolder
from bana.data.label_maps import LabelMap, read_gray
from bana.data.records import BoxDataset, ClassTable, ImageRecord, boxes_to_mask
from bana.data.truth import semantic_truth
from bana.engine.pool import Worker
from bana.errors import DataError
from bana.evaluate import ConfusionMatrix, binary_miou
from bana.evaluate.calibration import Calibration
from bana.evaluate.filling_rates import FillingRates
from bana.evaluate.scores import json_number
from bana.label.output import CONFIDENCE
from bana.nn.network_file import NetworkFacts
from bana.report.page.layers import class_layer, confidence_layer, photo_layer, shown_size, unreliable_layer
from bana.report.panels import Picture
from bana.segment.losses import confidence_map
from bana.segment.model import SEGMENTER, SegmentationNetwork
from bana.segment.segmenter import mean_cosine
from bana.segment.settings import SegmentSettings


@dataclass(eq=False)
class Totals:
    """Sums over images.

    Attributes:
        labels: Confusion of Y_crf, where there are true masks.
        network: Confusion of the network, where there are true masks.
        calibration: Calibration of Y_crf's confidence inside boxes, where there are true masks.
        true_rates: Filling rates of true objects, by class id.
        rates: Filling rates of the labels' masks, by class id.
        agreed: Pixels inside boxes on which Y_crf and Y_ret agree, and all pixels inside boxes.
    """

    labels: ConfusionMatrix
    network: ConfusionMatrix
    calibration: Calibration = field(default_factory=Calibration)
    true_rates: FillingRates = field(default_factory=FillingRates)
    rates: FillingRates = field(default_factory=FillingRates)
    agreed: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, dataset: BoxDataset) -> Totals:
        """The sums over no image."""
        classes, ignore_index = len(dataset.classes) + 1, dataset.class_table.ignore_index
        return cls(ConfusionMatrix(classes, ignore_index), ConfusionMatrix(classes, ignore_index))

    def add(self, other: Totals) -> None:
        """Add the sums over other images."""
        self.labels += other.labels
        self.network += other.network
        self.calibration += other.calibration
        self.true_rates.add(other.true_rates)
        self.rates.add(other.rates)
        self.agreed = (self.agreed[0] + other.agreed[0], self.agreed[1] + other.agreed[1])


@dataclass(frozen=True)
class ImageLook:
    """What a page shows of one image.

    Attributes:
        record: The image.
        boxes: What labeling gave its boxes, in input order.
        score: mIoU of object against background of Y_crf, 0..100; None without a true mask.
        layers: Picture files by what they show, ``photo`` first; empty where the image is not in the gallery.
    """

    record: ImageRecord
    boxes: tuple[LabeledBox, ...]
    score: float | None
    layers: Mapping[str, bytes]


@dataclass(frozen=True)
class LookJob(Worker[ImageRecord, tuple[ImageLook, Totals]]):
    """Looks at one image, and counts in it.

    Attributes:
        dataset: The data set, for its classes.
        labels: Its label folder.
        network: A segmenter file or run folder, to show its masks too.
        shown: Ids of the images of the gallery.
        colors: Colors by class id.
        side: Longest side, in pixels, of pictures in the gallery.
    """

    dataset: BoxDataset
    labels: Path
    network: Path | None
    shown: frozenset[str]
    colors: Mapping[int, Color]
    side: int

    @property
    def _table(self) -> ClassTable:
        return self.dataset.class_table

    @cached_property
    def _folder(self) -> LabelFolder:
        return LabelFolder(self.labels)

    @cached_property
    def _segmenter(self) -> tuple[SegmentationNetwork, NetworkFacts[SegmentSettings]] | None:
        return None if self.network is None else SEGMENTER.load(self.network)

    def __call__(self, record: ImageRecord) -> tuple[ImageLook, Totals]:
        """Look at an image. Raises DataError if one of its files is missing or damaged."""
        maps: dict[str, LabelMap] = {name: self._folder.label_map(name, record) for name in ("y_crf", "y_ret")}
        confidence = _confidence(self.labels, record)
        truth = semantic_truth(record, self._table)
        boxes = self._folder.boxes(record)
        totals = self._totals(record, boxes, maps, confidence, truth)
        score = None if truth is None else json_number(binary_miou(totals.labels))
        if record.image_id not in self.shown:
            return ImageLook(record, boxes, score, {}), totals
        image = open_record_image(record)
        scales = {"confidence": confidence}
        if self._segmenter is not None:
            maps["network"], scales["sigma"] = self._look_of_network(image, maps["y_crf"])
            if truth is not None:
                totals.network.update(maps["network"], truth)
        if truth is not None:
            maps["truth"] = truth
        return ImageLook(record, boxes, score, self._layers(image, maps, scales)), totals

    def _totals(
        self,
        record: ImageRecord,
        boxes: tuple[LabeledBox, ...],
        maps: Mapping[str, LabelMap],
        confidence: npt.NDArray[np.float32],
        truth: LabelMap | None,
    ) -> Totals:
        totals = Totals.of(self.dataset)
        y_crf = maps["y_crf"]
        inside = boxes_to_mask(record.boxes[~record.crowd], record.height, record.width)
        totals.agreed = int(((y_crf == maps["y_ret"]) & inside).sum()), int(inside.sum())
        for box, crowd in zip(boxes, record.crowd, strict=True):
            if box.status == "ok" and not crowd:
                totals.rates.rates[box.class_id].append(box.filling_rate)
        if truth is not None:
            totals.labels.update(y_crf, truth)
            counted = inside & (truth != self._table.ignore_index) & (y_crf != self._table.ignore_index)
            totals.calibration.update(confidence[counted], (y_crf == truth)[counted])
            totals.true_rates.update_truth(record, self._table)
        return totals

    def _layers(
        self, image: Picture, maps: Mapping[str, LabelMap], scales: Mapping[str, npt.NDArray[np.floating]]
    ) -> dict[str, bytes]:
        """The picture files of an image, from its label maps and its confidence maps."""
        size = shown_size(image.shape[1], image.shape[0], self.side)
        layers = {"photo": photo_layer(image, size)}
        layers |= {name: class_layer(labels, self.colors, size) for name, labels in maps.items()}
        layers["unreliable"] = unreliable_layer(np.asarray(maps["y_crf"] != maps["y_ret"]), size)
        return layers | {name: confidence_layer(values, size) for name, values in scales.items()}

    def _look_of_network(self, image: Picture, y_crf: LabelMap) -> tuple[LabelMap, npt.NDArray[np.floating]]:
        """What the network sees at one scale and without CRF, and its confidence sigma in Y_crf (Eq. 12)."""
        assert self._segmenter is not None
        network, facts = self._segmenter
        cosine = mean_cosine(network, image)
        labels = torch.from_numpy(y_crf.astype(np.int64))[None]
        sigma = confidence_map(cosine, labels, gamma=facts.settings.gamma, ignore_index=self._table.ignore_index)
        return cosine.argmax(1)[0].numpy().astype(self._table.label_dtype), sigma[0].numpy()


def uncertainty(record: ImageRecord, boxes: tuple[LabeledBox, ...]) -> float | None:
    """How uncertain an image's labels are, 0..1: one minus the mean score of its boxes; None without any.

    Crowd regions, which are not labeled, do not count.
    """
    values = [box.score for box, crowd in zip(boxes, record.crowd, strict=True) if not crowd]
    return 1.0 - float(np.mean(values)) if values else None


def _confidence(labels: Path, record: ImageRecord) -> npt.NDArray[np.float32]:
    path = labels / CONFIDENCE / f"{record.image_id}.png"
    if not path.is_file():
        raise DataError(f"{path}: is missing; run bana label again")
    return read_gray(path, record.width, record.height)
