"""Tables and lines about a check and a conversion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from bana.cli.tables.table import Column, FittedTable

if TYPE_CHECKING:
    from bana.data.advice import Advice
    from bana.data.check import CheckReport
    from bana.data.convert import Conversion
    from bana.data.writing import WriteReport


_SHOWN = 5
"""Objects that polygons do not match, at most, that are listed."""


def check_tables(report: CheckReport) -> Iterator[RenderableType]:
    """Contents, boxes by class, and faults if there are any."""
    dataset = report.dataset
    split = f", split {dataset.split}" if dataset.split else ""
    title = f"{dataset.root} ({dataset.format}{split})"
    kinds = Counter(note.kind for note in dataset.notes)
    contents = FittedTable(title, (Column("", text=True), Column("")), header=False)
    for name, value in (
        ("images", len(dataset)),
        ("boxes", report.boxes),
        ("objects with a mask", report.masks),
        ("images with a label map", report.label_maps),
        *((("videos, tracks", f"{report.videos}, {report.tracks}"),) if report.videos or report.tracks else ()),
        ("difficult objects, crowd regions", f"{report.difficult}, {report.crowd}"),
        ("image side, pixels (min, quartiles, max)", _quartiles(report.image_sides)),
        ("box side, pixels (min, quartiles, max)", _quartiles(report.box_sides)),
        ("background, mean share of an image", f"{report.background_share:.1%}"),
        ("images without boxes", report.without_boxes),
        ("images that boxes cover entirely", report.all_covered),
        ("images with less than 1/8 background", report.little_background),
        (
            "repaired, left out, looks wrong",
            ", ".join(str(kinds[kind]) for kind in ("repaired", "left out", "looks wrong")),
        ),
        ("faults", len(report.faults)),
    ):
        contents.add_row(name, str(value))
    yield contents
    classes = FittedTable("Classes", (Column("class", text=True), Column("boxes"), Column("images")))
    for count in report.classes:
        if count.boxes:
            classes.add_row(count.name, str(count.boxes), str(count.images))
    yield classes
    if empty := [count.name for count in report.classes if not count.boxes]:
        yield f"Classes without boxes: {', '.join(empty)}"
    if report.advice is not None:
        yield from _advice_lines(report.advice)
    if report.suspects:
        yield "Boxes that look wrong:"
        yield from (
            f"  {each.image_id}: box {each.number} ({each.class_name}): {each.reason}" for each in report.suspects
        )
    for kind in kinds:
        yield f"{kind.capitalize()}:"
        yield from (f"  {note.image_id}: {note.reason}" for note in dataset.notes if note.kind == kind)
    if report.faults:
        yield "Faults:"
        yield from (f"  {fault.image_id}: {fault.reason}" for fault in report.faults)


def _advice_lines(advice: Advice) -> Iterator[str]:
    """Which preset to train with, and at which size of images to label."""
    from bana.data.advice import SIDE

    known, unknown = len(advice.known_classes), len(advice.unknown_classes)
    others = ", and labels the others class-agnostically" if unknown else ""
    knows = f"it knows {known} of {known + unknown} classes{others}"
    yield f"Try bana label first: {knows}. To train: --preset {advice.preset}"
    keep = f"--set image_side={advice.image_side}" if advice.image_side > SIDE else "keep it"
    yield f"At image_side={SIDE}, the default, the median box has a side of {advice.box_side:.0f} pixels: {keep}"


def conversion_lines(conversion: Conversion, out: Path) -> Iterator[str]:
    """What was written, and what was lost on the way."""
    for split, report in conversion.reports.items():
        yield (
            f"{out}: {conversion.target_format}, split {split}: "
            f"{report.images} images, {report.objects} objects, {report.masks} masks"
        )
        yield from (f"  {line}" for line in _losses(report, conversion.target_format))
    if conversion.rejected:
        yield f"  {len(conversion.rejected)} images left out, see {out / 'rejected.jsonl'}"


def _losses(report: WriteReport, target: str) -> Iterator[str]:
    from bana.data.writing import lost_sentence

    if report.lost:
        yield lost_sentence(target, report.lost)
    if report.polygons:
        yield f"{report.polygons} masks as polygons: mean IoU {report.mean_iou:.4f}, least {report.min_iou:.4f}"
        worst = sorted(report.inexact, key=itemgetter(2))
        yield from (f"  {image}: object {number}: IoU {iou:.4f}" for image, number, iou in worst[:_SHOWN])
        if len(worst) > _SHOWN:
            yield f"  and {len(worst) - _SHOWN} more; --json lists all"
    if report.empty:
        yield f"{report.empty} objects have an empty mask"
    if report.reencoded:
        yield f"{report.reencoded} images were encoded anew: as JPEG, upright, as RGB, or out of a video"


def _quartiles(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values) or "-"
