"""Tables about the demonstration and a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from bana.cli.tables.table import Column, FittedTable
from bana.report.numbers import shown

if TYPE_CHECKING:
    from bana.pipeline.choice import LabelerChoice
    from bana.pipeline.run import PipelineRun
    from bana.report.demo import Demo

_CLASSES = 12
"""How many classes of the demonstration are listed."""

_STEPS = {
    "classify": "box classifier trained",
    "untrained": "images labeled without training",
    "unrefined": "images labeled by the classifier",
    "refine": "refiner trained",
    "trained": "images labeled after training",
    "compare labelers": "labelers compared",
    "labels": "pixels labeled",
    "segment": "network trained on the labels",
    "evaluate labels": "labels scored",
    "evaluate": "network scored",
    "picture": "picture drawn",
}


def demo_tables(demo: Demo) -> Iterator[RenderableType]:
    """The scores of the sample photographs, and where things are."""
    yield _summary(demo)
    yield _classes(demo)
    files = demo.as_dict()
    yield f"Picture: {files['picture']}"
    yield f"Labels:  {files['labels']}"


def _summary(demo: Demo) -> FittedTable:
    scores, masks = demo.scores.labelings, demo.scores.instances
    weights = [demo.has_weights(class_id) for class_id in demo.boxes_per_class]
    speed = demo.images_per_second
    table = FittedTable("Boxes in, masks out", (Column("", text=True), Column("")), header=False)
    for name, value in (
        ("photographs, boxes", f"{demo.run.images}, {demo.run.boxes}"),
        ("images/s", "all labeled before" if speed is None else f"{speed:.2f}"),
        ("classes the labeler knows", str(sum(weights))),
        ("classes labeled class-agnostically", str(len(weights) - sum(weights))),
        ("mIoU, object or background", shown(scores["y_crf"].binary_miou)),
        ("  where both labelings agree", shown(scores["agreed"].binary_miou)),
        ("  pixels ignored there", f"{scores['agreed'].ignored_share:.1f} %"),
        ("  boxes taken for masks", shown(scores["box"].binary_miou)),
        ("mIoU over classes", shown(scores["y_crf"].miou)),
        ("mask AP, AP50", f"{shown(masks.ap)}, {shown(masks.ap50)}"),
    ):
        table.add_row(name, value)
    return table


def _classes(demo: Demo) -> FittedTable:
    precision = demo.scores.instances.per_class
    counts = demo.boxes_per_class
    first = list(counts)[:_CLASSES]
    title = f"The {len(first)} classes with the most pixels in boxes, of {len(counts)}"
    columns = (Column("class", text=True), Column("labeled by", 1, text=True))
    table = FittedTable(title, (*columns, Column("boxes", 2), Column("IoU"), Column("mask AP")))
    for class_id in first:
        table.add_row(
            demo.dataset.classes[class_id - 1],
            "class weights" if demo.has_weights(class_id) else "class-agnostic",
            str(counts[class_id]),
            shown(demo.scores.labelings["y_crf"].per_class[class_id]),
            shown(precision.get(class_id)),
        )
    return table


def run_tables(run: PipelineRun) -> Iterator[RenderableType]:
    """The steps, the scores, and where things are."""
    columns = (Column("step", text=True), Column("seconds"), Column("now", text=True))
    table = FittedTable(f"{run.out}: {len(run.dataset)} images", columns)
    for name, what in _STEPS.items():
        if name in run.seconds:
            table.add_row(what, f"{run.seconds[name]:.0f}", "unchanged" if name in run.skipped else "done")
    yield table
    if run.network is not None:
        yield _scores(run, run.network)
    else:
        yield "No scores: not every image has a true mask; name a split that has them with --val-split"
    if run.choice is not None:
        yield _kept(run.choice)
    files = run.as_dict()
    yield f"Network: {files['network_file']}"
    yield f"Picture: {files['picture']}"
    yield f"A page of all images and scores: bana report {run.out}"


def _kept(choice: LabelerChoice) -> str:
    trained, untrained = choice.fits["trained"], choice.fits["untrained"]
    fits = f"fit to images and boxes: trained {trained:.2f}, untrained {untrained:.2f}"
    if choice.name == "trained":
        return f"Labels: by the trained labeler ({fits})"
    return f"Labels: by bana's own labeler; the trained one was no better ({fits})"


def _scores(run: PipelineRun, network: dict[str, Any]) -> FittedTable:
    title = f"Scores against true masks (network: {run.scored} images)"
    table = FittedTable(title, (Column("mIoU, %", text=True), Column("over classes"), Column("foreground", 1)))
    rows: dict[str, dict[str, Any]] = {}
    if run.labels is not None:
        rows |= {"boxes as masks": run.labels["box"], "labels (Y_crf)": run.labels["y_crf"]}
    rows |= {"network, without boxes": network["plain"], "  with the CRF": network["crf"]}
    for name, scores in rows.items():
        table.add_row(name, shown(scores["miou"]), shown(scores["binary_miou"]))
    return table
