"""Functions about data sets: check, convert, evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bana.api.progress import AnyPath, optional_path, tracked
from bana.data.check import CheckReport
from bana.data.check import check as check_dataset
from bana.data.convert import Conversion
from bana.data.convert import convert as convert_dataset
from bana.data.prediction_folder import MANIFEST, RESULTS, PredictionFolder
from bana.data.reading import read_dataset
from bana.data.simplify import Simplification
from bana.data.writing import ImageMode
from bana.evaluate import LabelScores, evaluate_detections, evaluate_labels, evaluate_predictions
from bana.evaluate.detection_scores import DetectionScores
from bana.evaluate.scores import PredictionScores
from bana.io.faults import OnError


def check(
    data: AnyPath,
    *,
    split: str | None = None,
    labels: AnyPath | None = None,
    format: str | None = None,
    strict: bool = False,
    follow_links: bool = False,
    quiet: bool = False,
) -> CheckReport:
    """Open every image and annotation of a data set, count its contents and list its faults.

    Args:
        data: A folder, COCO JSON file or YOLO data.yaml.
        split: The split to check (default: the only one).
        labels: A folder that ``label`` wrote. Boxes that look wrong by its labels are listed too (default: none).
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        strict: Treat an object that is repaired or left out as a fault of its image.
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Raises:
        DataError: If the data set or the split as a whole cannot be read.
    """
    progress = tracked("Checking", quiet)
    how = {"strict": strict, "follow_links": follow_links}
    return check_dataset(Path(data), split, format, labels=optional_path(labels), progress=progress, **how)


def convert(
    source: AnyPath,
    out: AnyPath,
    to: str,
    *,
    format: str | None = None,
    splits: Sequence[str] = (),
    polygons: bool = False,
    tolerance: float = 0.0,
    max_points: int | None = None,
    images: ImageMode = "copy",
    overwrite: bool = False,
    on_error: OnError = "stop",
    strict: bool = False,
    follow_links: bool = False,
    quiet: bool = False,
) -> Conversion:
    """Convert a data set to another format, and count what that format cannot hold.

    Args:
        source: A folder, COCO JSON file or YOLO data.yaml.
        out: The folder to write.
        to: ``voc``, ``coco``, ``yolo``, ``labelme`` or ``dota``.
        format: The format of ``source`` (default: detected).
        splits: The splits to convert (default: all).
        polygons: Write COCO masks as polygons instead of RLE.
        tolerance: How far outlines in YOLO and COCO polygons may deviate from the masks, in pixels.
        max_points: Maximum number of points in an object's outline (default: no limit).
        images: ``copy`` or ``link`` the images, or write ``none`` of them.
        overwrite: Write into ``out`` even if it is not empty.
        on_error: ``skip`` leaves out images that cannot be used and lists them in ``rejected.jsonl``.
        strict: Treat an object that is repaired or left out as a fault of its image.
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Raises:
        DataError: If the data set or one of its images cannot be used.
        OutputError: If ``out`` is not empty or cannot be written.
        SettingsError: If an argument has a value that is not allowed.
    """
    return convert_dataset(
        Path(source),
        Path(out),
        to,
        format=format,
        splits=splits,
        polygons=polygons,
        simplify=Simplification(tolerance, max_points),
        images=images,
        overwrite=overwrite,
        on_error=on_error,
        strict=strict,
        follow_links=follow_links,
        progress=tracked("Converting", quiet),
    )


def evaluate(
    results: AnyPath,
    data: AnyPath,
    *,
    split: str | None = None,
    format: str | None = None,
    boundary: bool = True,
    follow_links: bool = False,
    quiet: bool = False,
) -> LabelScores | PredictionScores | DetectionScores:
    """Score labels or predictions against true masks.

    Args:
        results: A folder that ``label`` or ``predict`` wrote, or a COCO file of results or annotations with masks.
        data: A data set with true masks.
        split: The split to score on (default: the only one).
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        boundary: Also compute the boundary IoU.
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Returns:
        The scores of labels, of a segmentation network's predictions, or of detections, depending on ``results``.
        ``as_dict()`` is the result for JSON, with mIoU, IoU and AP in 0..100.

    Raises:
        DataError: If a file is missing or damaged, or an image has no true mask.
    """
    folder, progress = Path(results), tracked("Scoring", quiet)
    dataset = read_dataset(data, split, format, follow_links=follow_links)
    objects = folder / RESULTS if (folder / RESULTS).is_file() else folder
    if objects.is_file() or objects.suffix == ".json":
        if (objects.parent / MANIFEST).is_file():
            PredictionFolder(objects.parent).check_classes(dataset)
        return evaluate_detections(objects, dataset, progress=progress)
    if (folder / MANIFEST).is_file():
        return evaluate_predictions(folder, dataset, boundary=boundary, progress=progress)
    return evaluate_labels(folder, dataset, boundary=boundary, progress=progress)
