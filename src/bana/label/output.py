"""The folder of labels: its manifest, and the files of each image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from bana.data.label_folder import INSTANCES, LABELINGS, MANIFEST
from bana.data.label_maps import gray_png, label_map_png
from bana.data.masks import encode_part
from bana.data.mirror import Images
from bana.data.records import ClassTable, ImageRecord
from bana.data.videos import TrackId, video_digest
from bana.errors import DataError, OutputError
from bana.io.files import write_json
from bana.io.outputs import are_written, write_outputs
from bana.io.remote import AnyPath
from bana.io.strict_json import read_json_object

if TYPE_CHECKING:
    from bana.label.pseudo_labels import Instance, PseudoLabels

CONFIDENCE = "confidence"
"""The folder of confidence maps."""

_CHUNK = 2**20
"""Bytes of an image's file to read at a time."""


def labeling_digest(facts: Mapping[str, Any], classes: tuple[str, ...]) -> str:
    """A hex digest of everything that labels depend on except the images: the method's facts and the classes."""
    return hashlib.sha256(json.dumps([facts, classes], sort_keys=True).encode()).hexdigest()


def manifest_of(facts: Mapping[str, Any], table: ClassTable, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The content of ``labels.json``: classes, method, as ``labeling`` the digest of both, and the data set.

    Args:
        facts: The method's, as MethodChoice.facts returns them.
        table: The classes.
        data: The ``root`` and ``format`` of the data set (default: the labels are of no data set).
    """
    manifest = {
        "classes": list(table.names),
        "ignore_index": table.ignore_index,
        "method": facts,
        "labeling": labeling_digest(facts, table.names),
    }
    return manifest if data is None else manifest | {"data": dict(data)}


def write_manifest(out: AnyPath, content: dict[str, Any], *, has_moved: Callable[[], bool] = lambda: False) -> None:
    """Write ``labels.json``, the content that ``manifest_of`` returns.

    Args:
        out: The folder of labels.
        content: Its new manifest.
        has_moved: Whether a data set of the same format at another place is the one that the folder labels.

    Raises:
        DataError: If the folder's manifest is damaged.
        OutputError: If the folder holds labels of another labeling or data set, or cannot be written.
    """
    manifest = out / MANIFEST
    try:
        there = manifest.exists()
    except OSError as error:
        remedy = "check the address and your permission"
        raise OutputError(f"{manifest}: cannot be looked for ({error.strerror}); {remedy}") from error
    before = read_json_object(manifest) if there else content
    if before.get("labeling") != content["labeling"]:
        raise OutputError(f"{out}: holds labels of another method, settings or classes; choose another --out")
    check_data(before, content, out, has_moved)
    write_json(manifest, content, indent=2)


def check_data(
    before: Mapping[str, Any], content: Mapping[str, Any], out: AnyPath, has_moved: Callable[[], bool]
) -> None:
    """Raise OutputError if the manifest before and the new one name different data sets; see write_manifest."""
    theirs, ours = before.get("data"), content.get("data")
    if not isinstance(theirs, dict) or ours is None or theirs == ours:
        return
    if theirs.get("format") == ours["format"] and has_moved():
        return
    names = " and not ".join(f"{each.get('root')} ({each.get('format')})" for each in (theirs, ours))
    remedy = f"choose another folder, or if the data set has moved, delete {MANIFEST} there and run again"
    raise OutputError(f"{out}: holds labels of {names}; {remedy}")


def input_digest(record: ImageRecord, labeling: str) -> str:
    """A hex digest of everything that an image's labels depend on.

    Args:
        record: The image, whose file is read.
        labeling: The digest of method, settings and classes.

    Raises:
        DataError: If the image cannot be read.
    """
    digest = hashlib.sha256(labeling.encode())
    for chunk in _content(record):
        digest.update(chunk)
    for array in (record.boxes, record.class_ids, record.crowd, record.ignored):
        digest.update(np.ascontiguousarray(array).tobytes())
    if not record.values.is_default:
        digest.update(str(record.values).encode())
    for more in (record.oriented, record.track_ids, record.points and ["points", record.points]):
        if more:
            digest.update(json.dumps(more).encode())
    digest.update(json.dumps([record.segmentations[int(number)] for number in np.flatnonzero(record.crowd)]).encode())
    return digest.hexdigest()


def _content(record: ImageRecord) -> Iterator[bytes]:
    """The bytes of the image file, by parts; of a frame of a video file, this file's digest and the frame's number."""
    if record.is_in_video and record.frame is not None:
        yield f"{video_digest(record.path)}#{record.frame.number}".encode()
        return
    try:
        with record.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise DataError(f"{record.path}: image cannot be read ({error.strerror}); restore the file") from error


def is_done(out: AnyPath, image_id: str, digest: str) -> bool:
    """Whether the image's files are all there with the content that was written, and made from this input."""
    maps = {f"{folder}/{image_id}.png" for folder in (*LABELINGS, CONFIDENCE)}
    return are_written(out, _entry_path(image_id), digest, maps)


def labels_any(
    out: AnyPath, records: Iterable[ImageRecord], digest: Callable[[ImageRecord], str], images: Images = nullcontext
) -> bool:
    """Whether the folder has labels of one of the images, made from the image as it is now.

    Args:
        out: The folder of labels.
        records: The images.
        digest: A digest of everything that an image's labels depend on.
        images: Fetches a record's image where records do not name files of this machine.
    """
    for record in records:
        if (out / _entry_path(record.image_id)).exists():
            with suppress(DataError), images(record) as here:  # an image that cannot be read tells nothing
                if is_done(out, record.image_id, digest(here)):
                    return True
    return False


def write_labels(
    out: AnyPath, image_id: str, labels: PseudoLabels, digest: str, track_ids: Sequence[TrackId | None] = ()
) -> None:
    """Write an image's label maps, its confidence, and last its instances, which say that all is there.

    Args:
        out: The folder of labels.
        image_id: The image.
        labels: Its labels.
        digest: What its labels depend on, as ``input_digest`` gives it.
        track_ids: K ids of tracks that the instances are of, or None; empty where none is of one.

    Raises:
        OutputError: If a file cannot be written.
    """
    maps = zip(LABELINGS, (labels.y_crf, labels.y_ret, labels.agreed), strict=True)
    contents = {f"{folder}/{image_id}.png": label_map_png(each) for folder, each in maps}
    contents[f"{CONFIDENCE}/{image_id}.png"] = gray_png(labels.confidence)
    height, width = labels.y_crf.shape
    instances = [_instance_entry(instance) for instance in labels.instances]
    for entry, track_id in zip(instances, track_ids, strict=bool(track_ids)):
        entry["track_id"] = track_id
    facts = {"image_id": image_id, "width": width, "height": height, "instances": instances}
    write_outputs(out, _entry_path(image_id), contents, digest, facts)


def _entry_path(image_id: str) -> str:
    return f"{INSTANCES}/{image_id}.json"


def _instance_entry(instance: Instance) -> dict[str, Any]:
    expected, tight = instance.expected_iou, instance.tight_box
    return {
        "class_id": instance.class_id,
        "box": [float(value) for value in instance.box],
        "status": instance.status,
        "confidence": round(instance.confidence, 6),
        "agreement": round(instance.agreement, 6),
        "filling_rate": round(instance.filling_rate, 6),
        "expected_iou": None if expected is None else round(expected, 6),
        "predicted_class": instance.predicted_class,
        "tight_box": None if tight is None else tight.tolist(),
        "segmentation": encode_part(instance.place, instance.part, instance.size),
    }
