"""Labelling a data set: on all cores, image by image, going on where an earlier run stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from bana.data.alone import alone
from bana.data.convert import writer
from bana.data.faults import FaultLog, OnError
from bana.data.files import write_text
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask, encode_mask
from bana.data.records import BoxDataset, ImageRecord, Rejected, covered, pixel_slices
from bana.data.strict_json import json_lines
from bana.data.writing import WriteReport
from bana.engine.memory import peak_memory, reset_peak
from bana.engine.progress import StepProgress
from bana.errors import DataError
from bana.label.labeler import Labeler
from bana.label.output import input_digest, is_done, write_labels, write_manifest
from bana.label.pool import each_in_order
from bana.label.source import Source
from bana.label.sources.choose import SourceChoice

_Item = tuple[ImageRecord, str]
"""A record, and the digest of all that its labels depend on."""


@dataclass(frozen=True)
class LabelRun:
    """What a run did.

    Attributes:
        images: With labels in the folder now.
        labelled: By this run; the others were there already.
        rejected: Images left out, in the order of the data set.
        boxes: In all labelled images of this run and earlier ones.
        without_weights: Classes that were labelled through 1 - A.
        seconds: Wall time of the labelling.
        seconds_per_image: Mean time that one process spent on an image; None where none was labelled.
        peak_memory: The most bytes that one process had resident while it labelled; None where none was.
        lost: For each further format what it cannot hold, and of how many objects.
    """

    images: int
    labelled: int
    rejected: tuple[Rejected, ...]
    boxes: int
    without_weights: tuple[str, ...]
    seconds: float
    seconds_per_image: float | None
    peak_memory: int | None
    lost: dict[str, dict[str, int]]

    def as_dict(self) -> dict[str, Any]:
        """The run for JSON."""
        return asdict(self)


@alone
def label_dataset(
    dataset: BoxDataset,
    source: SourceChoice,
    out: Path,
    *,
    formats: Sequence[str] = (),
    workers: int,
    on_error: OnError = "stop",
    console: Console,
) -> LabelRun:
    """Label every image of a data set.

    Args:
        dataset: Images with boxes.
        source: The way to label.
        out: Gets ``labels.json``, one PNG an image in ``y_crf``, ``y_ret``, ``agreed`` and ``confidence``, and one JSON
            file an image in ``instances``. Images whose files are there and intact are skipped.
        formats: ``coco``, ``yolo``, ``labelme`` or ``voc``: the instances in these formats too, each in a folder of
            that name.
        workers: Processes.
        on_error: ``skip`` leaves out images that cannot be used, and notes them in ``rejected.jsonl``.
        console: For progress.

    Raises:
        DataError: If an image cannot be used (``stop``), or ``labels.json`` in ``out`` is damaged.
        LabelerError: If a labeler or network is missing or damaged.
        OutputError: If ``out`` holds labels of another source, settings or classes, or cannot be written.
        SettingsError: If the source is not known, or needs a file or package that is not there.
    """
    writers = {name: writer(name, images="none") for name in formats}
    facts = source.facts()
    job = _Job(source, dataset.classes, _labelling(facts, dataset), out)
    prepared = job.prepare()  # a faulty labeler is found before any process starts
    manifest = {
        "classes": list(dataset.classes),
        "ignore_index": dataset.class_table.ignore_index,
        "source": facts,
        "labelling": job.labelling,
    }
    write_manifest(out, manifest)
    faults = FaultLog(on_error)
    began = time.monotonic()
    kept, missing = _already_there(dataset, prepared, faults)
    labelled, costs = [], []
    progress = StepProgress("labelling", len(missing), console)
    try:
        for number, ((record, _), result) in enumerate(each_in_order(job, missing, workers, prepared)):
            with faults.of(record.image_id):
                costs.append(result())
                labelled.append(record)
            progress.update(number, 1, {})
    finally:
        progress.close()
    seconds = time.monotonic() - began
    rejected = (*dataset.rejected, *faults.rejected())
    write_text(out / "rejected.jsonl", json_lines(asdict(entry) for entry in rejected))
    there = {record.image_id for record in (*kept, *labelled)}
    whole = replace(dataset, records=tuple(record for record in dataset if record.image_id in there))
    reports = {name: _export(write, whole, out, name) for name, write in writers.items()}
    return LabelRun(
        images=len(whole),
        labelled=len(labelled),
        rejected=rejected,
        boxes=sum(len(record) for record in whole),
        without_weights=prepared.source.without_weights() if isinstance(prepared.source, Labeler) else (),
        seconds=round(seconds, 3),
        seconds_per_image=round(fmean(cost.seconds for cost in costs), 4) if costs else None,
        peak_memory=max((cost.peak_memory for cost in costs), default=None),
        lost={name: dict(report.lost) for name, report in reports.items()},
    )


def _already_there(dataset: BoxDataset, prepared: _Prepared, faults: FaultLog) -> tuple[list[ImageRecord], list[_Item]]:
    """The records whose labels are there, and the others; no process needs to start where there are no others."""
    kept: list[ImageRecord] = []
    missing: list[_Item] = []
    for record in dataset:
        with faults.of(record.image_id):
            digest = prepared.digest(record)
            if is_done(prepared.out, record.image_id, digest):
                kept.append(record)
            else:
                missing.append((record, digest))
    return kept, missing


def labelled_records(dataset: BoxDataset, out: Path) -> Iterator[ImageRecord]:
    """The records with the masks and confidences of a label folder, one at a time.

    Raises:
        DataError: If labels of an image are missing or damaged.
    """
    folder = LabelFolder(out)
    for record in dataset:
        boxes = folder.boxes(record)
        agreed = folder.label_map("agreed", record) <= len(folder.classes)
        yield replace(
            record,
            segmentations=tuple(box.mask for box in boxes),
            reliable=tuple(encode_mask(agreed & covered(box, *agreed.shape)) for box in record.boxes),
            scores=np.array([box.confidence for box in boxes], dtype=np.float32),
            semantic_path=out / "y_crf" / f"{record.image_id}.png",
            instance_path=None,
        )


@dataclass(frozen=True)
class _Cost:
    """What labelling an image took: seconds, and the most bytes that the process had resident so far."""

    seconds: float
    peak_memory: int


@dataclass(frozen=True)
class _Prepared:
    """A source for the data set's classes, and the digest of all that its labels depend on but the image."""

    source: Source
    labelling: str
    out: Path

    def __call__(self, item: _Item) -> _Cost:
        """Label the record and write its files."""
        record, digest = item
        began = time.perf_counter()
        image = open_record_image(record)
        labels = self.source(image, record.boxes, record.class_ids, crowd=record.crowd, ignored=crowd_pixels(record))
        write_labels(self.out, record, labels, digest)
        return _Cost(time.perf_counter() - began, peak_memory())

    def digest(self, record: ImageRecord) -> str:
        """The digest of all that the record's labels depend on. Raises DataError if its image cannot be read."""
        try:
            return input_digest(record, self.labelling)
        except OSError as error:
            raise DataError(f"{record.path}: image cannot be read ({error.strerror}); restore the file") from error


