"""What a person sees of a comparison: a table and two pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from rich.console import RenderableType
from rich.table import Table

from bana.data.label_maps import png
from bana.data.truth import required_truth
from bana.errors import SettingsError
from bana.evaluate.tables import shown
from bana.io.files import write_bytes
from bana.pipeline.compare import Comparison, folders_of, labels_of
from bana.report.examples import examples, sheet_row
from bana.report.pictures import comparison_sheet
from bana.report.violins import filling_rate_violins

PICTURE = "compare.png"
VIOLINS = "filling_rates.png"


def comparison_tables(result: Comparison) -> Iterator[RenderableType]:
    """The table, and what could not be had."""
    table = Table(title=f"{len(result.dataset)} images: mIoU and more, %", title_justify="left")
    table.add_column("method", no_wrap=True)
    headings = ("paper", "mIoU", "of all pixels", "left out", "boundary IoU", "mask AP", "AP50", "s/image", "MB")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, method in result.methods.items():
        scores, ap = result.scores[name], result.scores[name]["instances"] or {}
        seconds, memory = (result.cost(name, of) for of in ("seconds_per_image", "peak_memory"))
        table.add_row(
            name,
            " / ".join(map(shown, method.paper)),
            *(shown(scores[each]) for each in ("miou", "miou_of_all", "ignored_share", "boundary_iou")),
            shown(ap.get("ap")),
            shown(ap.get("ap50")),
            "-" if seconds is None else f"{seconds:.2f}",
            "-" if memory is None else f"{memory / 2**20:.0f}",
        )
    yield table
    yield "paper: mIoU on VOC 2012 train / val. Left out: pixels that get no label; they count for nothing in mIoU."
    yield from (f"Left out: {reason}" for reason in result.unavailable.values())


def draw_comparison(result: Comparison, out: Path) -> list[Path]:
    """Write the labels of some photographs side by side, and the filling rates; returns the files."""
    write_bytes(out / PICTURE, png(_sheet(result, out)))
    rates = {"truth": result.true_filling_rates}
    rates |= {
        name: result.scores[name]["filling_rates"] for name, method in result.methods.items() if method.uses_boxes
    }
    try:
        drawn = filling_rate_violins(rates, title="Filling rates: the share of a box that its object fills")
    except SettingsError:  # too few boxes
        return [out / PICTURE]
    write_bytes(out / VIOLINS, drawn)
    return [out / PICTURE, out / VIOLINS]


def _sheet(result: Comparison, out: Path) -> Image.Image:
    dataset, folders = result.dataset, {name: folders_of(method, out) for name, method in result.methods.items()}
    rows = []
    for record in examples(dataset, next(iter(folders.values()))[0]):
        truth = required_truth(record, dataset.class_table)
        labels = {"truth": truth * (truth != dataset.class_table.ignore_index)}
        labels |= {name: labels_of(method, folders[name], record) for name, method in result.methods.items()}
        rows.append(sheet_row(record, labels, caption=record.image_id))
    return comparison_sheet(
        rows,
        dataset.classes,
        title="Labeling methods",
        subtitle=f"{len(rows)} of {len(dataset)} images; hatched pixels get no label",
    )
