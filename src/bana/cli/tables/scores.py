"""Tables of scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType

from bana.cli.tables.table import Column, FittedTable
from bana.report.numbers import TITLES, shown

if TYPE_CHECKING:
    from bana.evaluate import LabelScores
    from bana.evaluate.detection_scores import DetectionScores
    from bana.evaluate.scores import PredictionScores


def score_tables(scores: LabelScores | PredictionScores | DetectionScores) -> Iterator[RenderableType]:
    """The tables and lines of the scores that ``bana evaluate`` gives."""
    from bana.evaluate import LabelScores
    from bana.evaluate.scores import PredictionScores

    if isinstance(scores, LabelScores):
        return _label_tables(scores)
    return _prediction_tables(scores) if isinstance(scores, PredictionScores) else _detection_tables(scores)


def _label_tables(scores: LabelScores) -> Iterator[RenderableType]:
    yield _labelings(scores)
    yield _classes(scores)
    yield _objects(scores)
    if scores.absent_classes:
        yield f"Not in the means, because no true mask and no label has them: {', '.join(scores.absent_classes)}"


def _prediction_tables(scores: PredictionScores) -> Iterator[RenderableType]:
    each = scores.prediction
    columns = (Column("", text=True), Column("mIoU"), Column("boundary IoU", 1), Column("foreground IoU", 2))
    table = FittedTable(f"{scores.images} images", columns)
    table.add_row("prediction", *map(shown, (each.miou, each.boundary_iou, each.binary_iou)))
    yield table
    classes = FittedTable("IoU per class", (Column("class", text=True), Column("IoU")))
    for name, value in zip(scores.classes, each.per_class, strict=True):
        if not math.isnan(value):
            classes.add_row(name, shown(value))
    yield classes


def _detection_tables(scores: DetectionScores) -> Iterator[RenderableType]:
    """COCO's twelve numbers, AP per class, and a line on true masks if need be."""
    ap, ar = scores.precision, scores.recall
    title = f"{scores.images} images, {scores.detections} detections"
    sizes = ("small", "medium", "large")
    first = ("AP", "AP50", "AP75")
    precision = _figures(title, *first, *(f"AP {size}" for size in sizes))
    precision.add_row("precision", *map(shown, (ap.ap, ap.ap50, ap.ap75, ap.ap_small, ap.ap_medium, ap.ap_large)))
    yield precision
    recall = _figures("", "AR1", "AR10", "AR100", *(f"AR {size}" for size in sizes))
    recall.add_row("recall", *map(shown, (ar.ar1, ar.ar10, ar.ar100, ar.ar_small, ar.ar_medium, ar.ar_large)))
    yield recall
    classes = FittedTable("Mask AP per class", (Column("class", text=True), Column("AP")))
    for class_id, value in ap.per_class.items():
        classes.add_row(scores.classes[class_id], shown(value))
    yield classes
    if figures := _true_masks(scores):
        yield figures


def _figures(title: str, *headings: str) -> FittedTable:
    """A table of COCO's figures; the last columns go first."""
    numbers = (Column(heading, drop) for drop, heading in enumerate(headings))
    return FittedTable(title, (Column("masks", text=True), *numbers))


def _labelings(scores: LabelScores) -> FittedTable:
    numbers = (Column("mIoU"), Column("boundary IoU", 1), Column("foreground IoU", 3), Column("ignored %", 2))
    table = FittedTable(f"{scores.images} images", (Column("labels", text=True), *numbers))
    for name, each in scores.labelings.items():
        table.add_row(TITLES[name], *map(shown, (each.miou, each.boundary_iou, each.binary_iou, each.ignored_share)))
    return table


def _classes(scores: LabelScores) -> FittedTable:
    average_precision, drops = scores.instances.per_class, {"box": 5, "y_ret": 3, "agreed": 2}
    labelings = (Column(TITLES[name], drops.get(name, 0)) for name in scores.labelings)
    columns = (Column("class", text=True), *labelings, Column("mask AP", 1), Column("box accuracy", 4))
    table = FittedTable("IoU per class", columns)
    for class_id, name in enumerate(scores.classes):
        if name not in scores.absent_classes:
            table.add_row(
                name,
                *(shown(each.per_class[class_id]) for each in scores.labelings.values()),
                shown(average_precision.get(class_id)),
                shown(scores.box_accuracy_per_class.get(class_id)),
            )
    return table


def _objects(scores: LabelScores) -> str:
    accuracy = f"Box accuracy {shown(scores.box_accuracy)}"
    masks = scores.instances
    sizes = f"small {shown(masks.ap_small)}, medium {shown(masks.ap_medium)}, large {shown(masks.ap_large)}"
    figures = f"Mask AP {shown(masks.ap)} (AP50 {shown(masks.ap50)}, AP75 {shown(masks.ap75)}; {sizes})"
    return f"{', '.join(filter(None, (figures, _true_masks(scores))))}. {accuracy}"


def _true_masks(scores: LabelScores | DetectionScores) -> str:
    """Where true masks come from, if any comes from a class mask; else nothing."""
    if not scores.instances_derived and not scores.instances_unknown:
        return ""
    return (
        f"true masks of {scores.instances_derived} objects from class masks, {scores.instances_unknown} left out "
        "because boxes of their class overlap"
    )
