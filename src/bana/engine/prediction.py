"""Doing a network's work on pictures without boxes: on all cores, one by one, going on where an earlier run stopped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from rich.console import Console

from bana.data.images import open_image
from bana.data.inputs import InputImage, InputImages
from bana.data.prediction_folder import ENTRIES, MANIFEST
from bana.engine.pool import each_in_order
from bana.engine.progress import StepProgress
from bana.errors import OutputError
from bana.io.faults import FaultLog, OnError, Rejected
from bana.io.files import write_json, write_text
from bana.io.locking import exclusive
from bana.io.outputs import are_written, write_outputs
from bana.io.strict_json import json_lines, read_json_object


class Predictor(Protocol):
    """A network ready to work.

    Attributes:
        facts: What the folder's ``predictions.json`` says: ``classes``, and under ``prediction`` the digest of all that
            a picture's files depend on but the picture.
    """

    @property
    def facts(self) -> dict[str, Any]:
        """As above."""

    def files(self, name: str) -> set[str]:
        """The paths, in the output folder, of a picture's files."""

    def __call__(self, name: str, image: npt.NDArray[np.uint8]) -> tuple[dict[str, bytes], dict[str, Any]]:
        """The contents of these files, and what the picture's entry says of it."""


class PredictorJob(Protocol):
    """What a process needs to make a Predictor; sent to it once."""

    def prepare(self) -> Predictor:
        """Load the network."""


@dataclass(frozen=True)
class PredictRun:
    """What a run did.

    Attributes:
        images: With labels in the folder now.
        predicted: By this run; the others were there already.
        rejected: Pictures left out.
        seconds: Wall time.
    """

    images: int
    predicted: int
    rejected: tuple[Rejected, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The run for JSON."""
        return asdict(self)


@exclusive
def predict_pictures(
    job: PredictorJob,
    pictures: InputImages,
    out: Path,
    *,
    workers: int,
    on_error: OnError = "stop",
    console: Console,
) -> PredictRun:
    """Let a network work on pictures.

    Args:
        job: The network and what is written.
        pictures: The pictures.
        out: Gets ``predictions.json`` and the files of every picture. Pictures whose files are there and intact are
            skipped.
        workers: DistContext.
        on_error: ``skip`` leaves out pictures that cannot be used, and notes them in ``rejected.jsonl``.
        console: For progress.

    Raises:
        DataError: If a picture cannot be used (``stop``).
        CheckpointError: If the network is missing or damaged.
        OutputError: If ``out`` holds predictions of another network or settings, or cannot be written.
    """
    worker = _Job(job, out)
    prepared = worker.prepare()  # a faulty network is found before any process starts
    _write_manifest(out, prepared.predictor.facts)
    faults = FaultLog(on_error)
    began = time.monotonic()
    progress = StepProgress("predicting", len(pictures), console)
    done = _Count()
    predicted = 0
    try:
        items = prepared.missing(pictures, faults, done)
        for item, result in each_in_order(worker, items, workers, prepared):
            with faults.catch(item.name):
                result()
                predicted += 1
            progress.update(done.there + predicted - 1, 1, {})
    finally:
        progress.close()
    write_text(out / "rejected.jsonl", json_lines(asdict(entry) for entry in faults.rejected()))
    seconds = round(time.monotonic() - began, 3)
    return PredictRun(done.there + predicted, predicted, faults.rejected(), seconds)


def entry_path(name: str) -> str:
    """The file, in the output folder, that says a picture is done."""
    return f"{ENTRIES}/{name}.json"


@dataclass
class _Count:
    there: int = 0


@dataclass(frozen=True)
class _Item:
    """A picture to work on: its file, or the pixels where it is a frame of a video."""

    name: str
    digest: str
    path: Path
    pixels: npt.NDArray[np.uint8] | None = field(repr=False)


@dataclass(frozen=True)
class _Prepared:
    """A network ready to work, and where its files go."""

    predictor: Predictor
    out: Path

    def __call__(self, item: _Item) -> None:
        """Work on the picture and write its files."""
        image = open_image(item.path) if item.pixels is None else item.pixels
        contents, facts = self.predictor(item.name, image)
        write_outputs(self.out, entry_path(item.name), contents, item.digest, {"picture": item.name, **facts})

    def missing(self, pictures: Iterable[InputImage], faults: FaultLog, done: _Count) -> Iterator[_Item]:
        """The pictures whose files are not there; counts the others in ``done``."""
        for picture in pictures:
            item = None
            with faults.catch(picture.name):
                digest = hashlib.sha256((self.predictor.facts["prediction"] + picture.digest()).encode()).hexdigest()
                if are_written(self.out, entry_path(picture.name), digest, self.predictor.files(picture.name)):
                    done.there += 1
                else:
                    pixels = None if picture.frame is None else picture.pixels()
                    item = _Item(picture.name, digest, picture.path, pixels)
            if item is not None:
                yield item


@dataclass(frozen=True)
class _Job:
    """What a worker process needs to prepare itself."""

    job: PredictorJob
    out: Path

    def prepare(self) -> _Prepared:
        return _Prepared(self.job.prepare(), self.out)


def _write_manifest(out: Path, facts: dict[str, Any]) -> None:
    manifest = out / MANIFEST
    if manifest.exists() and read_json_object(manifest).get("prediction") != facts["prediction"]:
        raise OutputError(f"{out}: holds predictions of another network or settings; choose another --out")
    write_json(manifest, facts, indent=2)
