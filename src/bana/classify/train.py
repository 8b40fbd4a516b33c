"""Training stage 1 on a data set, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from bana.classify.labeler_file import (
    FILE_NAME,
    LabelerFacts,
    build_classifier,
    labeler_path,
    save_labeler,
    start_from_labeler,
)
from bana.classify.samples import BoxCrops, collate
from bana.classify.settings import ClassifySettings
from bana.classify.task import ClassifyTask
from bana.data.label_folder import labels_of
from bana.data.reading import valid_records
from bana.data.records import BoxDataset
from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.engine.loop import CHECKPOINT, train
from bana.engine.plan import LoopConfig, SampleKey
from bana.engine.run_folder import open_run, run_in, versions
from bana.engine.seeds import seed_of, shuffled
from bana.errors import SettingsError
from bana.io.faults import OnError
from bana.io.files import file_digest
from bana.nn.network import on_device
from bana.nn.training import TrainingSettings

CALIBRATION_IMAGES = 32
"""Crops from which the statistics of the backbone's features are taken."""


def train_classifier(
    dataset: BoxDataset,
    settings: ClassifySettings,
    label_settings: dict[str, Any],
    out: Path,
    *,
    labels: Path | None = None,
    labeler: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    runtime: RuntimeConfig = DEFAULT_RUNTIME,
    on_error: OnError = "stop",
    console: Console,
) -> Path:
    """Train a box classifier and write a labeler file.

    Args:
        dataset: Images with boxes.
        settings: Of the network and its training.
        label_settings: Of labeling, stored in the labeler file as they are.
        out: The run folder: ``settings.json``, ``log.jsonl``, ``checkpoint.safetensors``, ``labeler.safetensors``.
        labels: A label folder of these images: pixels on which its labels agree are learned as well (a second round).
        labeler: A labeler file or run to start from, where the settings ask for one.
        seed: Of everything random.
        resume: Go on with the run in ``out``; a folder with a run is refused otherwise.
        runtime: On what it computes.
        on_error: ``skip`` leaves out images that cannot be opened, and notes them in ``rejected.jsonl``.
        console: For progress.

    Returns:
        The labeler file.

    Raises:
        DataError: If an image cannot be used (``stop``), or none is left.
        CheckpointError: If the checkpoint in ``out`` is of another run.
        OutputError: If ``out`` holds a run and ``resume`` is not set, or cannot be written.
        SettingsError: If the backbone, its weights or the device cannot be had.
    """
    with run_in(out, runtime, resume) as processes:
        records, rejected = valid_records(dataset, lambda record: bool((~record.crowd).any()), on_error)
        model = build_classifier(settings, len(dataset.classes), seed_of(seed, "weights"))
        folder = labels_of(dataset, labels)
        identity = {
            "settings": settings.model_dump(mode="json"),
            "data": dataset.fingerprint(),
            "images": len(records),
            "seed": seed,
            "labels": None if folder is None else folder.labeling,
            "labeler": digest_of_start(settings, labeler),
        }
        missing = f"{dataset.root}: no image with boxes"
        open_run(out, identity, len(records), rejected, missing, processes, label=label_settings)
        crops = BoxCrops(records, settings, seed, folder)
        if settings.start == "labeler" and labeler is not None:
            start_from_labeler(model, dataset.classes, settings, labeler)
        elif not (out / CHECKPOINT).exists():
            model.calibrate(collate([crops[key] for key in calibration_keys(len(records), seed)]).images)
        stage = ClassifyTask(on_device(model, processes.device), settings, processes)
        loop = LoopConfig(settings.epochs, settings.batch_size, seed, settings.precision, runtime, processes)
        train(stage, crops, len(records), collate, loop, out, identity, console)
        file = out / FILE_NAME
        if processes.first:
            facts = LabelerFacts(dataset.classes, settings, label_settings, {**identity, "versions": versions()})
            save_labeler(file, model, facts)
    return file


def digest_of_start(settings: TrainingSettings, labeler: Path | None) -> str | None:
    """The digest of the labeler file that a run starts from; None where it starts from the backbone's weights.

    Raises:
        DataError: If the file cannot be read.
        SettingsError: If the settings ask for a labeler and there is none.
    """
    if settings.start == "backbone":
        return None
    if labeler is None:
        raise SettingsError("start: labeler: no labeler is given; name one, or choose start: backbone")
    return file_digest(labeler_path(labeler))


def calibration_keys(count: int, seed: int) -> list[SampleKey]:
    """Which crops of ``count`` images the statistics of the backbone's features are taken from."""
    return [(0, index) for index in shuffled(count, seed, "calibration")[:CALIBRATION_IMAGES]]
