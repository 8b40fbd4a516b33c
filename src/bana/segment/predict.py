"""Segmenting pictures without boxes: on all cores, one by one, going on where an earlier run stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from bana.data.faults import FaultLog, OnError
from bana.data.files import write_json, write_text
from bana.data.images import open_image
from bana.data.label_maps import LabelMap, label_map_png
from bana.data.outputs import are_written, write_outputs
from bana.data.prediction_folder import ENTRIES, LABELS, MANIFEST, OVERLAYS, PROBABILITIES
from bana.data.records import ClassTable, Rejected
from bana.data.sources import Picture, Pictures
from bana.data.strict_json import json_lines, read_json_object
from bana.engine.progress import StepProgress
from bana.errors import OutputError
from bana.label.pool import each_in_order
from bana.segment.segmenter import PredictSettings, Segmenter
from bana.segment.segmenter_file import segmenter_path

Draw = Callable[[npt.NDArray[np.uint8], LabelMap, ClassTable], bytes]
"""Makes a JPEG file of an image uint8 (H, W, 3) and its labels (H, W)."""


@dataclass(frozen=True)
class Outputs:
    """What is written of every picture beside its label map.

    Attributes:
        draw: Draws an overlay; a function of a module, for other processes must find it. None: no overlays.
        probabilities: Whether the classes' probabilities are written.
    """

    draw: Draw | None = None
    probabilities: bool = False

    def files(self, name: str) -> set[str]:
        """The paths, in the output folder, of the files of a picture."""
        files = {f"{LABELS}/{name}.png"}
        if self.draw is not None:
            files.add(f"{OVERLAYS}/{name}.jpg")
        if self.probabilities:
            files.add(f"{PROBABILITIES}/{name}.npz")
        return files


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


def predict_pictures(
    segmenter: Path,
    pictures: Pictures,
    out: Path,
    *,
    settings: PredictSettings | None = None,
    outputs: Outputs | None = None,
    device: str = "cpu",
    workers: int,
    on_error: OnError = "stop",
    console: Console,
) -> PredictRun:
    """Segment pictures.

    Args:
        segmenter: A segmenter file or run folder.
        pictures: The pictures.
        out: Gets ``predictions.json`` and one indexed PNG a picture in ``labels``; where asked for, one JPEG in
            ``overlays`` and one compressed numpy file with float16 ``probabilities`` (L + 1, H, W) in
            ``probabilities``. Pictures whose files are there and intact are skipped.
        settings: Of prediction; None: DeepLab's.
        outputs: What is written beside the labels.
        device: Where the network runs; with a GPU one process is enough.
        workers: Processes.
        on_error: ``skip`` leaves out pictures that cannot be used, and notes them in ``rejected.jsonl``.
        console: For progress.

    Raises:
        DataError: If a picture cannot be used (``stop``).
        LabelerError: If the segmenter is missing or damaged.
        OutputError: If ``out`` holds predictions of another segmenter or settings, or cannot be written.
    """
    job = _Job(segmenter_path(segmenter), settings or PredictSettings(), outputs or Outputs(), out, device)
    prepared = job.prepare()  # a faulty segmenter is found before any process starts
    _write_manifest(out, prepared)
    faults = FaultLog(on_error)
    began = time.monotonic()
    progress = StepProgress("predicting", len(pictures), console)
    done = _Count()
    predicted = 0
    try:
        items = prepared.missing(pictures, faults, done)
        for item, result in each_in_order(job, items, workers, prepared):
            with faults.of(item.name):
                result()
                predicted += 1
            progress.update(done.there + predicted - 1, 1, {})
    finally:
        progress.close()
    write_text(out / "rejected.jsonl", json_lines(asdict(entry) for entry in faults.rejected()))
    seconds = round(time.monotonic() - began, 3)
    return PredictRun(done.there + predicted, predicted, faults.rejected(), seconds)


@dataclass
class _Count:
    there: int = 0


@dataclass(frozen=True)
class _Item:
    """A picture to segment: its file, or the pixels where it is a frame of a video."""

    name: str
    digest: str
    path: Path
    pixels: npt.NDArray[np.uint8] | None = field(repr=False)


@dataclass(frozen=True)
class _Prepared:
    """A segmenter, and the digest of all that its predictions depend on but the picture."""

    segmenter: Segmenter
    digest: str
    outputs: Outputs
    out: Path

    def __call__(self, item: _Item) -> None:
        """Segment the picture and write its files."""
        image = open_image(item.path) if item.pixels is None else item.pixels
        prediction = self.segmenter(image)
        contents = {f"{LABELS}/{item.name}.png": label_map_png(prediction.labels)}
        if self.outputs.draw is not None:
            drawn = self.outputs.draw(image, prediction.labels, self.segmenter.class_table)
            contents[f"{OVERLAYS}/{item.name}.jpg"] = drawn
        if self.outputs.probabilities:
            contents[f"{PROBABILITIES}/{item.name}.npz"] = _packed(prediction.probabilities)
        write_outputs(self.out, _entry_path(item.name), contents, item.digest, {"picture": item.name})

    def missing(self, pictures: Iterable[Picture], faults: FaultLog, done: _Count) -> Iterator[_Item]:
        """The pictures whose files are not there; counts the others in ``done``."""
        for picture in pictures:
            item = None
            with faults.of(picture.name):
                digest = hashlib.sha256((self.digest + picture.digest()).encode()).hexdigest()
                if are_written(self.out, _entry_path(picture.name), digest, self.outputs.files(picture.name)):
                    done.there += 1
                else:
                    pixels = None if picture.frame is None else picture.pixels()
                    item = _Item(picture.name, digest, picture.path, pixels)
            if item is not None:
                yield item


@dataclass(frozen=True)
class _Job:
    """What a worker process needs to prepare itself."""

    segmenter: Path
    settings: PredictSettings
    outputs: Outputs
    out: Path
    device: str

    def prepare(self) -> _Prepared:
        segmenter = Segmenter.load(self.segmenter, self.settings, threads=1, device=self.device)
        digest = hashlib.sha256(self.segmenter.read_bytes())
        digest.update(json.dumps(self.settings.model_dump(mode="json"), sort_keys=True).encode())
        return _Prepared(segmenter, digest.hexdigest(), self.outputs, self.out)


def _write_manifest(out: Path, prepared: _Prepared) -> None:
    manifest, segmenter = out / MANIFEST, prepared.segmenter
    content = {
        "classes": list(segmenter.class_table.names),
        "ignore_index": segmenter.class_table.ignore_index,
        "settings": segmenter.settings.model_dump(mode="json"),
        "prediction": prepared.digest,
    }
    if manifest.exists() and read_json_object(manifest).get("prediction") != prepared.digest:
        raise OutputError(f"{out}: holds predictions of another segmenter or settings; choose another --out")
    write_json(manifest, content, indent=2)


def _entry_path(name: str) -> str:
    return f"{ENTRIES}/{name}.json"


def _packed(probabilities: npt.NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
    return file.getvalue()