@dataclass(frozen=True)
class _Job:
    """What a worker process needs to prepare itself."""

    source: SourceChoice
    classes: tuple[str, ...]
    labelling: str
    out: Path

    def prepare(self) -> _Prepared:
        reset_peak()
        return _Prepared(self.source.open(self.classes, threads=1), self.labelling, self.out)


def _labelling(source: dict[str, Any], dataset: BoxDataset) -> str:
    """A digest of all that labels depend on but the images."""
    return hashlib.sha256(json.dumps([source, dataset.classes], sort_keys=True).encode()).hexdigest()


def crowd_pixels(record: ImageRecord) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The pixels of the record's crowd regions, bool (H, W): their masks, or their boxes where there are none."""
    pixels = np.zeros((record.height, record.width), dtype=bool)
    for number in np.flatnonzero(record.crowd):
        segmentation = record.segmentations[number]
        if segmentation is None:
            pixels[pixel_slices(record.boxes[number])] = True
        else:
            pixels |= decode_mask(segmentation, record.height, record.width)
    return pixels


def _export(write: Callable[..., WriteReport], dataset: BoxDataset, out: Path, name: str) -> WriteReport:
    records: Iterable[ImageRecord] = labelled_records(dataset, out)
    return write(records, dataset.class_table, out / name, dataset.split or "train")
