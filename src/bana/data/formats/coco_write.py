"""Writing COCO."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from bana.data.masks import encode_mask, polygons_of
from bana.data.records import ClassTable, ImageRecord
from bana.data.segmentations import Segmentation
from bana.data.simplify import EXACT, Simplification
from bana.data.truth import object_areas, object_masks
from bana.data.videos import VideoFrame
from bana.data.writing import DIFFICULT, LABEL_MAPS, ImageMode, WriteReport, write_image
from bana.io.files import atomic_file


class _Numbers:
    """Ids that are each given once: the wanted one where it is free, else the next free one."""

    def __init__(self) -> None:
        self._given: set[int | str] = set()
        self._next = 1

    def give(self, wanted: int | str | None) -> int | str:
        if wanted is None or wanted in self._given:
            while self._next in self._given:
                self._next += 1
            wanted = self._next
        self._given.add(wanted)
        return wanted


def write(
    records: Iterable[ImageRecord],
    classes: ClassTable,
    out: Path,
    split: str,
    *,
    images: ImageMode = "copy",
    simplify: Simplification = EXACT,
    polygons: bool = False,
) -> WriteReport:
    """Write ``annotations/instances_<split>.json`` and the images in a folder ``<split>``.

    Frames of videos and tracks are written in the manner of COCO-VID: a list ``videos``, images with ``video_id`` and
    ``frame_id`` from 0, annotations with ``track_id``, which counts within its video.

    Ids of images, objects and categories are kept where they are known. Masks are RLE with text counts, or polygons
    on request, as far as ``simplify`` allows; those of crowd regions and of masks without any pixel are always RLE.
    Annotations go to the file as they come, so that no more than one image's masks is in memory.

    Raises:
        DataError: If an image or mask cannot be read.
        OutputError: If a file cannot be written.
    """
    report = WriteReport()
    image_numbers, object_numbers = _Numbers(), _Numbers()
    entries: list[dict[str, Any]] = []
    videos: dict[str, dict[str, Any]] = {}
    with atomic_file(out / "annotations" / f"instances_{split}.json") as file:
        file.write(b'{"annotations": [')
        separator = b"\n"
        for record in records:
            name = record.image_id + record.suffix
            write_image(record, out / split / name, images, report)
            number = image_numbers.give(record.source_id)
            entry = {"id": number, "file_name": name, "width": record.width, "height": record.height}
            entries.append(entry | _frame_keys(record.frame, videos))
            for annotation in _annotations(record, classes, simplify if polygons else None, report):
                annotation |= {"id": object_numbers.give(annotation["id"]), "image_id": number}
                file.write(separator + _json(annotation))
                separator = b",\n"
        categories = [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in zip(classes.source_ids, classes.names, strict=True)
        ]
        rest = {"images": entries, "categories": categories, "licenses": [], "info": {}}
        _write_rest(file, rest | ({"videos": list(videos.values())} if videos else {}))
    return report


def _frame_keys(frame: VideoFrame | None, videos: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What an image's entry says of its frame; its video is added to ``videos``, by name."""
    if frame is None:
        return {}
    rate = {} if frame.rate is None else {"fps": frame.rate}
    video = videos.setdefault(frame.video, {"id": len(videos) + 1, "name": frame.video, **rate})
    return {"video_id": video["id"], "frame_id": frame.number}


def _annotations(
    record: ImageRecord, classes: ClassTable, polygons: Simplification | None, report: WriteReport
) -> Iterator[dict[str, Any]]:
    """The annotations of one image, with the object's own id or None, and without the image's."""
    masks, areas = object_masks(record), object_areas(record)
    report.count(record, areas, DIFFICULT, LABEL_MAPS)
    for index, (area, known) in enumerate(zip(areas, record.segmentations, strict=True)):
        x0, y0, x1, y1 = (round(float(corner), 4) for corner in record.boxes[index])
        segmentation: Segmentation = []
        as_rle = polygons is None or record.crowd[index] or not area
        if area is not None and as_rle and isinstance(known, dict):
            segmentation = known
        elif (mask := masks[index]) is not None and as_rle:
            segmentation = encode_mask(mask)
        elif mask is not None:
            exact = polygons is not None and polygons.is_exact
            segmentation = known if isinstance(known, list) and exact else polygons_of(mask, polygons or EXACT)
            report.compare(record, index, mask, segmentation)
        annotation = {
            "id": record.object_ids[index] if record.object_ids else None,
            "category_id": classes.source_ids[record.class_ids[index] - 1],
            "bbox": [x0, y0, round(x1 - x0, 4), round(y1 - y0, 4)],
            "area": float((x1 - x0) * (y1 - y0) if area is None else area),
            "iscrowd": int(record.crowd[index]),
            "segmentation": segmentation,
        }
        if record.scores is not None:
            annotation["score"] = round(float(record.scores[index]), 6)
        if record.points and record.points[index]:
            annotation["points"] = [value for x, y, known in record.points[index] for value in (x, y, int(known))]
        if record.track_ids and record.track_ids[index] is not None:
            annotation["track_id"] = record.track_ids[index]
        if record.reliable:
            annotation["reliable"] = record.reliable[index]
        yield annotation


def _write_rest(file: IO[bytes], content: dict[str, Any]) -> None:
    """Close the list of annotations and write the other keys."""
    file.write(b"\n]")
    for key, value in content.items():
        file.write(b",\n" + _json(key) + b": " + _json(value))
    file.write(b"}\n")


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
