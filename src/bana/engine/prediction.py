"""Run a network on pictures without boxes, on all cores; an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from bana.data.images import open_image
from bana.data.inputs import InputImages
from bana.data.pixel_values import PixelValues
from bana.data.prediction_folder import ENTRIES, MANIFEST
from bana.engine.pool import Worker, map_in_order
from bana.engine.progress import SILENT, StepProgress
from bana.errors import OutputError
from bana.io.faults import FaultLog, OnError, Rejected, write_rejected
from bana.io.files import write_json
from bana.io.locking import exclusive
from bana.io.outputs import are_written, write_outputs
from bana.io.strict_json import read_json_object

NamedImage = tuple[str, npt.NDArray[np.uint8]]
"""A picture's name and its pixels, uint8 (H, W, 3)."""

Files = tuple[dict[str, bytes], dict[str, Any]]
"""The files made of a picture, by their path in the output folder, and what the picture's entry says.

The entry has ``foreground``, the share of pixels on an object, 0..1.
"""

NEARLY_EMPTY = 0.001
"""Share of pixels on an object below which a result counts as nearly empty."""


class Predictor(Worker[NamedImage, Files]):
    """A worker that makes the files of a picture with a network."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """The content of ``predictions.json``: ``classes``, and more.

        ``prediction`` is the digest of everything that the files depend on except the picture.

        Raises:
            CheckpointError: If the network is missing or damaged.
        """

    @property
    @abstractmethod
    def values(self) -> PixelValues:
        """How image files are read: as those that the network learned from.

        Raises:
            CheckpointError: If the network is missing or damaged.
        """

    @abstractmethod
    def files(self, name: str) -> set[str]:
        """The paths, in the output folder, of a picture's files."""


def prediction_digest(network: Path, settings: dict[str, Any]) -> str:
    """The digest of a network's file and of the settings it is used with."""
    return hashlib.sha256(network.read_bytes() + json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class PredictRun:
    """The result of a run.

    Attributes:
        images: Number of images with predictions in the folder.
        predicted: Number of images predicted by this run; the others were there already.
        nearly_empty: Number of all images with objects on less than NEARLY_EMPTY of their pixels.
        rejected: Images that were left out.
        seconds: Wall time.
    """

    images: int
    predicted: int
    nearly_empty: int
    rejected: tuple[Rejected, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The run as plain values for JSON."""
        return asdict(self)


@exclusive
def predict_pictures(
    predictor: Predictor,
    pictures: InputImages,
    out: Path,
    *,
    workers: int,
    on_error: OnError = "stop",
    console: Console = SILENT,
) -> PredictRun:
    """Run a network on pictures.

    Args:
        predictor: The network, and what is written.
        pictures: The pictures.
        out: Gets ``predictions.json`` and the files of every picture. InputImages whose files are there and intact are
            skipped.
        workers: Number of processes.
        on_error: ``skip`` leaves out pictures that cannot be used and lists them in ``rejected.jsonl``.
        console: Where progress is shown.

    Raises:
        DataError: If a picture cannot be used (``stop``).
        CheckpointError: If the network is missing or damaged.
        OutputError: If ``out`` holds predictions of another network or settings, or cannot be written.
    """
    _write_manifest(out, predictor.facts)  # a faulty network is found before any process starts
    faults = FaultLog(on_error)
    began = time.monotonic()
    missing = _Missing(predictor, pictures, out, faults)
    predicted = nearly_empty = 0
    with closing(StepProgress("predicting", len(pictures), console)) as progress:
        for item, result in map_in_order(_PictureWorker(predictor, out), missing, workers):
            with faults.catch(item.name):
                nearly_empty += result() < NEARLY_EMPTY
                predicted += 1
            progress.update(missing.kept + predicted - 1, 1, {})
    write_rejected(out, faults.rejected())
    seconds = round(time.monotonic() - began, 3)
    nearly_empty += missing.nearly_empty
    return PredictRun(missing.kept + predicted, predicted, nearly_empty, faults.rejected(), seconds)


def entry_path(name: str) -> str:
    """The file, in the output folder, that says a picture is done."""
    return f"{ENTRIES}/{name}.json"


@dataclass(frozen=True)
class _Item:
    """A picture to work on: its file, or its pixels if it is a frame of a video."""

    name: str
    digest: str
    path: Path
    values: PixelValues
    pixels: npt.NDArray[np.uint8] | None = field(repr=False)


@dataclass
class _Missing:
    """The pictures whose files are not there; ``kept`` counts the others, ``nearly_empty`` some of these."""

    predictor: Predictor
    pictures: InputImages
    out: Path
    faults: FaultLog
    kept: int = 0
    nearly_empty: int = 0

    def __iter__(self) -> Iterator[_Item]:
        prediction = self.predictor.facts["prediction"]
        for picture in self.pictures:
            item = None
            with self.faults.catch(picture.name):
                digest = hashlib.sha256((prediction + picture.digest()).encode()).hexdigest()
                if are_written(self.out, entry_path(picture.name), digest, self.predictor.files(picture.name)):
                    self.kept += 1
                    entry = read_json_object(self.out / entry_path(picture.name))
                    self.nearly_empty += entry.get("foreground", 1.0) < NEARLY_EMPTY  # earlier versions did not say
                else:
                    pixels = None if picture.frame is None else picture.pixels()
                    item = _Item(picture.name, digest, picture.path, picture.values, pixels)
            if item is not None:
                yield item


@dataclass(frozen=True)
class _PictureWorker(Worker[_Item, float]):
    """Writes a picture's files; returns the share of its pixels on an object."""

    predictor: Predictor
    out: Path

    def __call__(self, item: _Item) -> float:
        image = open_image(item.path, item.values) if item.pixels is None else item.pixels
        contents, facts = self.predictor((item.name, image))
        write_outputs(self.out, entry_path(item.name), contents, item.digest, {"picture": item.name, **facts})
        return float(facts["foreground"])


def _write_manifest(out: Path, facts: dict[str, Any]) -> None:
    manifest = out / MANIFEST
    if manifest.exists() and read_json_object(manifest).get("prediction") != facts["prediction"]:
        raise OutputError(f"{out}: holds predictions of another network or settings; choose another --out")
    write_json(manifest, facts, indent=2)
