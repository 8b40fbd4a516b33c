"""The scores as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from bana.evaluate.detection_scores import DetectionScores
from bana.evaluate.scores import LabelScores, PredictionScores

TITLES = {"box": "Box", "y_crf": "Y_crf", "y_ret": "Y_ret", "agreed": "Y_crf & Y_ret"}


def score_tables(scores: LabelScores) -> Iterator[RenderableType]:
    """The tables to print one after the other: labelings, classes, and lines on objects and on what is left out."""
    yield _labelings(scores)
    yield _classes(scores)
    yield _objects(scores)
    if scores.absent_classes:
        yield f"Left out of the means, because no true mask and no label has them: {', '.join(scores.absent_classes)}"


def prediction_tables(scores: PredictionScores) -> Iterator[RenderableType]:
    """The tables of a network's predictions: the scores, and IoU per class."""
    each = scores.prediction
    table = _table(f"{scores.images} images", "", "mIoU", "boundary IoU", "foreground IoU")
    table.add_row("prediction", *map(shown, (each.miou, each.boundary_iou, each.binary_iou)))
    yield table
    classes = _table("IoU per class", "class", "IoU")
    for name, value in zip(scores.classes, each.per_class, strict=True):
        if not math.isnan(value):
            classes.add_row(name, shown(value))
    yield classes


def detection_tables(scores: DetectionScores) -> Iterator[RenderableType]:
    """The tables of instance segmentation results: AP, AR and AP per class, and a line on true masks if need be."""
    ap, ar = scores.precision, scores.recall
    title = f"{scores.images} images, {scores.detections} detections"
    precision = _table(title, "masks", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large")
    precision.add_row("precision", *map(shown, (ap.ap, ap.ap50, ap.ap75, ap.ap_small, ap.ap_medium, ap.ap_large)))
    yield precision
    recall = _table("", "masks", "AR1", "AR10", "AR100", "AR small", "AR medium", "AR large")
    recall.add_row("recall", *map(shown, (ar.ar1, ar.ar10, ar.ar100, ar.ar_small, ar.ar_medium, ar.ar_large)))
    yield recall
    classes = _table("Mask AP per class", "class", "AP")
    for class_id, value in ap.per_class.items():
        classes.add_row(scores.classes[class_id], shown(value))
    yield classes
    if figures := _true_masks(scores):
        yield figures


def shown(value: float | None) -> str:
    """A score for people; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.1f}"


def _labelings(scores: LabelScores) -> Table:
    table = _table(f"{scores.images} images", "labels", "mIoU", "boundary IoU", "foreground IoU", "left out %")
    for name, each in scores.labelings.items():
        table.add_row(TITLES[name], *map(shown, (each.miou, each.boundary_iou, each.binary_iou, each.ignored_share)))
    return table


def _classes(scores: LabelScores) -> Table:
    average_precision = scores.instances.per_class
    table = _table("IoU per class", "class", *(TITLES[name] for name in scores.labelings), "mask AP", "box accuracy")
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
        "as boxes of their class overlap"
    )


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
