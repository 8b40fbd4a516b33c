"""Training stage 3 on labels, into a run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from bana.classify.labeler_file import start_from_labeler
from bana.classify.train import calibration_keys, digest_of_start
from bana.data.label_folder import labels_of
from bana.data.reading import valid_records
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import required_truth
from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.engine.loop import CHECKPOINT, train
from bana.engine.plan import LoopConfig
from bana.engine.run_folder import open_run, run_in, versions
from bana.engine.seeds import seed_of, shuffled
from bana.errors import DataError, SettingsError
from bana.io.faults import OnError
from bana.io.files import file_digest
from bana.nn.network import on_device
from bana.segment.model import SegmentationNetwork
from bana.segment.samples import LabeledCrops, Targets, collate
from bana.segment.segmenter_file import FILE_NAME, SegmenterFacts, build_segmenter, save_segmenter
from bana.segment.settings import SegmentSettings
from bana.segment.task import SegmentTask
from bana.segment.validation import Watch

BEST = "best.safetensors"
"""The segmenter file with the weights of the epoch whose score was best."""


@dataclass(frozen=True)
class Training:
    """What a run of stage 3 learns from, and how it runs.

    Attributes:
        dataset: Images; those without labels or mask are left out.
        labels: A folder that ``bana label`` wrote; None: only images with a true mask are learned.
        masks: True masks by image id, which stand in the place of labels.
        labeler: A labeler file or run to start from, where the settings ask for one.
        validation: Images with true masks to score after every epoch; None: none.
        pictures: How many images get confidence maps.
        seed: Of everything random.
    """

    dataset: BoxDataset
    labels: Path | None
    masks: Mapping[str, Path]
    labeler: Path | None = None
    validation: BoxDataset | None = None
    pictures: int = 4
    seed: int = 0


def train_segmenter(
    training: Training,
    settings: SegmentSettings,
    out: Path,
    *,
    runtime: RuntimeConfig = DEFAULT_RUNTIME,
    resume: bool = False,
    on_error: OnError = "stop",
    console: Console,
) -> Path:
    """Train a segmentation network and write a segmenter file.

    Args:
        training: What is learned.
        settings: Of the network and its training.
        out: The run folder: ``settings.json``, ``log.jsonl``, ``checkpoint.safetensors``, ``segmenter.safetensors``;
            with validation ``best.safetensors``, and with pictures ``sigma``.
        runtime: On what it computes.
        resume: Go on with the run in ``out``; a folder with a run is refused otherwise.
        on_error: ``skip`` leaves out images that cannot be opened, and notes them in ``rejected.jsonl``.
        console: For progress.

    Returns:
        The segmenter file, with the weights after the last step.

    Raises:
        DataError: If an image or its labels cannot be used (``stop``), none has labels, a validation image has no true
            mask, or classes differ.
        CheckpointError: If the checkpoint in ``out`` is of another run, or the labeler cannot be read.
        OutputError: If ``out`` holds a run and ``resume`` is not set, or cannot be written.
        SettingsError: If the backbone, its weights or the device cannot be had.
    """
    with run_in(out, runtime, resume) as processes:
        dataset, targets = training.dataset, targets_of(training)
        if training.validation is not None:
            check_truth(training.validation, dataset)
        records, rejected = valid_records(dataset, lambda record: _has_labels(targets, record), on_error)
        pictures = _chosen(records, training)
        identity = _identity(training, targets, settings, records) | {"pictures": [each.image_id for each in pictures]}
        open_run(out, identity, len(records), rejected, f"{dataset.root}: no image with labels", processes)
        crops = LabeledCrops(records, targets, settings, training.seed)
        model = _network(training, settings, crops, len(records), processes.device)
        rates = _filling_rates(targets, records) if settings.loss == "filling_rate" else None
        stage = SegmentTask(model, settings, dataset.class_table.ignore_index, rates, processes)
        watch = Watch(model, out, settings.gamma, settings.epochs, targets, pictures, training.validation, processes)
        if not (out / CHECKPOINT).exists():
            watch.forget()
        loop = LoopConfig(settings.epochs, settings.batch_size, training.seed, settings.precision, runtime, processes)
        facts = SegmenterFacts(dataset.classes, settings, {**identity, "versions": versions()})
        train(
            *(stage, crops, len(records), collate, loop, out, identity, console),
            after_epoch=watch,
            keep_best=lambda: save_segmenter(out / BEST, model, facts),
        )
        file = out / FILE_NAME
        if processes.first:
            save_segmenter(file, model, facts)
    return file


def check_truth(validation: BoxDataset, dataset: BoxDataset) -> None:
    """Raise DataError if images cannot be scored: other classes, or a true mask that is missing or damaged."""
    validation.require_classes(dataset.classes, dataset.root, "score with data of the same classes")
    for record in validation:
        required_truth(record, validation.class_table)


def _chosen(records: Sequence[ImageRecord], training: Training) -> list[ImageRecord]:
    """The images whose confidence maps are drawn."""
    chosen = shuffled(len(records), training.seed, "pictures")[: training.pictures]
    return [records[index] for index in sorted(chosen)]


def targets_of(training: Training) -> Targets:
    """Where a run's labels come from. Raises DataError if classes differ, or no mask is of an image."""
    folder = labels_of(training.dataset, training.labels)
    if training.masks and not any(record.image_id in training.masks for record in training.dataset):
        first = next(iter(training.masks.values()))
        raise DataError(
            f"{first}: is the mask of no image of {training.dataset.root}, nor is any other; name it <image>.png"
        )
    return Targets(training.dataset.class_table, folder, training.masks)


