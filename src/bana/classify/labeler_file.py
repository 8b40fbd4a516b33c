"""The labeler file: what training a box classifier leaves, and all that labeling needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from bana.classify.model import BoxClassifier
from bana.classify.settings import ClassifySettings
from bana.errors import SettingsError
from bana.nn.network import Network
from bana.nn.network_file import (
    class_names,
    network_path,
    of_this_version,
    read_network,
    read_network_facts,
    rebuilt,
    save_network,
)
from bana.nn.training import TrainingSettings, build_backbone, seeded
from bana.nn.weights import digest
from bana.presets import parse_settings

FILE_NAME = "labeler.safetensors"
_KIND = "labeler"
_COMMAND = "bana classify"


@dataclass(frozen=True)
class LabelerFacts:
    """What a labeler file says of itself.

    Attributes:
        classes: L names.
        classify: How it was trained.
        label: The settings of labeling, as plain values.
        training: Facts of the training run, as plain values.
    """

    classes: tuple[str, ...]
    classify: ClassifySettings
    label: dict[str, Any]
    training: dict[str, Any]


def build_classifier(settings: ClassifySettings, classes: int, seed: int, weights: str | None = None) -> BoxClassifier:
    """A new classifier, the same one for the same seed.

    Args:
        settings: Backbone and head.
        classes: L.
        seed: Of the new layers.
        weights: Backbone weights instead of those that the settings name.

    Raises:
        SettingsError: If the backbone or its weights cannot be had.
    """
    with seeded(seed):
        return BoxClassifier(build_backbone(settings, weights), classes, settings.head_width)


def save_labeler(path: Path, model: BoxClassifier, facts: LabelerFacts) -> None:
    """Write a labeler file. Raises OutputError if it cannot be written."""
    metadata = {
        "classes": list(facts.classes),
        "classify": facts.classify.model_dump(mode="json"),
        "label": facts.label,
        "training": facts.training,
    }
    save_network(path, model, _KIND, metadata)


def load_classifier(file_or_run: Path) -> tuple[BoxClassifier, LabelerFacts]:
    """Read a labeler file, or the one in a run folder.

    Raises:
        CheckpointError: If it is missing, damaged, of another kind, or was trained on other backbone weights.
        SettingsError: If its backbone's weights cannot be had.
    """
    file = labeler_path(file_or_run)
    tensors, metadata = read_network(file, _KIND, _COMMAND)
    facts = _facts(file, metadata)
    build = partial(build_classifier, facts.classify, len(facts.classes), 0)
    return rebuilt(build, facts.classify, tensors, metadata, file), facts


def load_facts(file_or_run: Path) -> LabelerFacts:
    """What a labeler file says of itself. Raises CheckpointError if it is missing, damaged or of another kind."""
    file = labeler_path(file_or_run)
    return _facts(file, read_network_facts(file, _KIND, _COMMAND))


def _facts(file: Path, metadata: dict[str, Any]) -> LabelerFacts:
    with of_this_version(file):
        settings = parse_settings(metadata["classify"], ClassifySettings, str(file))
        return LabelerFacts(class_names(metadata), settings, dict(metadata["label"]), dict(metadata["training"]))


@torch.no_grad()
def start_from_labeler(
    network: Network, classes: tuple[str, ...] | None, settings: TrainingSettings, labeler: Path
) -> None:
    """Give a network the layers of a trained box classifier, and the weights of the classes that it knows by name.

    Args:
        network: What it has of the backbone and of the head is set.
        classes: The L names of its classes; None for a network whose classes have no weight vectors.
        settings: That it was built from.
        labeler: A labeler file or run folder.

    Raises:
        CheckpointError: If the labeler is missing or damaged.
        SettingsError: If it has another backbone, trained other layers of it, or has another head.
    """
    classifier, facts = load_classifier(labeler)
    theirs = facts.classify
    if theirs.backbone != settings.backbone or settings.train_backbone not in {"all", theirs.train_backbone}:
        raise SettingsError(
            f"{labeler}: has the backbone {theirs.backbone} with {theirs.train_backbone} layers trained, but the "
            f"settings ask for {settings.backbone} and {settings.train_backbone}; choose those, or start: backbone"
        )
    if settings.train_backbone != "all" and digest(classifier.frozen_state()) != digest(network.frozen_state()):
        raise SettingsError(
            f"{labeler}: was trained on other weights of {settings.backbone}; set backbone_weights alike, or start: "
            "backbone"
        )
    state, own = (
        {name: value for name, value in each.state_dict().items() if name.startswith(("backbone.", "head."))}
        for each in (classifier, network)
    )
    shapes = {name: value.shape for name, value in state.items()}
    wrong = [name for name in own if shapes.get(name) != own[name].shape]
    if wrong:
        raise SettingsError(
            f"{labeler}: its head is {theirs.head_width} channels wide; set head and head_width alike ({wrong[0]} "
            "differs), or start: backbone"
        )
    network.load_state_dict(state, strict=False)
    known = {name: number for number, name in enumerate(("", *facts.classes))}
    for number, name in enumerate(() if classes is None else ("", *classes)):
        if name in known:
            network.class_weights[number] = classifier.class_weights[known[name]]


def labeler_path(file_or_run: Path) -> Path:
    """The labeler file itself, or the one in a run folder of ``bana classify`` or ``bana run``."""
    return network_path(file_or_run, "classify", FILE_NAME)


def pretrained_path() -> Path:
    """The labeler that comes with bana."""
    return Path(str(files("bana.label") / "pretrained" / FILE_NAME))
