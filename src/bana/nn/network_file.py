"""Files of trained networks: the trained tensors, and what must be known to build the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from bana._version import __version__
from bana.data.pixel_values import BY_TYPE, PixelValues
from bana.engine.checkpoint import load_metadata, load_tensors, save_tensors
from bana.errors import CheckpointError, SettingsError
from bana.io.strict_json import is_text
from bana.nn.backbones import Backbone
from bana.nn.network import AnyNetwork, build_backbone, seeded
from bana.nn.settings import TrainingSettings
from bana.nn.weights import digest
from bana.presets import parse_settings

NetworkSettings = TypeVar("NetworkSettings", bound=TrainingSettings)

_PART = "/"
"""Stands between the kind of a part and the name of its tensor; names of layers have none."""


@dataclass(frozen=True)
class NetworkKind:
    """What files of one kind are called and where they lie.

    Attributes:
        name: The kind, such as ``segmenter``.
        folders: The folders of a run of ``bana run`` that may hold such a file; the first that does counts.
        command: The command that writes such files.
    """

    name: str
    folders: tuple[str, ...]
    command: str

    @property
    def file_name(self) -> str:
        """The file's name in a run folder."""
        return f"{self.name}.safetensors"

    def path(self, file_or_run: Path) -> Path:
        """The file itself, or the one in the run folder of its stage or of ``bana run``."""
        if not file_or_run.is_dir():
            return file_or_run
        whole = [file for folder in self.folders if (file := file_or_run / folder / self.file_name).is_file()]
        return whole[0] if whole else file_or_run / self.file_name

    def matches(self, file_or_run: Path) -> bool:
        """Whether a file, or what a run folder holds, is of this kind rather than of another."""
        file = self.path(file_or_run)
        return file.is_file() and (file_or_run.is_dir() or load_metadata(file).get("kind") == self.name)

    def read(self, file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors and metadata of this kind's network, in a file of its own or as a part of another's.

        Raises:
            CheckpointError: If the file is missing, damaged or has no network of this kind.
        """
        tensors, metadata = load_tensors(file)
        own = self._own(file, metadata)
        prefix = "" if own is metadata else f"{self.name}{_PART}"
        return {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix) and _PART not in name.removeprefix(prefix)
        }, own

    def read_metadata(self, file: Path) -> dict[str, Any]:
        """The metadata alone. Raises CheckpointError as ``read`` does."""
        return self._own(file, load_metadata(file))

    def is_in(self, file: Path) -> bool:
        """Whether a file has a network of this kind. Raises CheckpointError if it is missing or damaged."""
        metadata = load_metadata(file)
        return metadata.get("kind") == self.name or self.name in _parts(metadata)

    def _own(self, file: Path, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata of this kind's network: the file's, or those of a part."""
        own = metadata if metadata.get("kind") == self.name else _parts(metadata).get(self.name)
        if not isinstance(own, dict):
            raise CheckpointError(f"{file}: not a {self.name}; choose a {self.file_name} that `{self.command}` wrote")
        return own


def join_networks(whole: Path, part: Path, kind: NetworkKind, out: Path, **changes: Any) -> None:
    """Write a file of a network with another one, so that one file is all that is needed.

    Args:
        whole: The file whose kind the new one has; a part of ``kind`` that it has is replaced.
        part: A file of ``kind``.
        kind: The kind of the part.
        out: The new file; it may be ``whole``.
        changes: Metadata of the new file that differ from those of ``whole``, as plain values.

    Raises:
        CheckpointError: If a file is missing or damaged, or ``part`` has no network of ``kind``.
        OutputError: If ``out`` cannot be written.
    """
    tensors, metadata = load_tensors(whole)
    part_tensors, part_metadata = kind.read(part)
    prefix = f"{kind.name}{_PART}"
    kept = {name: value for name, value in tensors.items() if not name.startswith(prefix)}
    joined = kept | {prefix + name: value for name, value in part_tensors.items()}
    save_tensors(out, joined, metadata | changes | {"parts": _parts(metadata) | {kind.name: part_metadata}})


def copy_network(file: Path, out: Path, **changes: Any) -> None:
    """Copy a file with all its networks, and other metadata for some.

    Raises:
        CheckpointError: If the file is missing or damaged.
        OutputError: If ``out`` cannot be written.
    """
    tensors, metadata = load_tensors(file)
    save_tensors(out, tensors, metadata | changes)


def _parts(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata of the networks that a file has beside its own, by their kind."""
    parts = metadata.get("parts", {})
    return parts if isinstance(parts, dict) else {}


@dataclass(frozen=True)
class NetworkFacts(Generic[NetworkSettings]):
    """What a network's file says of it.

    Attributes:
        classes: The L names of its classes.
        settings: How it was built and trained.
        training: Facts of the training run, as plain values.
        label: A labeler's settings of labeling, as plain values; empty for other networks.
    """

    classes: tuple[str, ...]
    settings: NetworkSettings
    training: dict[str, Any] = field(default_factory=dict)
    label: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> PixelValues:
        """How the image files were read that the network learned from.

        Raises:
            DataError: If the file says something else there.
        """
        values = self.training.get("values")
        return PixelValues.parse(values, "values") if values else BY_TYPE


@dataclass(frozen=True)
class NetworkFile(NetworkKind, Generic[AnyNetwork, NetworkSettings]):
    """How networks of one kind are built, saved and loaded; a stage declares one.

    Attributes:
        section: The name under which the settings are saved.
        settings: The type of the settings.
        create: Makes a network of a backbone, settings and the number of classes L.
    """

    section: str
    settings: type[NetworkSettings]
    create: Callable[[Backbone, NetworkSettings, int], AnyNetwork]

    def build(self, settings: NetworkSettings, classes: int, seed: int, weights: str | None = None) -> AnyNetwork:
        """A new network, the same one for the same seed.

        Args:
            settings: Backbone, head, and what else the kind has.
            classes: L.
            seed: Random seed of the new layers.
            weights: Backbone weights to use instead of those that the settings name.

        Raises:
            SettingsError: If the backbone or its weights cannot be had.
        """
        with seeded(seed):
            return self.create(build_backbone(settings, weights), settings, classes)

    def save(self, file: Path, network: AnyNetwork, facts: NetworkFacts[NetworkSettings]) -> None:
        """Write the trained tensors, matrices and kernels in half precision, and the facts.

        Frozen tensors of the backbone are not written, but recognized by their digest.

        Raises:
            OutputError: If the file cannot be written.
        """
        metadata = {
            "kind": self.name,
            "version": __version__,
            "backbone_digest": digest(network.frozen_state()),
            "classes": list(facts.classes),
            self.section: facts.settings.model_dump(mode="json"),
            "training": facts.training,
        }
        tensors = {name: value.half() if value.ndim > 1 else value for name, value in network.trained_state().items()}
        save_tensors(file, tensors, metadata | ({"label": facts.label} if facts.label else {}))

    def load(self, file_or_run: Path) -> tuple[AnyNetwork, NetworkFacts[NetworkSettings]]:
        """Read a file, or the one in a run folder; the network is switched to inference.

        Raises:
            CheckpointError: If it is missing, damaged, of another kind, or was trained on other backbone weights.
            SettingsError: If its backbone's weights cannot be had.
        """
        file = self.path(file_or_run)
        tensors, metadata = self.read(file)
        facts = self._facts(file, metadata)
        weights = "random" if facts.settings.train_backbone == "all" else None
        network = self.build(facts.settings, len(facts.classes), 0, weights)
        check_backbone(file, metadata, network.frozen_state(), facts.settings)
        network.load_trained_state(tensors, str(file))
        return network.eval(), facts

    def load_facts(self, file_or_run: Path) -> NetworkFacts[NetworkSettings]:
        """The facts alone. Raises CheckpointError if the file is missing, damaged or of another kind."""
        file = self.path(file_or_run)
        return self._facts(file, self.read_metadata(file))

    def _facts(self, file: Path, metadata: dict[str, Any]) -> NetworkFacts[NetworkSettings]:
        with readable_facts(file):
            settings = parse_settings(metadata[self.section], self.settings, str(file))
            training, label = dict(metadata["training"]), dict(metadata.get("label", {}))
            return NetworkFacts(class_names(metadata), settings, training, label)


@contextmanager
def readable_facts(file: Path) -> Iterator[None]:
    """Within this block a file's metadata is read; what is missing or not allowed there is a CheckpointError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(
            f"{file}: of another version of bana ({error}); train again, or install that one"
        ) from error


def class_names(metadata: dict[str, Any]) -> tuple[str, ...]:
    """The L names of a file's classes. Raises KeyError or TypeError if it has none, or something else."""
    names = metadata["classes"]
    if not isinstance(names, list) or not all(isinstance(name, str) and is_text(name) for name in names):
        raise TypeError("its classes are not a list of names")
    return tuple(names)


def check_backbone(file: Path, metadata: dict[str, Any], frozen: dict[str, Tensor], settings: TrainingSettings) -> None:
    """Raise CheckpointError if the frozen tensors at hand are not those that a file's network was trained on."""
    if digest(frozen) != metadata.get("backbone_digest"):
        raise CheckpointError(f"{file}: trained on other weights of {settings.backbone}; install those, or train again")
