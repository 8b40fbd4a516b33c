"""Segment pictures without boxes, one label map each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap, label_map_png
from bana.data.pixel_values import PixelValues
from bana.data.prediction_folder import LABELS, OVERLAYS, PROBABILITIES
from bana.data.records import ClassTable
from bana.engine.prediction import Files, NamedImage, Predictor, prediction_digest
from bana.segment.model import SEGMENTER
from bana.segment.segmenter import PredictSettings, Segmenter

Draw = Callable[[npt.NDArray[np.uint8], LabelMap, ClassTable], bytes]
"""Makes a JPEG file of an image uint8 (H, W, 3) and its labels (H, W)."""


@dataclass(frozen=True)
class Outputs:
    """The files that are written for a picture in addition to its label map.

    Attributes:
        draw: Draws an overlay (default: no overlays); a module's function, since other processes must find it.
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
class Segmenting(Predictor):
    """Segments pictures.

    The output folder gets one indexed PNG per picture in ``labels``; if asked for, one JPEG in ``overlays`` and one
    compressed numpy file with float16 ``probabilities`` (L + 1, H, W) in ``probabilities``.

    Attributes:
        network: The segmenter file.
        settings: How pictures are segmented.
        outputs: What is written in addition to the labels.
        device: Where the network runs; with a GPU one process is enough.
    """

    network: Path
    settings: PredictSettings
    outputs: Outputs
    device: str = "cpu"

    @cached_property
    def segmenter(self) -> Segmenter:
        """The loaded network. Raises CheckpointError if it is missing or damaged."""
        return Segmenter.load(self.network, self.settings, threads=1, device=self.device)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of ``predictions.json``; see Predictor."""
        table, settings = self.segmenter.class_table, self.settings.model_dump(mode="json")
        return {
            "classes": list(table.names),
            "ignore_index": table.ignore_index,
            "settings": settings,
            "prediction": prediction_digest(self.network, settings),
        }

    @property
    def values(self) -> PixelValues:
        """How image files are read; see Predictor."""
        return SEGMENTER.load_facts(self.network).values

    def files(self, name: str) -> set[str]:
        """The paths, in the output folder, of a picture's files."""
        return self.outputs.files(name)

    def __call__(self, item: NamedImage) -> Files:
        """Segment a picture."""
        name, image = item
        prediction = self.segmenter(image)
        contents = {f"{LABELS}/{name}.png": label_map_png(prediction.labels)}
        if self.outputs.draw is not None:
            drawn = self.outputs.draw(image, prediction.labels, self.segmenter.class_table)
            contents[f"{OVERLAYS}/{name}.jpg"] = drawn
        if self.outputs.probabilities:
            contents[f"{PROBABILITIES}/{name}.npz"] = _packed(prediction.probabilities)
        return contents, {"foreground": float((prediction.labels > 0).mean())}


def _packed(probabilities: npt.NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
    return file.getvalue()
