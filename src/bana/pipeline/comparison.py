"""The two pictures of a comparison: labels side by side, and filling rates."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from bana.data.images import open_record_image
from bana.data.label_maps import png
from bana.data.masks import required_truth
from bana.errors import SettingsError
from bana.io.files import write_bytes
from bana.pipeline.compare import Comparison, folders_of, labels_of
from bana.report.comparison_sheet import ComparisonRow, comparison_sheet
from bana.report.demo_rows import candidates, choose
from bana.report.violins import filling_rate_violins

PICTURE = "compare.png"
VIOLINS = "filling_rates.png"

_ROWS = 8


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
    first = next(iter(folders.values()))[0]
    records = {record.image_id: record for record in dataset}
    rows = []
    for image_id in choose(candidates(dataset, first), _ROWS):
        record = records[image_id]
        truth = required_truth(record, dataset.class_table)
        labels = {"truth": truth * (truth != dataset.class_table.ignore_index)}
        labels |= {name: labels_of(method, folders[name], record) for name, method in result.methods.items()}
        shown_boxes = ~record.crowd
        rows.append(
            ComparisonRow(
                open_record_image(record), record.boxes[shown_boxes], record.class_ids[shown_boxes], labels, image_id
            )
        )
    return comparison_sheet(
        rows,
        dataset.classes,
        title="Ways to label",
        subtitle=f"{len(rows)} of {len(dataset)} images; hatched pixels get no label",
    )
