"""Label a data set: on all cores, image by image; an interrupted run goes on where it stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from platform import node
from statistics import fmean
from typing import Any

from rich.console import Console

from bana.data.images import open_record_image
from bana.data.mirror import Images, data_facts
from bana.data.records import BoxDataset, ImageRecord
from bana.data.windows import open_windows
from bana.data.writing import ImageMode
from bana.engine.memory import peak_memory, reset_peak
from bana.engine.pool import Engine, Results, Worker, map_in_order
from bana.engine.progress import SILENT, StepProgress
from bana.engine.ray_engine import ray_engine
from bana.errors import CheckpointError, SettingsError
from bana.io.faults import FaultLog, OnError, Rejected, write_rejected
from bana.io.locking import exclusive
from bana.io.remote import AnyPath
from bana.label.formats import format_writers
from bana.label.labeler import Labeler
from bana.label.method import BoxedImage, LabelingMethod, record_boxes
from bana.label.methods.choose import MethodChoice
from bana.label.output import (
    input_digest,
    is_done,
    labeling_digest,
    labels_any,
    manifest_of,
    write_labels,
    write_manifest,
)
from bana.label.pseudo_labels import PseudoLabels
from bana.label.tiled import label_in_tiles
from bana.label.tiles import Tiling


@dataclass(frozen=True)
class LabelRun:
    """The result of a run.

    Attributes:
        images: Images with labels in the folder.
        labeled: Those labeled by this run; the others were there already.
        rejected: Images left out, in the order of the data set.
        boxes: Boxes in all images with labels.
        empty: Boxes of the images labeled by this run that got an empty mask.
        notes: How many things of the images used were repaired and left out while reading, by kind.
        without_weights: Classes that the classifier does not know and that were labeled through 1 - A.
        seconds: Wall time of the labeling.
        seconds_per_image: Mean time per image in one process; None if none was labeled.
        peak_memory: Greatest resident memory of one process while it labeled, in bytes; None if none was labeled.
        lost: For each further format what it cannot hold, and the number of objects that lose it.
    """

    images: int
    labeled: int
    rejected: tuple[Rejected, ...]
    boxes: int
    empty: int
    notes: dict[str, int]
    without_weights: tuple[str, ...]
    seconds: float
    seconds_per_image: float | None
    peak_memory: int | None
    lost: dict[str, dict[str, int]]

    def as_dict(self) -> dict[str, Any]:
        """The run as plain values for JSON."""
        return asdict(self)


@exclusive
def label_dataset(
    dataset: BoxDataset,
    method: MethodChoice,
    out: AnyPath,
    *,
    formats: Sequence[str] = (),
    format_images: ImageMode = "none",
    tiling: Tiling = Tiling(),  # noqa: B008 - it cannot be changed
    workers: int,
    on_error: OnError = "stop",
    engine: str = "local",
    images: Images = nullcontext,
    console: Console = SILENT,
) -> LabelRun:
    """Label every image of a data set.

    Args:
        dataset: Images with boxes.
        method: The labeling method.
        out: Gets ``labels.json``, one PNG per image in ``y_crf``, ``y_ret``, ``agreed`` and ``confidence``, and one
            JSON file per image in ``instances``. Images whose files are there and intact are skipped.
        formats: ``coco``, ``yolo``, ``labelme``, ``voc``, ``geo``: further formats for the instances, each in its own
            folder.
        format_images: ``copy`` or ``link`` the images into these folders (default: annotations only).
        tiling: Which images are cut into tiles.
        workers: Number of processes.
        on_error: ``skip`` leaves out images that cannot be used and lists them in ``rejected.jsonl``.
        engine: ``local`` for processes of this machine, ``ray`` for actors of a Ray cluster. The files are the same.
        images: Fetches a record's image where records do not name files of this machine.
        console: Where progress is shown.

    Raises:
        DataError: If an image cannot be used (``stop``), or ``labels.json`` in ``out`` is damaged.
        CheckpointError: If a labeler or network is missing or damaged.
        OutputError: If ``out`` holds labels of another method, settings, classes or data set, or cannot be written.
        SettingsError: If the method is not known, needs a file or package that is not there, or cannot label in tiles
            an image that is cut.
    """
    run_worker = _engine(engine)
    local = images is nullcontext and isinstance(out, Path)
    exports = format_writers(formats, out, local, format_images)
    manifest = manifest_of(method.facts(), dataset.class_table, data_facts(dataset, images))
    worker = _LabelWorker(method, dataset.classes, manifest["labeling"], out, images, tiling)
    opened = worker.method  # a faulty labeler is found before any process starts
    write_manifest(out, manifest, has_moved=lambda: labels_any(out, dataset, worker.digest, images))
    faults = FaultLog(on_error)
    began = time.monotonic()
    look = local and run_worker is map_in_order  # otherwise the workers look for labels that are there
    kept, missing = _split(dataset, worker, faults) if look else ([], list(dataset))
    done = _done(run_worker(worker, missing, workers), len(missing), faults, console)
    seconds = time.monotonic() - began
    rejected = _write_rejected(dataset, faults, out)
    there = {record.image_id for record in (*kept, *(record for record, _ in done))}
    labeled = replace(dataset, records=tuple(record for record in dataset if record.image_id in there))
    costs = [cost for _, cost in done if cost is not None]
    return LabelRun(
        images=len(labeled),
        labeled=len(costs),
        rejected=rejected,
        boxes=sum(len(record) for record in labeled),
        empty=sum(cost.empty for cost in costs),
        notes=dict(Counter(note.kind for note in dataset.notes)),
        without_weights=opened.without_weights() if isinstance(opened, Labeler) else (),
        seconds=round(seconds, 3),
        seconds_per_image=round(fmean(cost.seconds for cost in costs), 4) if costs else None,
        peak_memory=max((cost.peak_memory for cost in costs), default=None),
        lost={name: dict(export(labeled).lost) for name, export in exports.items()},
    )


@dataclass(frozen=True)
class _Cost:
    """The cost of one image: seconds, and the greatest resident memory of the process so far, in bytes.

    ``empty`` is its number of boxes that got an empty mask.
    """

    seconds: float
    peak_memory: int
    empty: int


@dataclass(frozen=True)
class _LabelWorker(Worker[ImageRecord, _Cost | None]):
    """Labels a record and writes its files."""

    choice: MethodChoice
    classes: tuple[str, ...]
    labeling: str
    out: AnyPath
    images: Images
    tiling: Tiling

    @cached_property
    def method(self) -> LabelingMethod:
        reset_peak()
        if labeling_digest(self.choice.facts(), self.classes) != self.labeling:
            remedy = "give all machines the same bana and files"
            raise CheckpointError(f"{node()}: its labeler is not the one that this labeling began with; {remedy}")
        return self.choice.open(self.classes, threads=1)

    def __call__(self, record: ImageRecord) -> _Cost | None:
        """None if the files are there, as after the loss of another process."""
        method = self.method
        began = time.perf_counter()
        with self.images(record) as here:
            digest = self.digest(here)
            if is_done(self.out, here.image_id, digest):
                return None
            labels = self.labels(method, here)
            write_labels(self.out, here.image_id, labels, digest)
        empty = sum(instance.status == "empty" for instance in labels.instances)
        return _Cost(time.perf_counter() - began, peak_memory(), empty)

    def labels(self, method: LabelingMethod, record: ImageRecord) -> PseudoLabels:
        """Label a record, in tiles if it is large."""
        classes, side = len(method.class_table), self.tiling.side_for(record.width, record.height)
        if side is None:
            image = open_record_image(record)
            return method.label_boxed(image, BoxedImage.of_record(image, record, classes))
        with open_windows(record) as windows:
            return label_in_tiles(method, windows, record_boxes(record, classes), side)

    def digest(self, record: ImageRecord) -> str:
        """A digest of everything that the record's labels depend on."""
        side = self.tiling.side_for(record.width, record.height)
        return input_digest(record, self.labeling if side is None else f"{self.labeling} in tiles of {side}")

    def is_done(self, record: ImageRecord) -> bool:
        """Whether the record's labels are there, intact and made from this input."""
        return is_done(self.out, record.image_id, self.digest(record))


