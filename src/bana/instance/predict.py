"""Finding objects in pictures, and their list as COCO's results format has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.masks import encode_mask
from bana.data.prediction_folder import OVERLAYS, RESULTS
from bana.data.records import BoxDataset, ClassTable
from bana.engine.prediction import entry_path
from bana.instance.detector import Detections, Detector, DetectSettings
from bana.io.files import write_text
from bana.io.strict_json import read_json_object

Draw = Callable[[npt.NDArray[np.uint8], Detections, ClassTable], bytes]
"""Makes a JPEG file of an image uint8 (H, W, 3) and its objects."""


@dataclass(frozen=True)
class Detecting:
    """What a process needs to find objects in pictures; their entries in the output folder hold them.

    Attributes:
        detector: The detector file.
        settings: Of prediction.
        draw: Draws a JPEG for ``overlays``; a function of a module, for other processes must find it. None: no
            overlays.
        device: Where the network runs; with a GPU one process is enough.
    """

    detector: Path
    settings: DetectSettings
    draw: Draw | None = None
    device: str = "cpu"

    def prepare(self) -> _Prepared:
        """Load the detector. Raises CheckpointError if it is missing or damaged."""
        detector = Detector.load(self.detector, self.settings, self.device)
        settings = self.settings.model_dump(mode="json")
        digest = hashlib.sha256(self.detector.read_bytes())
        digest.update(json.dumps(settings, sort_keys=True).encode())
        facts = {"classes": list(detector.class_table.names), "settings": settings, "prediction": digest.hexdigest()}
        return _Prepared(detector, self.draw, facts)


@dataclass(frozen=True)
class _Prepared:
    detector: Detector
    draw: Draw | None
    facts: dict[str, Any]

    def files(self, name: str) -> set[str]:
        return set() if self.draw is None else {_overlay_path(name)}

    def __call__(self, name: str, image: npt.NDArray[np.uint8]) -> tuple[dict[str, bytes], dict[str, Any]]:
        height, width = image.shape[:2]
        found = self.detector(image)
        contents = (
            {} if self.draw is None else {_overlay_path(name): self.draw(image, found, self.detector.class_table)}
        )
        return contents, {"height": height, "width": width, "objects": _entries(found)}


def _overlay_path(name: str) -> str:
    return f"{OVERLAYS}/{name}.jpg"


def write_results(out: Path, names: Iterable[str], dataset: BoxDataset | None) -> int:
    """Write ``results.json`` from the pictures' entries; the number of objects.

    Args:
        out: The output folder.
        names: Of the pictures, those without an entry are left out.
        dataset: That the pictures are of. In a COCO one, pictures and classes have its numbers; else pictures have
            their names and classes are numbered from 1.

    Raises:
        DataError: If an entry is damaged.
        OutputError: If the file cannot be written.
    """
    numbers: Mapping[str, int | None] = {}
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
    """Objects as COCO's results format has them, but for the image."""
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
