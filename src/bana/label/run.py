"""Labeling a data set: on all cores, image by image, going on where an earlier run stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from platform import node
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from bana.data.convert import writer
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask, encode_mask
from bana.data.mirror import Images
from bana.data.records import BoxDataset, ClassTable, ImageRecord, boxes_to_mask, pixel_slices
from bana.data.writing import WriteReport
from bana.engine.memory import peak_memory, reset_peak
from bana.engine.pool import Engine, Results, each_in_order
from bana.engine.progress import StepProgress
from bana.engine.ray_engine import ray_engine
from bana.errors import CheckpointError, DataError, SettingsError
from bana.io.faults import FaultLog, OnError, Rejected
from bana.io.files import write_text
from bana.io.locking import exclusive
from bana.io.remote import AnyPath
from bana.io.strict_json import json_lines
from bana.label.labeler import Labeler
from bana.label.method import LabelingMethod
from bana.label.methods.choose import MethodChoice
from bana.label.output import input_digest, is_done, write_labels, write_manifest


@dataclass(frozen=True)
class LabelRun:
    """What a run did.

    Attributes:
        images: With labels in the folder now.
        labeled: By this run; the others were there already.
        rejected: Images left out, in the order of the data set.
        boxes: In all labeled images of this run and earlier ones.
        without_weights: Classes that were labeled through 1 - A.
        seconds: Wall time of the labeling.
        seconds_per_image: Mean time that one process spent on an image; None where none was labeled.
        peak_memory: The most bytes that one process had resident while it labeled; None where none was.
        lost: For each further format what it cannot hold, and of how many objects.
    """

    images: int
    labeled: int
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


@exclusive
def label_dataset(
    dataset: BoxDataset,
    method: MethodChoice,
    out: AnyPath,
    *,
    formats: Sequence[str] = (),
    workers: int,
    on_error: OnError = "stop",
    engine: str = "local",
    images: Images = nullcontext,
    console: Console,
) -> LabelRun:
    """Label every image of a data set.

    Args:
        dataset: Images with boxes.
        method: The way to label.
        out: Gets ``labels.json``, one PNG an image in ``y_crf``, ``y_ret``, ``agreed`` and ``confidence``, and one JSON
            file an image in ``instances``. Images whose files are there and intact are skipped.
        formats: ``coco``, ``yolo``, ``labelme`` or ``voc``: the instances in these formats too, each in a folder of
            that name.
        workers: DistContext.
        on_error: ``skip`` leaves out images that cannot be used, and notes them in ``rejected.jsonl``.
        engine: ``local``: processes of this machine; ``ray``: actors of a Ray cluster. The files are the same.
        images: Where the records do not name files of this machine, what fetches one.
        console: For progress.

    Raises:
        DataError: If an image cannot be used (``stop``), or ``labels.json`` in ``out`` is damaged.
        CheckpointError: If a labeler or network is missing or damaged.
        OutputError: If ``out`` holds labels of another method, settings or classes, or cannot be written.
        SettingsError: If the method is not known, or needs a file or package that is not there.
    """
    each = _engine(engine)
    near = images is nullcontext and isinstance(out, Path)
    exports = _exports(formats, out, near)
    manifest = manifest_of(method.facts(), dataset.class_table)
    job = _Job(method, dataset.classes, manifest["labeling"], out, images)
    prepared = job.prepare()  # a faulty labeler is found before any process starts
    write_manifest(out, manifest)
    faults = FaultLog(on_error)
    began = time.monotonic()
    look = near and each is each_in_order  # else those that label look for what is there
    kept, missing = _already_there(dataset, prepared, faults) if look else ([], list(dataset))
    done = _done(each(job, missing, workers, prepared), len(missing), faults, console)
    costs = [cost for _, cost in done if cost is not None]
    seconds = time.monotonic() - began
    rejected = (*dataset.rejected, *_in_order(faults.rejected(), dataset))
    write_text(out / "rejected.jsonl", json_lines(asdict(entry) for entry in rejected))
    there = {record.image_id for record in (*kept, *(record for record, _ in done))}
    whole = replace(dataset, records=tuple(record for record in dataset if record.image_id in there))
    reports = {name: export(whole) for name, export in exports.items()}
    return LabelRun(
        images=len(whole),
        labeled=len(costs),
        rejected=rejected,
        boxes=sum(len(record) for record in whole),
        without_weights=prepared.method.without_weights() if isinstance(prepared.method, Labeler) else (),
        seconds=round(seconds, 3),
        seconds_per_image=round(fmean(cost.seconds for cost in costs), 4) if costs else None,
        peak_memory=max((cost.peak_memory for cost in costs), default=None),
        lost={name: dict(report.lost) for name, report in reports.items()},
    )


def _engine(name: str) -> Engine:
    if name == "ray":
        return ray_engine()
    if name != "local":
        raise SettingsError(f"engine {name!r} is not known; choose local or ray")
    return each_in_order


def _already_there(
    dataset: BoxDataset, prepared: _Prepared, faults: FaultLog
) -> tuple[list[ImageRecord], list[ImageRecord]]:
    """The records whose labels are there, and the others; no process needs to start where there are no others."""
    kept: list[ImageRecord] = []
    missing: list[ImageRecord] = []
    for record in dataset:
        with faults.catch(record.image_id):
            (kept if prepared.is_there(record, prepared.digest(record)) else missing).append(record)
    return kept, missing


def _done(
    results: Results[ImageRecord, _Cost | None], images: int, faults: FaultLog, console: Console
) -> list[tuple[ImageRecord, _Cost | None]]:
    """The records without faults, and what each took; None where its labels were there."""
    done = []
    progress = StepProgress("labeling", images, console)
    with closing(progress), closing(results):
        for number, (record, result) in enumerate(results):
            with faults.catch(record.image_id):
                done.append((record, result()))
            progress.update(number, 1, {})
    return done


def _in_order(rejected: Sequence[Rejected], dataset: BoxDataset) -> list[Rejected]:
    """The entries as the data set has their images, whether their faults were found before labeling or by it."""
    position = {record.image_id: number for number, record in enumerate(dataset)}
    return sorted(rejected, key=lambda entry: position[entry.image_id])


def manifest_of(facts: Mapping[str, Any], table: ClassTable) -> dict[str, Any]:
    """What ``labels.json`` says of labels: their classes, their method, and ``labeling``, a digest of both.

    Args:
        facts: Of the method, as MethodChoice.facts gives them.
        table: The classes.
    """
    return {
        "classes": list(table.names),
        "ignore_index": table.ignore_index,
        "method": facts,
        "labeling": _labeling(facts, table.names),
    }


def labeled_records(dataset: BoxDataset, out: Path) -> Iterator[ImageRecord]:
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
            reliable=tuple(encode_mask(agreed & boxes_to_mask(box, *agreed.shape)) for box in record.boxes),
            scores=np.array([box.confidence for box in boxes], dtype=np.float32),
            semantic_path=out / "y_crf" / f"{record.image_id}.png",
            instance_path=None,
        )


@dataclass(frozen=True)
class _Cost:
    """What labeling an image took: seconds, and the most bytes that the process had resident so far."""

    seconds: float
    peak_memory: int


@dataclass(frozen=True)
class _Prepared:
    """A method for the data set's classes, and the digest of all that its labels depend on but the image."""

    method: LabelingMethod
    labeling: str
    out: AnyPath
    images: Images

    def __call__(self, record: ImageRecord) -> _Cost | None:
        """Label the record and write its files; None if they are there, as after the loss of another process."""
        began = time.perf_counter()
        with self.images(record) as here:
            digest = self.digest(here)
            if self.is_there(record, digest):
                return None
            image, ignored = open_record_image(here), crowd_pixels(here)
            labels = self.method(image, here.boxes, here.class_ids, crowd=here.crowd, ignored=ignored)
            write_labels(self.out, here, labels, digest)
        return _Cost(time.perf_counter() - began, peak_memory())

    def is_there(self, record: ImageRecord, digest: str) -> bool:
        """Whether the record's labels are there, intact and made from this input."""
        return is_done(self.out, record.image_id, digest)

    def digest(self, record: ImageRecord) -> str:
        """The digest of all that the record's labels depend on. Raises DataError if its image cannot be read."""
        try:
            return input_digest(record, self.labeling)
        except OSError as error:
            raise DataError(f"{record.path}: image cannot be read ({error.strerror}); restore the file") from error


