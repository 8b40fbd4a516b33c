"""Writing PASCAL VOC."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bana.data.classes import CLASS_FILE
from bana.data.label_maps import write_label_map
from bana.data.records import ClassTable, FloatArray, ImageRecord
from bana.data.truth import instance_map, instance_truth, object_areas, semantic_truth
from bana.data.writing import FRAMES, POINTS, SCORES, TRACKS, ImageMode, WriteReport, write_image
from bana.io.files import write_bytes, write_lines


def write(
    records: Iterable[ImageRecord], classes: ClassTable, out: Path, split: str, *, images: ImageMode = "copy"
) -> WriteReport:
    """Write Annotations, JPEGImages, ImageSets, and label maps of the images that have masks.

    VOC wants JPEG: other images are encoded as such. Crowd regions become difficult objects, which VOC leaves out of
    its scores, and void in the label maps. ``labels.txt`` lists the classes.

    Raises:
        DataError: If an image or mask cannot be read.
        OutputError: If a file cannot be written.
    """
    report = WriteReport()
    names: list[str] = []
    without_objects: list[ImageRecord] = []
    segmented: set[str] = set()
    for record in records:
        write_image(record, out / "JPEGImages" / f"{record.image_id}.jpg", images, report)
        write_bytes(out / "Annotations" / f"{record.image_id}.xml", annotation_xml(record, classes))
        names.append(record.image_id)
        if len(record) == 0 and record.semantic_path is None:
            without_objects.append(record)
            report.count(record, [], FRAMES)
        elif _write_maps(record, classes, out, report):
            segmented.add(record.image_id)
    if segmented:
        # An image without objects has masks where the others have: of background.
        segmented.update(record.image_id for record in without_objects)
        for record in without_objects:
            _write_maps(record, classes, out, WriteReport())
        write_lines(out / "ImageSets" / "Segmentation" / f"{split}.txt", [name for name in names if name in segmented])
    write_lines(out / "ImageSets" / "Main" / f"{split}.txt", names)
    write_lines(out / CLASS_FILE, classes.names)
    return report


def annotation_xml(record: ImageRecord, classes: ClassTable) -> bytes:
    """The XML file of one image, with VOC's 1-based inclusive corners."""
    root = ElementTree.Element("annotation")
    _add(root, "folder", "VOC2012")
    _add(root, "filename", f"{record.image_id}.jpg")
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", record.width), ("height", record.height), ("depth", 3)):
        _add(size, tag, str(value))
    has_masks = record.semantic_path is not None or any(mask is not None for mask in record.segmentations)
    _add(root, "segmented", str(int(has_masks)))
    oriented = record.oriented or (None,) * len(record)
    rows = zip(record.boxes, record.class_ids, record.difficult | record.crowd, oriented, strict=True)
    for box, class_id, hard, turned in rows:
        element = ElementTree.SubElement(root, "object")
        _add(element, "name", classes.names[class_id - 1])
        _add(element, "difficult", str(int(hard)))
        corners = ElementTree.SubElement(element, "bndbox")
        for tag, text in zip(("xmin", "ymin", "xmax", "ymax"), _voc_corners(box), strict=True):
            _add(corners, tag, text)
        if turned is not None:
            _add_turned(element, turned)
    ElementTree.indent(root, "\t")
    content: str = ElementTree.tostring(root, encoding="unicode")
    return f"{content}\n".encode()


def _write_maps(record: ImageRecord, classes: ClassTable, out: Path, report: WriteReport) -> bool:
    """Write the label maps of the classes and of the objects, as far as there are any; whether there are."""
    labels = semantic_truth(record, classes)
    numbers = instance_map(record)
    lost = (SCORES, POINTS, TRACKS, FRAMES)
    report.count(record, object_areas(record), *lost, crowd="crowd flags, which become difficult flags")
    if labels is not None:
        write_label_map(out / "SegmentationClass" / f"{record.image_id}.png", labels)
    masks = instance_truth(record)
    if numbers is not None and masks is not None:
        write_label_map(out / "SegmentationObject" / f"{record.image_id}.png", numbers)
        for number, crowd in enumerate(record.crowd, start=1):
            part = masks.part(number - 1)
            if part is not None and not crowd and np.any(numbers[part[0]][part[1]] != number):
                report.lose("parts of masks behind other masks")
    return labels is not None


def _add_turned(element: ElementTree.Element, corners: list[float]) -> None:
    """A turned rectangle as roLabelImg has it: center, sides, and the angle in radians."""
    points = np.reshape(corners, (4, 2))
    along, across = points[1] - points[0], points[3] - points[0]
    angle = np.arctan2(along[1], along[0]) % np.pi
    turned = ElementTree.SubElement(element, "robndbox")
    numbers = (*points.mean(axis=0), np.hypot(*along), np.hypot(*across), angle)
    for tag, value in zip(("cx", "cy", "w", "h", "angle"), numbers, strict=True):
        _add(turned, tag, f"{value:.6f}")


def _voc_corners(box: FloatArray) -> list[str]:
    x0, y0, x1, y1 = (float(corner) for corner in box)
    return [f"{corner:.4f}".rstrip("0").rstrip(".") for corner in (x0 + 1, y0 + 1, x1, y1)]


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text
