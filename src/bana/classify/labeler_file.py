"""The labeler file: what training a box classifier leaves, and all that labelling needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from bana._version import __version__
from bana.classify.model import BoxClassifier
from bana.classify.settings import ClassifySettings
from bana.engine.checkpoint import load_metadata, load_tensors, save_tensors
from bana.errors import LabelerError, SettingsError
from bana.nn.backbones import create_backbone
from bana.nn.weights import digest
from bana.presets import parse_settings

FILE_NAME = "labeler.safetensors"
_KIND = "labeler"


@dataclass(frozen=True)
class LabelerFacts:
    """What a labeler file says of itself.

    Attributes:
        classes: L names.
        classify: How it was trained.
        label: The settings of labelling, as plain values.
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
    # The caller's random numbers stay as they are, and a caller's inference mode is none of the network's.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        torch.manual_seed(seed)
        backbone = create_backbone(settings.backbone, weights or settings.backbone_weights)
        if (settings.crop - 1) % backbone.info.multiple:
            raise SettingsError(
                f"crop: {settings.crop} is not a multiple of {backbone.info.multiple} plus 1, as {settings.backbone} "
                "needs"
            )
        backbone.train_only(settings.train_backbone)
        return BoxClassifier(backbone, classes, settings.head_width)


def save_labeler(path: Path, model: BoxClassifier, facts: LabelerFacts) -> None:
    """Write a labeler file, matrices and kernels in half precision.

    What was not trained of the backbone is not in it, but recognised by its digest.
    """
    metadata = {
        "kind": _KIND,
        "version": __version__,
        "classes": list(facts.classes),
        "classify": facts.classify.model_dump(mode="json"),
        "label": facts.label,
        "training": facts.training,
        "backbone_digest": digest(model.given_state()),
    }
    tensors = {name: value.half() if value.ndim > 1 else value for name, value in model.own_state().items()}
    save_tensors(path, tensors, metadata)


def load_classifier(file_or_run: Path) -> tuple[BoxClassifier, LabelerFacts]:
    """Read a labeler file, or the one in a run folder.

    Raises:
        LabelerError: If it is missing, damaged, of another kind, or was trained on other backbone weights.
        SettingsError: If its backbone's weights cannot be had.
    """
    file = labeler_path(file_or_run)
    tensors, metadata = load_tensors(file)
    facts = _facts(file, metadata)
    settings = facts.classify
    weights = "random" if settings.train_backbone == "all" else None
    model = build_classifier(settings, len(facts.classes), seed=0, weights=weights)
    if digest(model.given_state()) != metadata.get("backbone_digest"):
        raise LabelerError(f"{file}: trained on other weights of {settings.backbone}; install those, or train again")
    model.load_own_state(tensors, str(file))
    return model.eval(), facts


def load_facts(file_or_run: Path) -> LabelerFacts:
    """What a labeler file says of itself. Raises LabelerError if it is missing, damaged or of another kind."""
    file = labeler_path(file_or_run)
    return _facts(file, load_metadata(file))


def _facts(file: Path, metadata: dict[str, Any]) -> LabelerFacts:
    if metadata.get("kind") != _KIND:
        raise LabelerError(f"{file}: not a labeler; choose a {FILE_NAME} that `bana classify` wrote")
    try:
        settings = parse_settings(metadata["classify"], ClassifySettings, str(file))
        return LabelerFacts(tuple(metadata["classes"]), settings, metadata["label"], metadata["training"])
    except (KeyError, TypeError, SettingsError) as error:
        raise LabelerError(f"{file}: of another version of bana ({error}); train again, or install that one") from error


def labeler_path(file_or_run: Path) -> Path:
    """The labeler file itself, or the one in a run folder."""
    return file_or_run / FILE_NAME if file_or_run.is_dir() else file_or_run


def pretrained_path() -> Path:
    """The labeler that comes with bana."""
    return Path(str(files("bana.label") / "pretrained" / FILE_NAME))