def _has_labels(targets: Targets, record: ImageRecord) -> bool:
    """True, or DataError if the image has no labels or they are damaged."""
    if record.image_id not in targets.masks:
        if targets.labels is None:
            raise DataError(f"{record.path}: image {record.image_id} has no true mask; give --labels for it, or skip")
        targets.labels.require(record)
    targets.of(record)
    return True


def _identity(
    training: Training, targets: Targets, settings: SegmentSettings, records: Sequence[ImageRecord]
) -> dict[str, Any]:
    """All that the run depends on, as plain values."""
    masks = {
        record.image_id: training.masks[record.image_id] for record in records if record.image_id in training.masks
    }
    return {
        "settings": settings.model_dump(mode="json"),
        "data": training.dataset.fingerprint(),
        "images": len(records),
        "image_ids": _digest(record.image_id for record in records),
        "labels": None if targets.labels is None else targets.labels.labeling,
        "masks": _digest(f"{image_id} {file_digest(path)}" for image_id, path in masks.items()),
        "masked_images": len(masks),
        "labeler": digest_of_start(settings, training.labeler),
        "validation": None if training.validation is None else training.validation.fingerprint(),
        "seed": training.seed,
    }


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _network(
    training: Training, settings: SegmentSettings, crops: LabeledCrops, count: int, device: str
) -> SegmentationNetwork:
    """The network before the first step."""
    model = build_segmenter(settings, len(training.dataset.classes), seed_of(training.seed, "weights"))
    if settings.start == "labeler" and training.labeler is not None:
        start_from_labeler(model, training.dataset.classes, settings, training.labeler)
    elif settings.head == "fuse":
        model.calibrate(collate([crops[key] for key in calibration_keys(count, training.seed)]).images)
    return on_device(model, device)


def _filling_rates(targets: Targets, records: Sequence[ImageRecord]) -> Tensor:
    """(L + 1,): the mean filling rate of every class's boxes in the labels; 1 for classes without boxes."""
    if targets.labels is None:
        raise SettingsError("loss: filling_rate needs the filling rates of labels; give --labels")
    classes = len(targets.class_table) + 1
    total, count = np.zeros(classes), np.zeros(classes)
    for record in records:
        if targets.labels.has(record.image_id):
            for box in targets.labels.boxes(record):
                if box.status != "rejected":
                    total[box.class_id] += box.filling_rate
                    count[box.class_id] += 1
    rates = np.where(count > 0, total / np.maximum(count, 1), 1.0)
    return torch.from_numpy(rates).float()
