"""The images under review: opened, labeled, changed and saved."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from threading import Lock, RLock
from typing import Any, NamedTuple

import numpy as np
import torch

from bana.app.actions import Edit, Step, applied
from bana.app.drafts import Draft, Rle, State, first_draft, relabeled
from bana.app.painting import label_maps, masks_of
from bana.app.store import Review, Store
from bana.app.uploads import free_stem, id_of_upload, keep_upload, uploaded_records
from bana.data.images import open_record_image
from bana.data.label_folder import MANIFEST, LabelFolder
from bana.data.label_maps import LabelMap
from bana.data.masks import decode_mask, encode_mask
from bana.data.records import BoolArray, BoxDataset, FloatArray, ImageRecord, IntArray, boxes_to_mask
from bana.errors import BanaError, DataError
from bana.io.strict_json import read_json_object
from bana.label.boxes import BoxedImage, Image, Points, crowd_pixels
from bana.label.labeler import Labeler
from bana.label.output import check_data, input_digest, is_done, labels_any, write_labels, write_manifest
from bana.label.pseudo_labels import PseudoLabels

_KEPT_OPEN = 8
"""Images whose pixels and features are kept."""

_LOCKS = 64


class StaleError(BanaError):
    """An action was meant for an earlier revision of the image."""


class UnknownImageError(BanaError):
    """There is no such image."""


@dataclass(frozen=True)
class Opened:
    """An image's pixels, uint8 (H, W, 3), and what the labeler's network makes of them."""

    image: Image
    features: torch.Tensor


class Summary(NamedTuple):
    """What the queue says of an image.

    Attributes:
        state: State of its review.
        confidence: Mean of its objects, 0..1; None where it has none.
        worst: The least of its objects, 0..1; None where it has none.
        class_ids: The classes of its objects, sorted, each once.
        boxes: Number of objects.
    """

    state: State
    confidence: float | None
    worst: float | None
    class_ids: tuple[int, ...]
    boxes: int

    @classmethod
    def of(cls, draft: Draft) -> Summary:
        """That of a draft."""
        return cls(draft.state, draft.confidence, draft.worst, draft.class_ids, len(draft.objects))


@dataclass(frozen=True)
class Shown:
    """A review with the masks that come of it.

    Attributes:
        review: The image's review.
        masks: One for each object.
        y_crf: (H, W).
        y_ret: (H, W).
    """

    review: Review
    masks: list[Rle]
    y_crf: LabelMap
    y_ret: LabelMap


class Workbench:
    """The images of a data set under review, and those that a person has uploaded.

    Several threads may call it; they take turns at an image.

    Args:
        dataset: Images with boxes.
        labeler: A labeler of the data set's classes.
        manifest: What ``labels.json`` says of that labeler's labels.
        folder: The folder of labels, reviews and uploads.

    Attributes:
        dataset: The images with boxes.
        folder: The folder.

    Raises:
        DataError: If the folder's labels are of other classes, or something in it is damaged.
        OutputError: If its labels are of another data set, or it cannot be written.
    """

    def __init__(self, dataset: BoxDataset, labeler: Labeler, manifest: Mapping[str, Any], folder: Path) -> None:
        self.dataset = dataset
        self.folder = folder
        self.labeling: str = manifest["labeling"]
        self._labeler = labeler
        self._records: dict[str, ImageRecord] = {record.image_id: record for record in dataset}
        for record in uploaded_records(folder):
            self._records.setdefault(record.image_id, record)  # the data set's images stay its own
        self._promised: set[str] = set()
        self._store = Store(folder, dataset.class_table)
        there = folder / MANIFEST
        if not there.exists():  # what is there is left alone: a folder that cannot be written can be looked at
            write_manifest(folder, dict(manifest))
        before = read_json_object(there)
        self._own = before.get("labeling") == self.labeling
        digest = partial(input_digest, labeling=str(before.get("labeling")))
        check_data(before, manifest, folder, lambda: labels_any(folder, dataset, digest))
        self._labels = LabelFolder(folder)
        self._labels.check_classes(dataset)
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._shared = Lock()
        self._locks = [RLock() for _ in range(_LOCKS)]

    def image_ids(self) -> list[str]:
        """All images: the data set's in its order, then those that a person has given."""
        with self._shared:
            return list(self._records)

    def record(self, image_id: str) -> ImageRecord:
        """The image of that id. Raises UnknownImageError if there is none."""
        with self._shared:
            found = self._records.get(image_id)
        if found is None:
            raise UnknownImageError(f"{image_id!r:.200}: no such image; load the page again")
        return found

    def open(self, image_id: str) -> Opened:
        """The image's pixels and features, which are kept for a while. Raises DataError if it cannot be read."""
        record = self.record(image_id)
        with self._lock_of(image_id):
            with self._shared:
                if image_id in self._opened:
                    self._opened.move_to_end(image_id)
                    return self._opened[image_id]
            image = open_record_image(record)
            opened = Opened(image, self._labeler.features(image))
            with self._shared:
                self._opened[image_id] = opened
                while len(self._opened) > _KEPT_OPEN:
                    self._opened.popitem(last=False)
            return opened

    def is_labeled(self, image_id: str) -> bool:
        """Whether the image has a review, or labels in the folder."""
        record = self.record(image_id)
        return self._store.has(record) or self._labels.has(image_id)

    def state(self, image_id: str) -> State:
        """How far the image's review is. Raises DataError if it has one that cannot be used."""
        kept = self._store.load(self.record(image_id))
        return "todo" if kept is None else kept.draft.state

    def summary(self, image_id: str) -> Summary | None:
        """What the queue says of an image, from as few files as can be.

        None where it is to be labeled: it has no labels, or they are not those of its boxes.

        Raises:
            DataError: If a file is damaged.
        """
        record = self.record(image_id)
        kept = self._store.load(record)
        if kept is not None:
            return Summary.of(kept.draft)
        if not self._labels.has(image_id):
            return None
        try:
            boxes = self._labels.boxes(record)
        except DataError:
            if self._own:  # the annotation has changed since: opening the image labels it anew
                return None
            raise
        values = [box.score for box, crowd in zip(boxes, record.crowd, strict=True) if not crowd]
        class_ids = tuple(sorted(set(record.class_ids.tolist())))
        mean, worst = (fmean(values), min(values)) if values else (None, None)
        return Summary("todo", mean, worst, class_ids, len(record))

    def review(self, image_id: str) -> Review:
        """The image's review; where there is none its labels, which are made if there are none.

        Raises:
            DataError: If the image, its labels or its review cannot be used.
            OutputError: If its labels cannot be written.
        """
        record = self.record(image_id)
        with self._lock_of(image_id):
            return self._store.load(record) or Review(self._labeled(record))

    def show(self, image_id: str) -> Shown:
        """The image's review with its masks. Raises as review does."""
        return self._shown(self.record(image_id), self.review(image_id))

    def show_first(self, image_id: str) -> Shown:
        """The image as it was labeled, before anything was done. Raises as review does."""
        record = self.record(image_id)
        return self._shown(record, Review(self._store.first(record, self.review(image_id))))

    def act(self, image_id: str, revision: int, action: Edit | Step) -> Shown:
        """Do what was asked with an image, and keep it.

        Raises:
            DataError: If it cannot be done.
            OutputError: If it cannot be written; then the image is as it was.
            StaleError: If the image has another revision.
        """
        record = self.record(image_id)
        with self._lock_of(image_id):
            review = self.review(image_id)
            if revision != review.revision:
                raise StaleError(f"{image_id}: changed meanwhile, perhaps in another window")
            if isinstance(action, Step):
                review = self._store.move(record, review, -1 if action.do == "undo" else 1)
            else:
                classes = len(self.dataset.classes)
                draft = applied(review.draft, action, record, classes, lambda draft: self._relabeled(record, draft))
                if draft.state == "todo" and draft.objects != self._store.first(record, review).objects:
                    draft = replace(draft, state="edited")  # a verdict was taken back, and what was changed stays
                review = self._store.advance(record, review, draft)
        return self._shown(record, review)

    def upload(self, name: str, content: bytes) -> ImageRecord:
        """Keep a photograph that a person gives. Raises as keep_upload does."""
        record = keep_upload(self.folder, name, content, self._reserved)
        with self._shared:
            self._records[record.image_id] = record
        return record

    def _reserved(self, stem: str) -> str:
        with self._shared:
            free = free_stem(stem, (*self._records, *self._promised))
            self._promised.add(id_of_upload(free))
        return free

    def _lock_of(self, image_id: str) -> RLock:
        return self._locks[hash(image_id) % _LOCKS]

    def _shown(self, record: ImageRecord, review: Review) -> Shown:
        masks = masks_of(review.draft)
        return Shown(review, masks, *label_maps(record, review.draft, masks, self.dataset.class_table))

    def _labeled(self, record: ImageRecord) -> Draft:
        """The image as it was labeled; it is labeled now where it was not, or was before something changed."""
        classes = len(self.dataset.classes)
        if self._own:
            self._label_if_missing(record)
        elif not self._labels.has(record.image_id):  # nothing of ours may stand among another method's labels
            labels = self._labels_of(record)
            masks = [encode_mask(each.mask) for each in labels.instances]
            confidences = [round(each.score, 6) for each in labels.instances]
            return first_draft(record, masks, confidences, labels.y_ret, classes)
        boxes = self._labels.boxes(record)
        y_ret = self._labels.label_map("y_ret", record)
        return first_draft(record, [box.mask for box in boxes], [box.score for box in boxes], y_ret, classes)

    def _label_if_missing(self, record: ImageRecord) -> None:
        digest = input_digest(record, self.labeling)
        if not is_done(self.folder, record.image_id, digest):
            write_labels(self.folder, record.image_id, self._labels_of(record), digest, record.track_ids)

    def _labels_of(self, record: ImageRecord) -> PseudoLabels:
        ignored = crowd_pixels(record)
        return self._from_boxes(record, record.boxes, record.class_ids, record.crowd, ignored, record.points)

    def _relabeled(self, record: ImageRecord, draft: Draft) -> Draft:
        ignored = boxes_to_mask(record.ignored, record.height, record.width)
        for each in draft.objects:
            if each.crowd:
                ignored |= decode_mask(each.mask, *ignored.shape)
        boxes = np.array([each.box for each in draft.objects], dtype=np.float32).reshape(-1, 4)
        class_ids = np.array([each.class_id for each in draft.objects], dtype=np.int64)
        crowd = np.array([each.crowd for each in draft.objects], dtype=bool)
        points = tuple(each.points for each in draft.objects)
        labels = self._from_boxes(record, boxes, class_ids, crowd, ignored, points)
        return relabeled(draft, labels, len(self.dataset.classes))

    def _from_boxes(
        self,
        record: ImageRecord,
        boxes: FloatArray,
        class_ids: IntArray,
        crowd: BoolArray,
        ignored: BoolArray,
        points: Points,
    ) -> PseudoLabels:
        """What the labeler makes of boxes: to the bit what ``bana label`` makes of them."""
        opened = self.open(record.image_id)
        known = dict(zip(map(tuple, record.boxes.tolist()), record.oriented, strict=False))
        oriented = [known.get(tuple(box)) for box in boxes.tolist()]  # a box that a person changed is upright
        classes = len(self.dataset.classes)
        boxed = BoxedImage(opened.image, boxes, class_ids, crowd, ignored, classes, oriented, points)
        return self._labeler.from_features(opened.features, opened.image, boxed)
