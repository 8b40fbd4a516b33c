"""Segmenting pictures without boxes, one label map each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap, label_map_png
from bana.data.prediction_folder import LABELS, OVERLAYS, PROBABILITIES
from bana.data.records import ClassTable
from bana.segment.segmenter import PredictSettings, Segmenter

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
class Segmenting:
    """What a process needs to segment pictures.

    The output folder gets one indexed PNG a picture in ``labels``; where asked for, one JPEG in ``overlays`` and one
    compressed numpy file with float16 ``probabilities`` (L + 1, H, W) in ``probabilities``.

    Attributes:
        segmenter: The segmenter file.
        settings: Of prediction.
        outputs: What is written beside the labels.
        device: Where the network runs; with a GPU one process is enough.
    """

    segmenter: Path
    settings: PredictSettings
    outputs: Outputs
    device: str = "cpu"

    def prepare(self) -> _Prepared:
        """Load the segmenter. Raises CheckpointError if it is missing or damaged."""
        segmenter = Segmenter.load(self.segmenter, self.settings, threads=1, device=self.device)
        settings = self.settings.model_dump(mode="json")
        digest = hashlib.sha256(self.segmenter.read_bytes())
        digest.update(json.dumps(settings, sort_keys=True).encode())
        facts = {
            "classes": list(segmenter.class_table.names),
            "ignore_index": segmenter.class_table.ignore_index,
            "settings": settings,
            "prediction": digest.hexdigest(),
        }
        return _Prepared(segmenter, self.outputs, facts)


@dataclass(frozen=True)
class _Prepared:
    segmenter: Segmenter
    outputs: Outputs
    facts: dict[str, Any]

    def files(self, name: str) -> set[str]:
        return self.outputs.files(name)

    def __call__(self, name: str, image: npt.NDArray[np.uint8]) -> tuple[dict[str, bytes], dict[str, Any]]:
        prediction = self.segmenter(image)
        contents = {f"{LABELS}/{name}.png": label_map_png(prediction.labels)}
        if self.outputs.draw is not None:
            drawn = self.outputs.draw(image, prediction.labels, self.segmenter.class_table)
            contents[f"{OVERLAYS}/{name}.jpg"] = drawn
        if self.outputs.probabilities:
            contents[f"{PROBABILITIES}/{name}.npz"] = _packed(prediction.probabilities)
        return contents, {}


def _packed(probabilities: npt.NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
    return file.getvalue()