@dataclass(frozen=True)
class _Job:
    """What a worker process needs to prepare itself."""

    method: MethodChoice
    classes: tuple[str, ...]
    labeling: str
    out: AnyPath
    images: Images

    def prepare(self) -> _Prepared:
        reset_peak()
        if _labeling(self.method.facts(), self.classes) != self.labeling:
            remedy = "give all machines the same bana and files"
            raise CheckpointError(f"{node()}: its labeler is not the one that this labeling began with; {remedy}")
        return _Prepared(self.method.open(self.classes, threads=1), self.labeling, self.out, self.images)


def _labeling(method: Mapping[str, Any], classes: tuple[str, ...]) -> str:
    """A digest of all that labels depend on but the images."""
    return hashlib.sha256(json.dumps([method, classes], sort_keys=True).encode()).hexdigest()


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


def _exports(formats: Sequence[str], out: AnyPath, near: bool) -> dict[str, Callable[[BoxDataset], WriteReport]]:
    """For each further format what writes the labels of ``out`` in it, which opens images and labels again."""
    if formats and not near:
        raise SettingsError(f"--formats {formats[0]}: needs a local DATA and --out; ask for it on copies of both")
    return {name: partial(_export, writer(name, images="none"), out, name) for name in formats}


def _export(write: Callable[..., WriteReport], out: Any, name: str, dataset: BoxDataset) -> WriteReport:
    records: Iterable[ImageRecord] = labeled_records(dataset, out)
    return write(records, dataset.class_table, out / name, dataset.split or "train")
