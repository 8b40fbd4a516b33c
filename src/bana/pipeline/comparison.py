"""The two pictures of a comparison: labels side by side, and filling rates."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from bana.data.label_maps import png
from bana.data.truth import required_truth
from bana.errors import SettingsError
from bana.io.files import write_bytes
from bana.pipeline.compare import Comparison, folders_of, labels_of
from bana.report.examples import examples, sheet_row
from bana.report.pictures import comparison_sheet
from bana.report.violins import filling_rate_violins

PICTURE = "compare.png"
VIOLINS = "filling_rates.png"


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
