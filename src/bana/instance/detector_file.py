"""The detector file: what training a Mask R-CNN leaves, and all that prediction needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bana.engine.checkpoint import load_metadata
from bana.instance.heads import MaskObjective
from bana.instance.model import InstanceNetwork
from bana.instance.settings import InstanceSettings
from bana.nn.network_file import class_names, network_path, of_this_version, read_network, rebuilt, save_network
from bana.nn.training import build_backbone, seeded
from bana.presets import parse_settings

FILE_NAME = "detector.safetensors"
_KIND = "detector"


@dataclass(frozen=True)
class DetectorFacts:
    """What a detector file says of itself.

    Attributes:
        classes: L names.
        instance: How it was trained.
        training: Facts of the training run, as plain values.
    """

    classes: tuple[str, ...]
    instance: InstanceSettings
    training: dict[str, Any]


def build_detector(settings: InstanceSettings, classes: int, seed: int, weights: str | None = None) -> InstanceNetwork:
    """A new network, the same one for the same seed.

    Args:
        settings: Of the network and what it learns.
        classes: L.
        seed: Of the new layers.
        weights: Backbone weights instead of those that the settings name.

    Raises:
        SettingsError: If the backbone or its weights cannot be had.
    """
    with seeded(seed):
        backbone = build_backbone(settings, weights)
        objective = MaskObjective(settings.mask_loss, settings.gamma, settings.lam)
        return InstanceNetwork(backbone, settings.width, classes, settings.box_samples, objective)


def save_detector(path: Path, model: InstanceNetwork, facts: DetectorFacts) -> None:
    """Write a detector file. Raises OutputError if it cannot be written."""
    metadata = {
        "classes": list(facts.classes),
        "instance": facts.instance.model_dump(mode="json"),
        "training": facts.training,
    }
    save_network(path, model, _KIND, metadata)


def load_detector(file_or_run: Path) -> tuple[InstanceNetwork, DetectorFacts]:
    """Read a detector file, or the one in a run folder.

    Raises:
        CheckpointError: If it is missing, damaged, of another kind, or was trained on other backbone weights.
        SettingsError: If its backbone's weights cannot be had.
    """
    file = detector_path(file_or_run)
    tensors, metadata = read_network(file, _KIND, "bana segment --task instance")
    with of_this_version(file):
        settings = parse_settings(metadata["instance"], InstanceSettings, str(file))
        facts = DetectorFacts(class_names(metadata), settings, dict(metadata["training"]))
    build = partial(build_detector, settings, len(facts.classes), 0)
    return rebuilt(build, settings, tensors, metadata, file), facts


def is_detector(file_or_run: Path) -> bool:
    """Whether a file, or what a run folder holds, is a detector rather than another network."""
    file = detector_path(file_or_run)
    if file_or_run.is_dir():
        return file.is_file()
    return file.is_file() and load_metadata(file).get("kind") == _KIND


def detector_path(file_or_run: Path) -> Path:
    """The detector file itself, or the one in a run folder of ``bana segment --task instance``."""
    return network_path(file_or_run, "segment", FILE_NAME)
