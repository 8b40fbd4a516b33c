"""Find objects in pictures, and list them in COCO's results format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.masks import encode_mask
from bana.data.pixel_values import PixelValues
from bana.data.prediction_folder import OVERLAYS, RESULTS
from bana.data.records import BoxDataset, ClassTable
from bana.engine.prediction import Files, NamedImage, Predictor, entry_path, prediction_digest
from bana.instance.detector import Detections, Detector, DetectSettings
from bana.instance.model import DETECTOR
from bana.io.files import write_text
from bana.io.strict_json import read_json_object

Draw = Callable[[npt.NDArray[np.uint8], Detections, ClassTable], bytes]
"""Makes a JPEG file of an image uint8 (H, W, 3) and its objects."""


@dataclass(frozen=True)
class Detecting(Predictor):
    """Finds the objects in pictures; a picture's entry in the output folder holds them.

    Attributes:
        network: The detector file.
        settings: How objects are found.
        draw: Draws a JPEG for ``overlays`` (default: no overlays); a module's function, since other processes must find
            it.
        device: Where the network runs; with a GPU one process is enough.
    """

    network: Path
    settings: DetectSettings
    draw: Draw | None = None
    device: str = "cpu"

    @cached_property
    def detector(self) -> Detector:
        """The loaded network. Raises CheckpointError if it is missing or damaged."""
        return Detector.load(self.network, self.settings, self.device)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of ``predictions.json``; see Predictor."""
        names, settings = list(self.detector.class_table.names), self.settings.model_dump(mode="json")
        return {"classes": names, "settings": settings, "prediction": prediction_digest(self.network, settings)}

    @property
    def values(self) -> PixelValues:
        """How image files are read; see Predictor."""
        return DETECTOR.load_facts(self.network).values

    def files(self, name: str) -> set[str]:
        """The paths, in the output folder, of a picture's files."""
        return set() if self.draw is None else {_overlay_path(name)}

    def __call__(self, item: NamedImage) -> Files:
        """Find the objects of a picture."""
        name, image = item
        found = self.detector(image)
        contents = {}
        if self.draw is not None:
            contents[_overlay_path(name)] = self.draw(image, found, self.detector.class_table)
        height, width = image.shape[:2]
        foreground = float(found.masks.any(axis=0).mean())
        return contents, {"height": height, "width": width, "foreground": foreground, "objects": _entries(found)}


def _overlay_path(name: str) -> str:
    return f"{OVERLAYS}/{name}.jpg"


def write_results(out: Path, names: Iterable[str], dataset: BoxDataset | None) -> int:
    """Write ``results.json`` from the pictures' entries.

    Args:
        out: The output folder.
        names: The pictures; those without an entry are left out.
        dataset: The data set of the pictures. If it is in COCO format, pictures and classes get its ids; otherwise
            pictures go by their names and classes are numbered from 1.

    Returns:
        The number of objects.

    Raises:
        DataError: If an entry is damaged.
        OutputError: If the file cannot be written.
    """
    numbers: Mapping[str, int | str | None] = {}
    categories = None
    if dataset is not None and dataset.format == "coco":
        numbers = {record.image_id: record.source_id for record in dataset}
        categories = dataset.class_table.source_ids
    lines = []
    for name in names:
        file = out / entry_path(name)
        if not file.is_file():
            continue
        number = numbers.get(name)
        for each in read_json_object(file)["objects"]:
            category = each["category_id"]
            given = {
                "image_id": name if number is None else number,
                "category_id": category if categories is None else categories[category - 1],
            }
            # The box stays in the entry: evaluators would take an object's area from it, not from its mask.
            given |= {key: each[key] for key in ("score", "segmentation")}
            lines.append(json.dumps(given))
    write_text(out / RESULTS, "[" + ",\n".join(lines) + "]\n")
    return len(lines)


def _entries(found: Detections) -> list[dict[str, Any]]:
    """Objects in COCO's results format, without the image."""
    return [
        {
            "category_id": int(class_id),
            "score": round(float(score), 6),
            "bbox": [round(float(value), 3) for value in (x0, y0, x1 - x0, y1 - y0)],
            "segmentation": encode_mask(mask),
        }
        for (x0, y0, x1, y1), class_id, score, mask in zip(
            found.boxes, found.class_ids, found.scores, found.masks, strict=True
        )
    ]
