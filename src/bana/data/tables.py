"""The reports of ``bana check`` and ``bana convert``, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from bana.data.check import CheckReport
from bana.data.convert import Conversion
from bana.data.writing import WriteReport, lost_sentence


def check_tables(report: CheckReport) -> Iterator[Table]:
    """Contents, boxes by class, and faults if there are any."""
    dataset = report.dataset
    split = f", split {dataset.split}" if dataset.split else ""
    contents = Table("", "", title=f"{dataset.root} ({dataset.format}{split})", show_header=False, title_justify="left")
    for name, value in (
        ("images", len(dataset)),
        ("boxes", report.boxes),
        ("objects with a mask", report.masks),
        ("images with a label map", report.label_maps),
        ("difficult, crowd", f"{report.difficult}, {report.crowd}"),
        ("image side, pixels (least, quartiles, most)", _spread(report.image_sides)),
        ("box side, pixels (least, quartiles, most)", _spread(report.box_sides)),
        ("background share, mean", f"{report.background_share:.1%}"),
        ("images without boxes", report.without_boxes),
        ("images that boxes cover entirely", report.all_covered),
        ("images with less than 1/8 background", report.little_background),
        ("faults", len(report.faults)),
    ):
        contents.add_row(name, str(value))
    yield contents
    classes = Table("class", title="Classes", title_justify="left")
    for heading in ("boxes", "images"):
        classes.add_column(heading, justify="right")
    for count in report.classes:
        classes.add_row(count.name, str(count.boxes), str(count.images))
    yield classes
    if report.faults:
        faults = Table("image", "fault", title="Faults", title_justify="left")
        for fault in report.faults:
            faults.add_row(fault.image_id, fault.reason)
        yield faults


def conversion_lines(conversion: Conversion, out: Path) -> Iterator[str]:
    """What was written, and what got lost on the way."""
    for split, report in conversion.reports.items():
        yield (
            f"{out}: {conversion.target_format}, split {split}: "
            f"{report.images} images, {report.objects} objects, {report.masks} masks"
        )
        yield from (f"  {line}" for line in _losses(report, conversion.target_format))
    if conversion.rejected:
        yield f"  {len(conversion.rejected)} images left out, see {out / 'rejected.jsonl'}"


def _losses(report: WriteReport, target: str) -> Iterator[str]:
    if report.lost:
        yield lost_sentence(target, report.lost)
    if report.polygons:
        lost = "nothing is lost" if report.min_iou == 1 else "holes are filled"
        yield f"{report.polygons} masks as polygons: mean IoU {report.mean_iou:.4f}, least {report.min_iou:.4f}; {lost}"
    if report.reencoded:
        yield f"{report.reencoded} images were encoded anew, as JPEG or upright"


def _spread(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values) or "-"
