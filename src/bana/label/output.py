"""The files of one labeled image, and whether they are there, intact and up to date."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from bana.data.label_folder import INSTANCES, LABELINGS, MANIFEST
from bana.data.label_maps import gray_png, label_map_png
from bana.data.masks import encode_mask
from bana.data.records import ImageRecord
from bana.errors import OutputError
from bana.io.files import write_json
from bana.io.outputs import are_written, write_outputs
from bana.io.remote import AnyPath
from bana.io.strict_json import read_json_object
from bana.label.pseudo_labels import Instance, PseudoLabels

CONFIDENCE = "confidence"


def write_manifest(out: AnyPath, content: dict[str, Any]) -> None:
    """Say what a folder's labels are of: ``labeling``, the digest of method, settings and classes, and more.

    Raises:
        DataError: If the folder's manifest is damaged.
        OutputError: If it holds labels of another labeling, or cannot be written.
    """
    manifest = out / MANIFEST
    try:
        there = manifest.exists()
    except OSError as error:
        remedy = "check the address and your permission"
        raise OutputError(f"{manifest}: cannot be looked for ({error.strerror}); {remedy}") from error
    if there and read_json_object(manifest).get("labeling") != content["labeling"]:
        raise OutputError(f"{out}: holds labels of another method, settings or classes; choose another --out")
    write_json(manifest, content, indent=2)


def input_digest(record: ImageRecord, labeling: str) -> str:
    """A hex digest of all that an image's labels depend on.

    Args:
        record: The image, whose file is read.
        labeling: The digest of labeler, settings and classes.
    """
    digest = hashlib.sha256(labeling.encode())
    digest.update(record.path.read_bytes())
    for array in (record.boxes, record.class_ids, record.crowd):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(json.dumps([record.segmentations[int(number)] for number in np.flatnonzero(record.crowd)]).encode())
    return digest.hexdigest()


def is_done(out: AnyPath, image_id: str, digest: str) -> bool:
    """Whether the image's files are all there with the content that was written, and made from this input."""
    return are_written(
        out, _entry_path(image_id), digest, {f"{each}/{image_id}.png" for each in (*LABELINGS, CONFIDENCE)}
    )


def write_labels(out: AnyPath, record: ImageRecord, labels: PseudoLabels, digest: str) -> None:
    """Write an image's label maps, confidence and instances; the instances last, for they say that all is there.

    Raises:
        OutputError: If a file cannot be written.
    """
    maps = (labels.y_crf, labels.y_ret, labels.agreed)
    contents = {
        f"{folder}/{record.image_id}.png": label_map_png(each) for folder, each in zip(LABELINGS, maps, strict=True)
    }
    contents[f"{CONFIDENCE}/{record.image_id}.png"] = gray_png(labels.confidence)
    facts = {
        "image_id": record.image_id,
        "width": record.width,
        "height": record.height,
        "instances": [_instance_entry(instance) for instance in labels.instances],
    }
    write_outputs(out, _entry_path(record.image_id), contents, digest, facts)


def _entry_path(image_id: str) -> str:
    return f"{INSTANCES}/{image_id}.json"


def _instance_entry(instance: Instance) -> dict[str, Any]:
    return {
        "class_id": instance.class_id,
        "box": [float(value) for value in instance.box],
        "status": instance.status,
        "confidence": round(instance.confidence, 6),
        "agreement": round(instance.agreement, 6),
        "filling_rate": round(instance.filling_rate, 6),
        "predicted_class": instance.predicted_class,
        "segmentation": encode_mask(instance.mask),
    }
