"""Training a Mask R-CNN on labels, from data set and label folder to detector file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rich.console import Console

from bana.classify.labeler_file import start_from_labeler
from bana.classify.train import digest_of_start
from bana.data.label_folder import labels_of
from bana.data.reading import valid_records
from bana.data.records import BoxDataset
from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.engine.loop import train
from bana.engine.plan import LoopConfig
from bana.engine.run_folder import open_run, run_in, versions
from bana.engine.seeds import seed_of
from bana.instance.detector_file import FILE_NAME, DetectorFacts, build_detector, save_detector
from bana.instance.samples import InstanceCrops, collate
from bana.instance.settings import InstanceSettings
from bana.instance.targets import ObjectTargets
from bana.instance.task import InstanceTask
from bana.io.faults import OnError
from bana.nn.network import on_device


def train_detector(
    dataset: BoxDataset,
    labels: Path | None,
    settings: InstanceSettings,
    out: Path,
    *,
    labeler: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    runtime: RuntimeConfig = DEFAULT_RUNTIME,
    on_error: OnError = "stop",
    console: Console,
) -> Path:
    """Train a Mask R-CNN on the boxes of a data set and the masks that these were labeled with, or their true ones.

    Args:
        dataset: Images with boxes; images without any are learned as showing no object.
        labels: A folder that ``bana label`` wrote; None: the true masks of the data set.
        settings: Of the network and its training.
        out: The run folder: ``settings.json``, ``log.jsonl``, ``checkpoint.safetensors``, ``detector.safetensors``.
        labeler: Whose backbone it starts from, if the settings ask for that.
        seed: Of everything random.
        resume: Go on with the run in ``out``; a folder with a run is refused otherwise.
        runtime: On what it computes.
        on_error: ``skip`` leaves out images that cannot be opened, and notes them in ``rejected.jsonl``.
        console: For progress.

    Returns:
        The detector file.

    Raises:
        DataError: If an image, its labels or its true mask cannot be used (``stop``), none can, or classes differ.
        CheckpointError: If the checkpoint in ``out`` is of another run, or the labeler cannot be read.
        OutputError: If ``out`` holds a run and ``resume`` is not set, or cannot be written.
        SettingsError: If the backbone, its weights or the device cannot be had.
    """
    with run_in(out, runtime, resume) as processes:
        folder = labels_of(dataset, labels)
        targets = ObjectTargets(dataset.class_table, folder)
        records, rejected = valid_records(dataset, lambda record: bool(targets.of(record)), on_error)
        identity = {
            "settings": settings.model_dump(mode="json"),
            "data": dataset.fingerprint(),
            "image_ids": hashlib.sha256("\n".join(record.image_id for record in records).encode()).hexdigest(),
            "labels": None if folder is None else folder.labeling,
            "labeler": digest_of_start(settings, labeler),
            "seed": seed,
        }
        open_run(out, identity, len(records), rejected, f"{dataset.root}: no image with masks", processes)
        model = build_detector(settings, len(dataset.classes), seed_of(seed, "weights"))
        if settings.start == "labeler" and labeler is not None:
            start_from_labeler(model, None, settings, labeler)
        stage = InstanceTask(on_device(model, processes.device), settings, processes)
        crops = InstanceCrops(records, targets, settings, seed)
        loop = LoopConfig(settings.epochs, settings.batch_size, seed, settings.precision, runtime, processes)
        train(stage, crops, len(records), collate, loop, out, identity, console)
        file = out / FILE_NAME
        if processes.first:
            facts = DetectorFacts(dataset.classes, settings, {**identity, "versions": versions()})
            save_detector(file, model, facts)
    return file
