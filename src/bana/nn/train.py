"""Training a network of any stage on a data set, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bana.data.reading import valid_records
from bana.data.records import BoxDataset
from bana.engine.checkpoint import check_same_run
from bana.engine.distributed import dist_context
from bana.engine.loop import CHECKPOINT, training_loop
from bana.engine.memory import keep_freed_memory, return_freed_memory
from bana.engine.options import RunOptions
from bana.engine.plan import LoopConfig, Samples
from bana.engine.run_folder import restore_settings, versions, write_settings
from bana.engine.seeds import seed_of, shuffled
from bana.errors import CheckpointError, DataError
from bana.io.faults import REJECTED, write_rejected
from bana.nn.heads import CalibratedHead
from bana.nn.initialization import initialization_digest
from bana.nn.network import Network, on_device
from bana.nn.network_file import NetworkFacts
from bana.nn.sampling import BalancedSamples
from bana.nn.task import Task, lines_digest

BEST = "best.safetensors"
"""The network's file with the weights of the epoch whose score was best, where a task scores epochs."""

CALIBRATION_IMAGES = 32
"""Crops from which the statistics of the backbone's features are taken."""

DEFAULT_OPTIONS = RunOptions()


def train(task: Task[Any, Any], data: BoxDataset, out: Path, run: RunOptions = DEFAULT_OPTIONS) -> Path:
    """Train a network and write its file.

    A run that was interrupted continues; one that is finished is left as it is.

    Args:
        task: What is learned; a new object.
        data: The images. Those that are of no use to the task are left out.
        out: The run folder: ``settings.json``, ``log.jsonl``, ``checkpoint.safetensors``, the network's file, and what
            the task draws and keeps.
        run: Seed, device, progress, and what is done about images that cannot be used.

    Returns:
        The network's file, with the weights after the last step.

    Raises:
        DataError: If an image, its labels or its true mask cannot be used, no image is left, or classes differ.
        CheckpointError: If ``out`` holds another run, a checkpoint or labeler is damaged, or the loss explodes.
        OutputError: If ``out`` cannot be written, or another run writes there.
        SettingsError: If the backbone, its weights or the device cannot be had.
    """
    settings, network_file = task.settings, task.network_file
    file = out / network_file.file_name
    with dist_context(out, run.runtime.device) as context:
        task.open(data)
        task.records, rejected = valid_records(data, task.is_usable, run.on_error)
        task.settings = settings = settings.for_images(task.records)
        task.seed = run.seed
        identity = _identity(task)
        stated = identity | ({"label": task.label_settings} if task.label_settings else {})
        check_same_run(out / CHECKPOINT, identity)
        if _is_finished(task, file, identity):
            if context.is_main:
                restore_settings(out, stated)
            return file
        replaced = settings.start == "labeler" and settings.train_backbone == "all"  # the labeler has all tensors
        weights = "random" if replaced else None
        model = network_file.build(settings, len(data.classes), seed_of(run.seed, "weights"), weights)
        if context.is_main:
            write_rejected(out, rejected)
        if not task.records:
            raise DataError(f"{data.root}: no image with {task.needs} is left to train on; see {out / REJECTED}")
        if context.is_main:
            write_settings(out, stated)
        keep_freed_memory()
        samples = task.samples()
        if settings.sampling == "balanced":
            samples = BalancedSamples(samples, task.records, run.seed)
        if settings.start == "labeler":
            task.start_from_labeler(model)
        elif not (out / CHECKPOINT).exists():
            _calibrate(model, samples, task)
        task.begin(on_device(model, context.device), context, out)
        config = LoopConfig(settings.epochs, settings.batch_size, run.seed, settings.precision, run.runtime, context)
        facts = NetworkFacts(data.classes, settings, {**identity, "versions": versions()}, task.label_settings)

        def save(name: str) -> None:
            if context.is_main:
                network_file.save(out / name, model, facts)

        training_loop(task, samples, config, out, identity, run.console, keep_best=lambda: save(BEST))
        save(network_file.file_name)
    return_freed_memory()
    return file


def _identity(task: Task[Any, Any]) -> dict[str, Any]:
    """All that the result depends on, as plain values; a checkpoint of another identity is of another run."""
    return {
        "settings": task.settings.model_dump(mode="json"),
        "data": task.data.fingerprint(),
        **({} if task.data.values.is_default else {"values": task.data.values.as_dict()}),
        "images": len(task.records),
        "image_ids": lines_digest(record.image_id for record in task.records),
        "labels": None if task.label_folder is None else task.label_folder.labeling,
        "labeler": initialization_digest(task.settings, task.labeler),
        "seed": task.seed,
        **task.identity(),
    }


def _is_finished(task: Task[Any, Any], file: Path, identity: dict[str, Any]) -> bool:
    """Whether a network's file is what a run of this identity has written."""
    try:
        training = task.network_file.load_facts(file).training
    except CheckpointError:
        return False
    return {name: value for name, value in training.items() if name != "versions"} == identity


def _calibrate(model: Network, samples: Samples, task: Task[Any, Any]) -> None:
    """Set a head's normalization to the statistics of the backbone's features of some crops."""
    if isinstance(model.head, CalibratedHead):
        indices = shuffled(len(samples), task.seed, "calibration")[:CALIBRATION_IMAGES]
        model.calibrate(task.collate([samples[(0, index)] for index in indices]).images)
