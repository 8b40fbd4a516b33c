"""Label a data set: on all cores, image by image; an interrupted run goes on where it stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from bana.data.mirror import Images, data_facts
from bana.data.records import BoxDataset, ImageRecord
from bana.data.writing import ImageMode
from bana.engine.pool import Engine, Results, map_in_order
from bana.engine.progress import SILENT, StepProgress
from bana.engine.ray_engine import ray_engine
from bana.errors import SettingsError
from bana.io.faults import FaultLog, OnError, Rejected, write_rejected
from bana.io.locking import exclusive
from bana.io.remote import AnyPath
from bana.label.formats import format_writers
from bana.label.labeler import Labeler
from bana.label.methods.choose import MethodChoice
from bana.label.output import labels_any, manifest_of, write_manifest
from bana.label.tiles import Tiling
from bana.label.workers import Cost, LabelWorker, VideoWorker, chains_of, frame_results, require_tracks


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
        workers: Number of processes. With ``method.warm_start`` each takes a video at a time.
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
    worker = LabelWorker(method, dataset.classes, manifest["labeling"], out, images, tiling)
    opened = worker.method  # a faulty labeler is found before any process starts
    if method.warm_start:
        require_tracks(dataset, opened)
    write_manifest(out, manifest, has_moved=lambda: labels_any(out, dataset, worker.digest, images))
    faults = FaultLog(on_error)
    began = time.monotonic()
    # Otherwise the workers look for labels that are there; so do those that go from frame to frame.
    look = local and run_worker is map_in_order and not method.warm_start
    kept, missing = _split(dataset, worker, faults) if look else ([], list(dataset))
    if method.warm_start:
        by_video = run_worker(VideoWorker(worker, on_error), chains_of(dataset), workers)
        results: Results[ImageRecord, Cost | None] = frame_results(by_video)
    else:
        results = run_worker(worker, missing, workers)
    done = _done(results, len(missing), faults, console)
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


def _engine(name: str) -> Engine:
    if name == "ray":
        return ray_engine()
    if name != "local":
        raise SettingsError(f"engine {name!r} is not known; choose local or ray")
    return map_in_order


def _split(dataset: BoxDataset, worker: LabelWorker, faults: FaultLog) -> tuple[list[ImageRecord], list[ImageRecord]]:
    """The records that are labeled, and the others; if there are no others, no process needs to start."""
    kept: list[ImageRecord] = []
    missing: list[ImageRecord] = []
    for record in dataset:
        with faults.catch(record.image_id):
            (kept if worker.is_done(record) else missing).append(record)
    return kept, missing


def _done(
    results: Results[ImageRecord, Cost | None], images: int, faults: FaultLog, console: Console
) -> list[tuple[ImageRecord, Cost | None]]:
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