def _engine(name: str) -> Engine:
    if name == "ray":
        return ray_engine()
    if name != "local":
        raise SettingsError(f"engine {name!r} is not known; choose local or ray")
    return map_in_order


def _split(dataset: BoxDataset, worker: _LabelWorker, faults: FaultLog) -> tuple[list[ImageRecord], list[ImageRecord]]:
    """The records that are labeled, and the others; if there are no others, no process needs to start."""
    kept: list[ImageRecord] = []
    missing: list[ImageRecord] = []
    for record in dataset:
        with faults.catch(record.image_id):
            (kept if worker.is_done(record) else missing).append(record)
    return kept, missing


def _done(
    results: Results[ImageRecord, _Cost | None], images: int, faults: FaultLog, console: Console
) -> list[tuple[ImageRecord, _Cost | None]]:
    """The records without faults and what each cost; None where its labels were there."""
    done = []
    with closing(StepProgress("labeling", images, console)) as progress, closing(results):
        for number, (record, result) in enumerate(results):
            with faults.catch(record.image_id):
                done.append((record, result()))
            progress.update(number, 1, {})
    return done


def _write_rejected(dataset: BoxDataset, faults: FaultLog, out: AnyPath) -> tuple[Rejected, ...]:
    """The images left out in reading, then those left out here in the data set's order."""
    position = {record.image_id: number for number, record in enumerate(dataset)}
    rejected = (*dataset.rejected, *sorted(faults.rejected(), key=lambda entry: position[entry.image_id]))
    write_rejected(out, rejected)
    return rejected
