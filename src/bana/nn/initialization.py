"""Starting a network's training from a labeler, or from its backbone's weights."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict
from torch import Tensor

from bana.errors import SettingsError
from bana.io.files import file_digest
from bana.nn.network import Network, build_backbone, seeded
from bana.nn.network_file import NetworkKind, check_backbone, class_names, readable_facts
from bana.nn.settings import TrainingSettings, Width
from bana.nn.weights import digest
from bana.presets import parse_settings

LABELER_KIND = NetworkKind("labeler", ("labeler", "refine", "classify"), "bana classify")


class _LabelerSettings(TrainingSettings):
    """What must be known of a labeler to take its layers."""

    model_config = ConfigDict(extra="ignore")
    head_width: Width | None = None


def pretrained_path() -> Path:
    """The labeler that comes with bana."""
    return Path(str(files("bana") / "label" / "pretrained" / LABELER_KIND.file_name))


def initialization_digest(settings: TrainingSettings, labeler: Path | None) -> str | None:
    """The digest of the labeler file that a run starts from; None where it starts from the backbone's weights.

    Args:
        settings: Of the training.
        labeler: A labeler file or run folder (default: bana's own).

    Raises:
        DataError: If the file cannot be read.
    """
    return None if settings.start == "backbone" else file_digest(LABELER_KIND.path(labeler or pretrained_path()))


@torch.no_grad()
def start_from_labeler(
    network: Network, classes: tuple[str, ...], settings: TrainingSettings, labeler: Path | None
) -> None:
    """Give a network the layers of a labeler, and the weights of the classes that both know by name.

    Args:
        network: Its backbone is set; so are its head and its ``class_weights``, if it has such.
        classes: The L names of its classes.
        settings: The settings it was built from.
        labeler: A labeler file or run folder (default: bana's own).

    Raises:
        CheckpointError: If the labeler is missing or damaged.
        SettingsError: If it has another backbone, trained other layers of it, or has another head.
    """
    file = LABELER_KIND.path(labeler or pretrained_path())
    tensors, metadata = LABELER_KIND.read(file)
    with readable_facts(file):
        theirs = parse_settings(metadata["classify"], _LabelerSettings, str(file))
        their_classes, weights = class_names(metadata), tensors["classifier.weight"]
        if len(weights) != len(their_classes) + 1:
            raise ValueError("its classes are not those of its weights")
    if theirs.backbone != settings.backbone or settings.train_backbone not in {"all", theirs.train_backbone}:
        raise SettingsError(
            f"{file}: has the backbone {theirs.backbone} with {theirs.train_backbone} layers trained, but the settings "
            f"ask for {settings.backbone} and {settings.train_backbone}; choose those, or start: backbone"
        )
    tensors |= _frozen_tensors(file, metadata, theirs, settings, network)
    layers = {name: value for name, value in tensors.items() if name.startswith(("backbone.", "head."))}
    _check_layers(file, layers, network, theirs)
    network.load_state_dict(layers, strict=False)
    if hasattr(network, "class_weights"):
        numbers = {name: number for number, name in enumerate(("", *their_classes))}
        for number, name in enumerate(("", *classes)):
            if name in numbers:
                network.class_weights[number] = weights[numbers[name]]


def _frozen_tensors(
    file: Path, metadata: dict[str, Any], theirs: _LabelerSettings, settings: TrainingSettings, network: Network
) -> dict[str, Tensor]:
    """The labeler's frozen tensors, which its file lacks, where the network does not have the same ones already."""
    if settings.train_backbone == "all":
        frozen = {}
        if theirs.train_backbone != "all":
            with seeded(0):
                frozen = Network(build_backbone(theirs), None).frozen_state()
        check_backbone(file, metadata, frozen, theirs)
        return frozen
    if digest(network.frozen_state()) != metadata.get("backbone_digest"):
        raise SettingsError(
            f"{file}: was trained on other weights of {settings.backbone}; set backbone_weights alike, or start: "
            "backbone"
        )
    return {}


def _check_layers(file: Path, layers: dict[str, Tensor], network: Network, theirs: _LabelerSettings) -> None:
    """Raise SettingsError if a labeler lacks a layer of the network that training changes, or has another shape."""
    needed = {name: value for name, value in network.trained_state().items() if name.startswith(("backbone.", "head."))}
    wrong = [name for name, value in needed.items() if name not in layers or layers[name].shape != value.shape]
    if wrong:
        raise SettingsError(
            f"{file}: its head is {theirs.head_width} channels wide; set head and head_width alike ({wrong[0]} "
            "differs), or start: backbone"
        )
