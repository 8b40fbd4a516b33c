"""What a person reads of the demonstration."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from bana.evaluate.tables import shown
from bana.report.demo import LABELS, PICTURE, Demo

_CLASSES = 12


def demo_tables(demo: Demo) -> Iterator[RenderableType]:
    """The tables and lines to print one after the other."""
    yield _summary(demo)
    yield _classes(demo)
    yield f"Picture: {demo.out / PICTURE}"
    yield f"Labels:  {demo.out / LABELS}"


def _summary(demo: Demo) -> Table:
    scores, masks = demo.scores.labelings, demo.scores.instances
    weights = [demo.has_weights(class_id) for class_id in demo.boxes_per_class]
    speed = demo.images_per_second
    table = Table(title="Boxes in, masks out", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("photographs, boxes", f"{demo.run.images}, {demo.run.boxes}"),
        ("images/s", "all labeled before" if speed is None else f"{speed:.2f}"),
        ("classes with weights of their own", str(sum(weights))),
        ("classes through 1 - A", str(len(weights) - sum(weights))),
        ("mIoU, foreground whatever the class", shown(scores["y_crf"].binary_miou)),
        ("  where both labels agree", shown(scores["agreed"].binary_miou)),
        ("  pixels left out by that", f"{scores['agreed'].ignored_share:.1f} %"),
        ("  boxes taken for masks", shown(scores["box"].binary_miou)),
        ("mIoU over classes", shown(scores["y_crf"].miou)),
        ("mask AP, AP50", f"{shown(masks.ap)}, {shown(masks.ap50)}"),
    ):
        table.add_row(name, value)
    return table


def _classes(demo: Demo) -> Table:
    precision = demo.scores.instances.per_class
    counts = demo.boxes_per_class
    first = list(counts)[:_CLASSES]
    title = f"The {len(first)} classes with most pixels in boxes, of {len(counts)}"
    table = Table("class", "labeled by", title=title, title_justify="left")
    for heading in ("boxes", "IoU", "mask AP"):
        table.add_column(heading, justify="right")
    for class_id in first:
        table.add_row(
            demo.dataset.classes[class_id - 1],
            "its weights" if demo.has_weights(class_id) else "1 - A",
            str(counts[class_id]),
            shown(demo.scores.labelings["y_crf"].per_class[class_id]),
            shown(precision.get(class_id)),
        )
    return table
