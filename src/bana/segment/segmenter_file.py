"""The segmenter file: what stage 3 leaves, and all that prediction needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from bana.nn.backbones import Backbone
from bana.nn.heads import ASPP, FusingHead
from bana.nn.network_file import class_names, network_path, of_this_version, read_network, rebuilt, save_network
from bana.nn.training import build_backbone, seeded
from bana.presets import parse_settings
from bana.segment.model import SegmentationNetwork
from bana.segment.settings import SegmentSettings

FILE_NAME = "segmenter.safetensors"
_KIND = "segmenter"


@dataclass(frozen=True)
class SegmenterFacts:
    """What a segmenter file says of itself.

    Attributes:
        classes: L names.
        segment: How it was trained.
        training: Facts of the training run, as plain values.
    """

    classes: tuple[str, ...]
    segment: SegmentSettings
    training: dict[str, Any]


def build_segmenter(
    settings: SegmentSettings, classes: int, seed: int, weights: str | None = None
) -> SegmentationNetwork:
    """A new network, the same one for the same seed.

    Args:
        settings: Backbone and head.
        classes: L.
        seed: Of the new layers.
        weights: Backbone weights instead of those that the settings name.

    Raises:
        SettingsError: If the backbone or its weights cannot be had.
    """
    with seeded(seed):
        backbone = build_backbone(settings, weights)
        head = _head(settings, backbone)
        width = backbone.info.channels[-1] if head is None else settings.head_width
        return SegmentationNetwork(backbone, head, width, classes)


def _head(settings: SegmentSettings, backbone: Backbone) -> nn.Module | None:
    if settings.head == "none":
        return None
    kind = ASPP if settings.head == "aspp" else FusingHead
    return kind(backbone.info.channels, settings.head_width)


def save_segmenter(path: Path, model: SegmentationNetwork, facts: SegmenterFacts) -> None:
    """Write a segmenter file. Raises OutputError if it cannot be written."""
    metadata = {
        "classes": list(facts.classes),
        "segment": facts.segment.model_dump(mode="json"),
        "training": facts.training,
    }
    save_network(path, model, _KIND, metadata)


def load_segmenter(file_or_run: Path) -> tuple[SegmentationNetwork, SegmenterFacts]:
    """Read a segmenter file, or the one in a run folder.

    Raises:
        CheckpointError: If it is missing, damaged, of another kind, or was trained on other backbone weights.
        SettingsError: If its backbone's weights cannot be had.
    """
    file = segmenter_path(file_or_run)
    tensors, metadata = read_network(file, _KIND, "bana segment")
    with of_this_version(file):
        settings = parse_settings(metadata["segment"], SegmentSettings, str(file))
        facts = SegmenterFacts(class_names(metadata), settings, dict(metadata["training"]))
    build = partial(build_segmenter, settings, len(facts.classes), 0)
    return rebuilt(build, settings, tensors, metadata, file), facts


def segmenter_path(file_or_run: Path) -> Path:
    """The segmenter file itself, or the one in a run folder of ``bana segment`` or ``bana run``."""
    return network_path(file_or_run, "segment", FILE_NAME)
